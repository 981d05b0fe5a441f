"""Points in time that the hypervisor itself keeps.

=========  ==============  ===========================================================
instance   asked for       what is made
=========  ==============  ===========================================================
running    with memory     internal: memory inside the first disk; all disks are qcow2
running    disks only      internal when all disks are qcow2, else external: overlays
stopped    disks only      the same, by qemu-img
=========  ==============  ===========================================================

Once an instance has external snapshots its further ones are external as well. A snapshot also keeps
the definition of its moment. Reverting to one with memory resumes there; reverting to one without
leaves the instance stopped. Either way records of changed blocks end, and the next backup reads
everything once.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

from hypersdk.drivers.qmp import internal, overlays
from hypersdk.drivers.qmp.definition import (
    DiskRecord,
    MachineRecord,
    SnapshotRecord,
    from_plain,
)
from hypersdk.drivers.qmp.locks import is_locked
from hypersdk.drivers.qmp.power import Power
from hypersdk.drivers.qmp.state import InstanceFolder, Root
from hypersdk.model.capabilities import Limit
from hypersdk.model.errors import AlreadyExists, InvalidInput, InvalidState, NotSupported
from hypersdk.model.instances import InstanceState
from hypersdk.model.machines import Snapshot

_LIVE = (InstanceState.RUNNING, InstanceState.PAUSED)
#: Names that can be names inside an image as well: QEMU takes digits for an id.
_TAG = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,99}")
_NAME_LIMIT = 255

LIMITS = (Limit("snapshots.quiesce", "filesystems are not frozen for snapshots"),)


class QmpSnapshots:
    """May be used by any number of threads."""

    def __init__(self, root: Root, power: Power) -> None:
        self._root = root
        self._power = power
        self.limits: tuple[Limit, ...] = LIMITS

    def create(
        self,
        name: str,
        snapshot: str,
        *,
        memory: bool = False,
        quiesce: bool = False,
        description: str = "",
    ) -> Snapshot:
        """Raises InvalidState for memory of an instance with disks that are not qcow2."""
        if quiesce:
            raise NotSupported(
                f"cannot quiesce '{name}': {LIMITS[0].note}", hint="Ask for one without it."
            )
        if not 0 < len(snapshot.encode()) <= _NAME_LIMIT or not snapshot.isprintable():
            raise InvalidInput(
                f"{snapshot!r} cannot be the name of a snapshot",
                hint=f"It has 1 to {_NAME_LIMIT} bytes, and no control characters.",
            )
        with self._changing(name) as (folder, machine, state):
            kept = _planned(machine, snapshot, state, memory=memory, description=description)
            if kept.kind == "internal":
                disks = self._take_inside(folder, machine, kept, state)
            else:
                disks = self._put_overlays(folder, machine, kept, state)
            taken = (*machine.snapshots, kept)
            folder.define(replace(machine, disks=disks, snapshots=taken, current=snapshot))
            return kept.observed(snapshot)

    def snapshots(self, name: str) -> Sequence[Snapshot]:
        """See the port."""
        machine = self._root.find(name).definition()
        return [kept.observed(machine.current) for kept in _by_tree(machine)]

    def revert(self, name: str, snapshot: str) -> None:
        """It runs, is paused or stopped afterwards as the module says. Devices that came since are
        gone, those that went are back."""
        with self._changing(name) as (folder, machine, _):
            kept = machine.snapshot(snapshot)
            then = replace(from_plain(kept.machine), snapshots=machine.snapshots, current=kept.name)
            self._power.switch_off(folder, machine.name)
            if kept.kind == "external":
                self._revert_overlays(folder, machine, then)
                return
            internal.drop_bitmaps(then.disks)
            if not kept.memory:
                internal.revert_disks(then, kept)
                folder.define(then)
                return
            folder.define(then)
            self._power.launch(
                folder,
                then,
                paused=InstanceState(kept.state) is InstanceState.PAUSED,
                prepare=lambda: internal.load(self._power, folder, then, kept),
            )

    def delete(self, name: str, snapshot: str, *, children: bool = False) -> None:
        """What was deleted before a failure stays deleted. Overlays of an external snapshot are
        written into the images they lie over. Raises InvalidState when several branch off."""
        with self._changing(name) as (folder, machine, state):
            doomed = [machine.snapshot(snapshot).name]
            if children:
                for kept in _by_tree(machine):
                    if kept.parent in doomed:
                        doomed.append(kept.name)
            left = machine
            for each in reversed(doomed):
                left = self._delete_one(folder, left, each, running=state in _LIVE)

    def _delete_one(
        self, folder: InstanceFolder, machine: MachineRecord, name: str, *, running: bool
    ) -> MachineRecord:
        kept = machine.snapshot(name)
        if kept.kind == "external":
            machine = overlays.absorb(self._power, folder, machine, kept, running=running)
        else:
            disks = from_plain(kept.machine).disks
            internal.delete(self._power, folder, machine, kept, disks, running=running)
        left = tuple(
            replace(other, parent=kept.parent) if other.parent == name else other
            for other in machine.snapshots
            if other.name != name
        )
        current = kept.parent if machine.current == name else machine.current
        machine = replace(machine, snapshots=left, current=current)
        folder.define(machine)
        return machine

    def _take_inside(
        self,
        folder: InstanceFolder,
        machine: MachineRecord,
        kept: SnapshotRecord,
        state: InstanceState,
    ) -> tuple[DiskRecord, ...]:
        if state in _LIVE:
            internal.take_live(self._power, folder, machine, kept)
        else:
            internal.take_stopped(machine, kept)
        return machine.disks

    def _put_overlays(
        self,
        folder: InstanceFolder,
        machine: MachineRecord,
        kept: SnapshotRecord,
        state: InstanceState,
    ) -> tuple[DiskRecord, ...]:
        over = overlays.put_over(machine.disks, kept.tag)
        try:
            if state in _LIVE:
                overlays.switch_live(self._power, folder, machine, over)
        except BaseException:
            overlays.remove(over)
            raise
        return over

    def _revert_overlays(
        self, folder: InstanceFolder, machine: MachineRecord, then: MachineRecord
    ) -> None:
        over = overlays.put_over(then.disks, f"r-{os.urandom(4).hex()}")
        try:
            folder.define(replace(then, disks=over))
        except BaseException:
            overlays.remove(over)
            raise
        overlays.remove(overlays.abandoned(machine))

    @contextmanager
    def _changing(self, name: str) -> Iterator[tuple[InstanceFolder, MachineRecord, InstanceState]]:
        folder = self._root.find(name)
        with folder.locked() as machine:
            state = self._power.state(folder, machine.name)
            if state not in (*_LIVE, InstanceState.STOPPED):
                raise InvalidState(
                    f"'{machine.name}' is {state.value}", hint="Stop it with force first."
                )
            if is_locked(folder.path / "view"):
                raise InvalidState(
                    f"a backup is reading '{machine.name}'", hint="Wait until it ends."
                )
            yield folder, machine, state


def _planned(
    machine: MachineRecord,
    name: str,
    state: InstanceState,
    *,
    memory: bool,
    description: str,
) -> SnapshotRecord:
    """What is going to be made. Raises AlreadyExists, InvalidState."""
    if any(kept.name == name for kept in machine.snapshots):
        raise AlreadyExists(
            f"'{machine.name}' has a snapshot '{name}' already",
            hint="Delete it, or use another name.",
        )
    kinds = {kept.kind for kept in machine.snapshots}
    inside = all(disk.format == "qcow2" for disk in machine.disks) and "external" not in kinds
    if not inside and "internal" in kinds:
        raise InvalidState(
            f"'{machine.name}' has internal snapshots, and now a disk that can keep none",
            hint="Delete its snapshots first, or detach the disk.",
        )
    if memory and state not in _LIVE:
        raise InvalidState(
            f"'{machine.name}' is stopped and has no running state to keep",
            hint="Take a snapshot of its disks: without memory.",
        )
    if memory and not inside:
        raise InvalidState(
            f"memory of '{machine.name}' can be kept only inside qcow2 disks",
            hint="Take a snapshot without memory, or convert its disks to qcow2.",
        )
    if memory:
        internal.check_possible(machine)
    taken = {kept.tag for kept in machine.snapshots}
    plain = _TAG.fullmatch(name) is not None and name not in taken
    return SnapshotRecord(
        name=name,
        created=datetime.now(UTC).isoformat(),
        parent=machine.current,
        state=state.value,
        memory=memory,
        kind="internal" if inside else "external",
        tag=name if plain else f"s-{os.urandom(8).hex()}",
        description=description,
        machine=machine.plain(),
    )


def _by_tree(machine: MachineRecord) -> Iterator[SnapshotRecord]:
    """Parents before children, older ones first."""
    left = sorted(machine.snapshots, key=lambda kept: kept.created)
    seen = {""}
    while left:
        ready = [kept for kept in left if kept.parent in seen] or left
        yield from ready
        seen.update(kept.name for kept in ready)
        left = [kept for kept in left if kept not in ready]
