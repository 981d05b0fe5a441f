"""Jobs about snapshots that the hypervisor keeps."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from hypersdk.app.kinds.places import places_of
from hypersdk.app.kinds.requests import answer, asked, refuse, same
from hypersdk.app.kinds.site import Site
from hypersdk.contract.kinds import SnapshotRequest, SnapshotResult
from hypersdk.datapath.cancel import CancelToken
from hypersdk.drivers.ports import Hypervisor, Snapshots
from hypersdk.jobs.kinds import Plan, Run
from hypersdk.model.errors import AlreadyExists, HyperSDKError, Interrupted, NotFound, NotSupported
from hypersdk.model.machines import Snapshot as Kept

#: Seconds after which a snapshot that is being taken back is left alone: who cancels waits.
_TAKING_BACK = 0.5


class Snapshot:
    """A new snapshot bears the job's id in its description, and its name unless another one was
    given: it is looked for before one is made. A snapshot that is gone was deleted by this run
    when this run has seen it."""

    name = "snapshot"
    summary = "Make, revert to or delete a snapshot of an instance."
    waits = False

    def __init__(self, site: Site) -> None:
        self._site = site

    def plan(self, request: Mapping[str, Any]) -> Plan:
        """See the port."""
        wanted = asked(SnapshotRequest, request)
        _check(wanted)
        return self._site.planned(
            f"{wanted.operation} snapshot of {wanted.instance}",
            hypervisor=wanted.hypervisor,
            dedup=same(self.name, wanted),
        )

    def places(self, request: Mapping[str, Any]) -> tuple[str, ...]:
        """See `Placed`."""
        wanted = asked(SnapshotRequest, request)
        return places_of(self._site, wanted.hypervisor, wanted.instance)

    def work(self, request: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
        """See the port."""
        wanted = asked(SnapshotRequest, request)
        _check(wanted)
        name = wanted.snapshot or f"job-{run.job.id}"
        with self._site.hypervisor(run, wanted.hypervisor) as hypervisor:
            snapshots = _snapshots(hypervisor)
            run.phase({"create": "making"}.get(wanted.operation, wanted.operation), name)
            match wanted.operation:
                case "create":
                    unchanged = run.step("create", lambda: _create(wanted, run, snapshots, name))
                case "revert":
                    run.step("revert", lambda: snapshots.revert(wanted.instance, name))
                    unchanged = False
                case "delete":
                    unchanged = _delete(wanted, run, snapshots, name)
        event = {"create": "created", "revert": "reverted", "delete": "deleted"}[wanted.operation]
        self._site.happened(
            run, f"vm.snapshot_{event}", wanted.hypervisor, wanted.instance, snapshot=name
        )
        run.log(f"snapshot {name} of {wanted.instance}: {event}")
        return answer(
            SnapshotResult(
                instance=wanted.instance,
                snapshot=name,
                operation=wanted.operation,
                unchanged=unchanged,
            )
        )


def _create(wanted: SnapshotRequest, run: Run, snapshots: Snapshots, name: str) -> bool:
    """True when an earlier run had made it."""
    found = _found(snapshots, wanted.instance, name)
    if found is not None:
        if _is_ours(found, run):
            return True
        raise AlreadyExists(
            f"'{wanted.instance}' has a snapshot '{name}' already", hint="Choose another name."
        )
    try:
        snapshots.create(
            wanted.instance,
            name,
            memory=wanted.memory,
            quiesce=wanted.quiesce,
            description=f"{wanted.description} (job {run.job.id})".strip(),
        )
    except Interrupted:
        _take_back(wanted.instance, run, snapshots, name)
        raise
    return False


def _take_back(instance: str, run: Run, snapshots: Snapshots, name: str) -> None:
    """The hypervisor may have made it all the same. Of a cancelled job nothing stays; where it is
    not there yet, or does not go in time, the description says whose it is."""
    token = CancelToken()
    timer = threading.Timer(_TAKING_BACK, token.cancel)
    timer.start()
    try:
        with token.scope(), suppress(HyperSDKError):
            found = _found(snapshots, instance, name)
            if found is not None and _is_ours(found, run):
                snapshots.delete(instance, name)
                run.log(f"snapshot {name} was taken back")
    finally:
        timer.cancel()


def _delete(wanted: SnapshotRequest, run: Run, snapshots: Snapshots, name: str) -> bool:
    """True when an earlier go of this run had deleted it."""
    run.step("seen", lambda: _seen(snapshots, wanted.instance, name))

    def delete() -> bool:
        try:
            snapshots.delete(wanted.instance, name, children=wanted.children)
        except NotFound:
            if _found(snapshots, wanted.instance, name) is not None:
                raise
            return True
        return False

    return run.step("delete", delete)


def _seen(snapshots: Snapshots, instance: str, name: str) -> bool:
    """Raises NotFound, which a run that goes on after a crash does not: it remembers this step."""
    if _found(snapshots, instance, name) is not None:
        return True
    known = ", ".join(each.name for each in snapshots.snapshots(instance)) or "none"
    raise NotFound(f"'{instance}' has no snapshot '{name}'", hint=f"There are: {known}.")


def _found(snapshots: Snapshots, instance: str, name: str) -> Kept | None:
    return next((each for each in snapshots.snapshots(instance) if each.name == name), None)


def _is_ours(found: Kept, run: Run) -> bool:
    return run.job.id in found.description or found.name == f"job-{run.job.id}"


def _snapshots(hypervisor: Hypervisor) -> Snapshots:
    if hypervisor.snapshots is None:
        raise NotSupported(f"{hypervisor.url} makes no snapshots", hint="Back the instance up.")
    return hypervisor.snapshots


def _check(wanted: SnapshotRequest) -> None:
    """Raises InvalidInput for what does not go together."""
    refuse(
        wanted.operation != "create" and not wanted.snapshot,
        f"request.snapshot is missing: which one to {wanted.operation}",
        "Name it.",
    )
    refuse(
        wanted.memory and wanted.disk_only,
        "request.memory and request.disk_only contradict each other",
        "Leave one out.",
    )
    making = wanted.memory or wanted.quiesce or wanted.disk_only or wanted.description
    refuse(
        wanted.operation != "create" and making,
        "request.memory, quiesce, disk_only and description are for making a snapshot",
        "Leave them out.",
    )
    refuse(
        wanted.operation != "delete" and wanted.children,
        "request.children is for deleting a snapshot",
        "Leave it out.",
    )
