"""Jobs that restore."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypersdk.app.kinds import restoring
from hypersdk.app.kinds.made import replaces
from hypersdk.app.kinds.points import chosen_point
from hypersdk.app.kinds.requests import asked, refuse, same
from hypersdk.app.kinds.site import Site
from hypersdk.contract.kinds import RestoreRequest
from hypersdk.drivers.ports import Hypervisor
from hypersdk.jobs.kinds import Plan, Run
from hypersdk.model.points import RestorePoint
from hypersdk.repository.repository import Repository


class Restore:
    """Files that are complete are noted beside them and not written again. An instance is tagged
    with the job's id: what a killed run has left of it is removed, and it is made once. In place,
    only what differs is written."""

    name = "restore"
    summary = "Restore a point as files, as a new instance, or in place."
    waits = False

    def __init__(self, site: Site) -> None:
        self._site = site

    def plan(self, request: Mapping[str, Any]) -> Plan:
        """See the port."""
        wanted = asked(RestoreRequest, request)
        _check(wanted)
        if wanted.to_folder:
            self._site.folders.check(wanted.to_folder, "to_folder")
        return self._site.planned(
            f"restore of {wanted.instance}",
            hypervisor=wanted.to_hypervisor,
            repository=wanted.repository,
            dedup=same(self.name, wanted),
            makes=1 if wanted.to_hypervisor and not wanted.in_place else 0,
        )

    def work(self, request: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
        """See the port."""
        wanted = asked(RestoreRequest, request)
        _check(wanted)
        with self._site.repository(run, wanted.repository) as repository:
            run.phase("looking", wanted.instance)
            # Once: what is the latest may be another one after a crash.
            chosen = run.step(
                "choose", lambda: chosen_point(repository, wanted.instance, wanted.point).id
            )
            point = repository.find(chosen)
            run.log(f"restoring {point.instance} of {point.time:%Y-%m-%d %H:%M:%S} UTC")
            if wanted.to_folder:
                folder = self._site.folders.check(
                    wanted.to_folder, "to_folder", tenant=run.job.tenant
                )
                return restoring.to_files(wanted, run, repository, point, folder)
            with self._site.hypervisor(run, wanted.to_hypervisor) as hypervisor:
                if wanted.in_place:
                    return restoring.in_place(wanted, run, repository, point, hypervisor)
                done = self._made(wanted, run, repository, point, hypervisor)
        self._site.happened(
            run, "vm.created", wanted.to_hypervisor, done["restored"], point=done["point"]
        )
        return done

    def _made(
        self,
        wanted: RestoreRequest,
        run: Run,
        repository: Repository,
        point: RestorePoint,
        hypervisor: Hypervisor,
    ) -> dict[str, Any]:
        """Counted for its tenant once it is there as it was wanted: a run that fails before is
        followed by one that makes it anew."""
        tenant, allowance = run.job.tenant, self._site.allowance
        name = wanted.new_name or point.instance
        more = 1
        if wanted.overwrite:
            more = run.step("see", lambda: int(not replaces(hypervisor, name, run)))
        done = restoring.as_instance(
            wanted, run, repository, point, hypervisor,
            before=lambda: allowance.check(tenant, instances=more),
        )  # fmt: skip
        run.step("count", lambda: allowance.grew(tenant, instances=more))
        return done


def _check(wanted: RestoreRequest) -> None:
    """Raises InvalidInput for what does not go together."""
    refuse(
        bool(wanted.to_folder) == bool(wanted.to_hypervisor),
        "a restore goes to one of request.to_folder and request.to_hypervisor",
        'Name a folder for files, or a hypervisor: {"to_hypervisor": "lab"}.',
    )
    if wanted.to_folder:
        _refuse_fields(wanted, _OF_INSTANCES, "a hypervisor, not with a folder")
    else:
        _refuse_fields(wanted, _OF_FILES, "a folder, not with a hypervisor")
    if wanted.in_place:
        _refuse_fields(wanted, _OF_NEW, "a new instance, not with request.in_place")


_OF_FILES: dict[str, object] = {"format": "raw", "disks": []}
_OF_NEW: dict[str, object] = {
    "start": False, "keep_mac": None, "pool": "", "folder": "", "networks": {}, "isolated": False,
    "overwrite": False,
}  # fmt: skip
_OF_INSTANCES: dict[str, object] = {
    "new_name": "", "in_place": False,
    **{field: usual for field, usual in _OF_NEW.items() if field != "overwrite"},
}  # fmt: skip


def _refuse_fields(wanted: RestoreRequest, fields: Mapping[str, object], go_with: str) -> None:
    given = [field for field, usual in fields.items() if getattr(wanted, field) != usual]
    refuse(given, f"request.{', request.'.join(given)}: go with {go_with}", "Leave them out.")
