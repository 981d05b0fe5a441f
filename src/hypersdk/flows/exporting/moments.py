"""The moment of an export: a view, and what was asked to be done to the instance for it.

Nothing is done to an instance unasked. What is done is undone when the disks were read, also after
an error and when the export was cancelled: a guest that was shut down is started, a snapshot is
deleted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Protocol, runtime_checkable

from hypersdk.datapath.cancel import CancelToken
from hypersdk.drivers.diskports import BackupView, Disks, ViewOptions
from hypersdk.drivers.ports import Hypervisor, Lifecycle, Snapshots
from hypersdk.flows.exporting.options import ExportOptions, SnapshotOptions
from hypersdk.flows.exporting.state import ExportState
from hypersdk.model.errors import InvalidState, NotSupported
from hypersdk.model.instances import Instance, InstanceState
from hypersdk.model.machines import Snapshot

#: Snapshots of exports are called so, followed by the time in UTC.
PREFIX = "hyperexport-"
#: By which ours are known when old ones go.
_DESCRIPTION = "hyperexport: made for an export, to be deleted after it"
_KEPT = "hyperexport: made for an export"


@runtime_checkable
class ReadsSnapshots(Protocol):
    """Disks of which a snapshot can be read."""

    def snapshot_view(
        self, name: str, snapshot: str, options: ViewOptions | None = None
    ) -> BackupView:
        """The disks as they were at a snapshot. Raises NotFound."""
        ...


@runtime_checkable
class Consolidates(Protocol):
    """Snapshots whose left-over files can be merged."""

    def consolidate(self, name: str) -> object: ...


def disks_of(hypervisor: Hypervisor) -> Disks:
    """Raises NotSupported for a hypervisor without access to disks."""
    if hypervisor.disks is None:
        raise NotSupported(
            f"{hypervisor.url} gives no access to disks",
            hint="Containers without disks are kept as images: see its own commands.",
        )
    return hypervisor.disks


def reads_snapshots(hypervisor: Hypervisor) -> bool:
    """A snapshot can be read as it was, not only the instance as it is."""
    return isinstance(hypervisor.disks, ReadsSnapshots)


@contextmanager
def switched_off(
    hypervisor: Hypervisor, instance: Instance, timeout: float, note: ExportState
) -> Iterator[None]:
    """The guest shut down, and started again when it had been running.

    Raises OperationTimeout when it does not obey; it then runs on.
    """
    lifecycle = _lifecycle(hypervisor)
    running = instance.state is InstanceState.RUNNING or note.shut_down
    if instance.state is InstanceState.PAUSED:
        raise InvalidState(
            f"'{instance.name}' is paused and cannot be shut down", hint="Resume it first."
        )
    try:
        if instance.state is not InstanceState.STOPPED:
            note.will_shut_down()
            lifecycle.stop(instance.name, timeout=timeout)
        yield
    finally:
        if running:
            with CancelToken().scope():  # whose export was cancelled gets the guest back too
                lifecycle.start(instance.name)
            note.started()


@contextmanager
def snapshotted(
    hypervisor: Hypervisor,
    instance: Instance,
    options: SnapshotOptions,
    note: ExportState,
) -> Iterator[Snapshot]:
    """A snapshot, new or that of an unfinished export; deleted afterwards unless it is to stay."""
    snapshots = _snapshots(hypervisor)
    name = instance.name
    made = _still_there(snapshots, name, note.current.snapshot)
    if made is None:
        wanted = options.name or f"{PREFIX}{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        note.made_snapshot(wanted)
        made = snapshots.create(
            name,
            wanted,
            memory=options.memory,
            quiesce=options.quiesce and instance.state is InstanceState.RUNNING,
            description=_DESCRIPTION if options.delete else _KEPT,
        )
    try:
        yield made
    finally:
        with CancelToken().scope():
            if options.delete:
                snapshots.delete(name, made.name)
                note.lost_snapshot()
            elif options.keep:
                _thin_out(snapshots, name, options.keep)
            if options.consolidate and isinstance(snapshots, Consolidates):
                snapshots.consolidate(name)


def view_options(options: ExportOptions) -> ViewOptions:
    """What an export asks of a view."""
    return ViewOptions(exclude=options.exclude, freeze=options.freeze)


def begin_view(
    hypervisor: Hypervisor,
    instance: Instance,
    snapshot: Snapshot | None,
    since: Mapping[str, str],
    options: ExportOptions,
) -> BackupView:
    """Of the snapshot where the driver can read one; of the instance as it is otherwise."""
    disks = disks_of(hypervisor)
    if snapshot is not None and isinstance(disks, ReadsSnapshots):
        return disks.snapshot_view(instance.name, snapshot.name, view_options(options))
    return disks.view(instance.name, since, view_options(options))


def forget_leftover(
    hypervisor: Hypervisor, instance: Instance, note: ExportState, options: ExportOptions
) -> None:
    """The snapshot of a killed run goes, unless it is the one to go on with."""
    name = note.current.snapshot
    if not name or (options.snapshot is not None and note.resumable is not None):
        return
    snapshots = hypervisor.snapshots
    if snapshots is not None:
        found = _still_there(snapshots, instance.name, name)
        if found is not None and found.description == _DESCRIPTION:
            snapshots.delete(instance.name, name)
    note.lost_snapshot()


def snapshot_exists(
    hypervisor: Hypervisor, instance: Instance, moment: Mapping[str, object]
) -> bool:
    """The snapshot of a moment is still there."""
    snapshots = hypervisor.snapshots
    wanted = str(moment.get("snapshot", ""))
    return snapshots is not None and _still_there(snapshots, instance.name, wanted) is not None


def _still_there(snapshots: Snapshots, name: str, wanted: str) -> Snapshot | None:
    if not wanted:
        return None
    return next((each for each in snapshots.snapshots(name) if each.name == wanted), None)


def _thin_out(snapshots: Snapshots, name: str, keep: int) -> None:
    ours = [each for each in snapshots.snapshots(name) if _is_ours(each)]
    ours.sort(key=lambda each: each.created)
    for each in ours[:-keep]:
        snapshots.delete(name, each.name)


def _is_ours(snapshot: Snapshot) -> bool:
    return snapshot.description in {_DESCRIPTION, _KEPT} or snapshot.name.startswith(PREFIX)


def _lifecycle(hypervisor: Hypervisor) -> Lifecycle:
    if hypervisor.lifecycle is None:
        raise NotSupported(
            f"{hypervisor.url} cannot shut instances down", hint="Leave out --power-off."
        )
    return hypervisor.lifecycle


def _snapshots(hypervisor: Hypervisor) -> Snapshots:
    if hypervisor.snapshots is None:
        raise NotSupported(
            f"{hypervisor.url} makes no snapshots",
            hint="Leave out --snapshot: running instances are read at one moment anyway.",
        )
    return hypervisor.snapshots
