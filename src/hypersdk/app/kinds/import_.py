"""Jobs that bring packages and images to a hypervisor."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hypersdk.app.kinds.made import claimed, removed_half_made
from hypersdk.app.kinds.requests import answer, asked, reference, refuse, same
from hypersdk.app.kinds.site import JOB_TAG, Site, lifecycle_of, pace, refuse_secrets_of_host
from hypersdk.artifacts.encryption import Opening
from hypersdk.contract.kinds import ImportRequest, ImportResult
from hypersdk.drivers.ports import Hypervisor
from hypersdk.flows.importing.importing import import_package
from hypersdk.flows.importing.options import ImportOptions
from hypersdk.flows.importing.packages import open_package
from hypersdk.jobs.kinds import Plan, Run
from hypersdk.model.instances import Instance


class Import:
    """The instance is tagged with the job's id: what a killed run has left of it is removed, and
    it is made once."""

    name = "import"
    summary = "Make an instance of an OVF, an OVA or a disk image."
    waits = False

    def __init__(self, site: Site) -> None:
        self._site = site

    def plan(self, request: Mapping[str, Any]) -> Plan:
        """See the port."""
        wanted = asked(ImportRequest, request)
        _check(wanted)
        for path, field in _paths(wanted):
            self._site.folders.check(path, field)
        return self._site.planned(
            f"import of {wanted.name or Path(wanted.source).name}",
            hypervisor=wanted.hypervisor,
            dedup=same(self.name, wanted),
            makes=1,
        )

    def work(self, request: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
        """See the port."""
        wanted = asked(ImportRequest, request)
        _check(wanted)
        refuse_secrets_of_host(run, wanted.passphrase)
        real = {
            path: self._site.folders.check(path, field, tenant=run.job.tenant)
            for path, field in _paths(wanted)
        }
        options = _options(wanted, run, [real[path] for path in wanted.identities])
        with self._site.hypervisor(run, wanted.hypervisor) as hypervisor:
            done = run.step(
                "import",
                lambda: self._imported(wanted, run, hypervisor, real[wanted.source], options),
            )
            if wanted.start:
                run.phase("starting", done["instance"])
                run.step("start", lambda: lifecycle_of(hypervisor).start(done["instance"]))
                done = {**done, "started": True}
        # Not before: a run that fails is followed by one that makes it anew.
        allowance = self._site.allowance
        run.step("count", lambda: allowance.grew(run.job.tenant, instances=1))
        self._site.happened(run, "vm.created", wanted.hypervisor, done["instance"])
        return done

    def _imported(
        self,
        wanted: ImportRequest,
        run: Run,
        hypervisor: Hypervisor,
        source: Path,
        options: ImportOptions,
    ) -> dict[str, Any]:
        run.phase("looking", source.name)
        name = wanted.name or open_package(source, options).machine.name
        if (found := claimed(hypervisor, name, run)) is not None:
            run.log(f"{name} was imported before this run began")
            return answer(_result(wanted, found))
        removed_half_made(hypervisor, name, run)
        self._site.allowance.check(run.job.tenant, instances=1)
        run.phase("importing", name)
        run.log(f"importing {source} as {name}")
        done = import_package(
            source, hypervisor, options=options, reporter=run.reporter, cancel=run.cancel
        )
        for warning in done.warnings:
            run.log(warning, level="warning")
        return answer(
            _result(wanted, done.instance).model_copy(
                update={
                    "disks": [disk.name for disk in done.disks],
                    "verified": done.verified,
                    "size": sum(disk.size for disk in done.disks),
                    "written": sum(disk.written for disk in done.disks),
                    "seconds": round(done.seconds, 3),
                    "warnings": list(done.warnings),
                }
            )
        )


def _result(wanted: ImportRequest, instance: Instance) -> ImportResult:
    return ImportResult(
        instance=instance.name,
        hypervisor=wanted.hypervisor,
        id=instance.id,
        disks=[disk.name for disk in instance.disks],
        size=sum(disk.size for disk in instance.disks),
    )


def _paths(wanted: ImportRequest) -> list[tuple[str, str]]:
    return [(wanted.source, "source"), *((path, "identities") for path in wanted.identities)]


def _check(wanted: ImportRequest) -> None:
    reference(wanted.passphrase, "passphrase")
    refuse(JOB_TAG in wanted.tags, f"request.tags: {JOB_TAG} is set by the daemon", "Leave it out.")


def _options(wanted: ImportRequest, run: Run, identities: list[Path]) -> ImportOptions:
    """Started in a step of its own, so that it is not made anew when only that is left."""
    passphrase = reference(wanted.passphrase, "passphrase")
    opening = Opening(passphrase=passphrase, identities=tuple(identities))
    return ImportOptions(
        name=wanted.name,
        networks=wanted.networks,
        folder=wanted.folder,
        storage=wanted.pool,
        disk_format=wanted.disk_format,
        bus=wanted.bus,
        keep_macs=wanted.keep_mac,
        vcpus=wanted.vcpus,
        memory=wanted.memory,
        firmware=wanted.firmware,
        parallel=wanted.parallel,
        opening=opening if passphrase or identities else None,
        trust_sizes=wanted.trust_sizes,
        tags={**wanted.tags, JOB_TAG: run.job.id},
        throttle=pace(run, wanted.throttle),
    )
