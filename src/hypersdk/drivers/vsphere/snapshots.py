"""Points in time that vSphere itself keeps, as a tree.

vSphere does not keep whether a machine ran when a snapshot without memory was made: reverting to it
leads to a stopped machine, and so it is listed. So the description of ours ends with a line that
says so; it is not shown.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from pyVmomi import vim

from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.drivers.vsphere.leftovers import end_leases
from hypersdk.drivers.vsphere.power import ON, patient_task
from hypersdk.drivers.vsphere.properties import moid
from hypersdk.drivers.vsphere.specs import check_name
from hypersdk.drivers.vsphere.translate import disk_name, state
from hypersdk.model.errors import (
    AlreadyExists,
    GuestAgentMissing,
    InvalidInput,
    InvalidState,
    NotFound,
)
from hypersdk.model.instances import InstanceState
from hypersdk.model.machines import Snapshot

_log = logging.getLogger(__name__)

#: Last line of the description of a snapshot of a running machine, made without its memory.
_WAS_RUNNING = "[hypersdk: it was running]"
TOOLS_RUNNING = "guestToolsRunning"


@dataclass(frozen=True, slots=True)
class Node:
    """One snapshot of the tree, with its parent's name."""

    tree: Any
    parent: str


def nodes(trees: Iterable[Any] | None, parent: str = "") -> Iterator[Node]:
    """All of a tree, parents before children."""
    for tree in trees or ():
        yield Node(tree, parent)
        yield from nodes(tree.childSnapshotList, tree.name)


class VsphereSnapshots:
    """May be used by any number of threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create(
        self,
        name: str,
        snapshot: str,
        *,
        memory: bool = False,
        quiesce: bool = False,
        description: str = "",
    ) -> Snapshot:
        """Raises AlreadyExists; InvalidState for memory or frozen filesystems of a machine that
        does not run, GuestAgentMissing when no VMware Tools can freeze them."""
        check_name(snapshot)
        vm = self._connection.vm(name)
        found = self._connection.get(
            vm, "runtime.powerState", "snapshot", "guest.toolsRunningStatus"
        )
        if snapshot in {node.tree.name for node in _nodes(found)}:
            raise AlreadyExists(
                f"'{name}' has a snapshot '{snapshot}' already", hint="Choose another name."
            )
        _refuse(name, found, memory=memory, quiesce=quiesce)
        text = description
        if found["runtime.powerState"] == ON and not memory:
            text = f"{description}\n{_WAS_RUNNING}".lstrip("\n")
        made = patient_task(
            self._connection,
            lambda: vm.CreateSnapshot_Task(
                name=snapshot, description=text, memory=memory, quiesce=quiesce
            ),
            f"make the snapshot '{snapshot}' of '{name}'",
        )
        return next(kept for each, kept in self._list(vm) if each == moid(made))

    def snapshots(self, name: str) -> Sequence[Snapshot]:
        """Those that others made included, and those that hold an export's moment."""
        return [kept for _, kept in self._list(self._connection.vm(name))]

    def revert(self, name: str, snapshot: str) -> None:
        """It runs afterwards when the snapshot has its memory, and is stopped otherwise."""
        found = self._find(name, snapshot)
        patient_task(
            self._connection,
            lambda: found.RevertToSnapshot_Task(suppressPowerOn=False),
            f"revert '{name}' to '{snapshot}'",
        )

    def delete(self, name: str, snapshot: str, *, children: bool = False) -> None:
        """What it holds is merged into what follows."""
        found = self._find(name, snapshot)
        patient_task(
            self._connection,
            lambda: found.RemoveSnapshot_Task(removeChildren=children, consolidate=True),
            f"delete the snapshot '{snapshot}' of '{name}'",
        )

    def _find(self, name: str, snapshot: str) -> Any:
        """To be changed: what a dead run holds of it is released before."""
        vm = self._connection.vm(name)
        for line in end_leases(self._connection, name):
            _log.info("%s", line)
        return find_snapshot(self._connection, vm, name, snapshot)

    def _list(self, vm: Any) -> Iterator[tuple[str, Snapshot]]:
        """Id and snapshot."""
        found = self._connection.get(vm, "snapshot", "config.hardware.device")
        info, devices = found["snapshot"], found["config.hardware.device"] or ()
        current = moid(info.currentSnapshot) if info and info.currentSnapshot else ""
        controllers = {device.key: device for device in devices}
        disks = {
            disk_name(device, controllers): "external"
            for device in devices
            if isinstance(device, vim.vm.device.VirtualDisk)
            and not str(getattr(device.backing, "diskMode", "")).startswith("independent")
        }
        for node in _nodes(found):
            each = moid(node.tree.snapshot)
            yield each, _snapshot(node, current=each == current, disks=disks)


def find_snapshot(connection: Connection, vm: Any, name: str, snapshot: str) -> Any:
    """Raises NotFound; InvalidInput when others gave two of them one name."""
    found = connection.get(vm, "snapshot")
    same = [node.tree for node in _nodes(found) if node.tree.name == snapshot]
    if len(same) == 1:
        return connection.object(vim.vm.Snapshot, moid(same[0].snapshot))
    if same:
        raise InvalidInput(
            f"'{name}' has {len(same)} snapshots called '{snapshot}'",
            hint="Rename one of them in the vSphere Client.",
        )
    names = ", ".join(node.tree.name for node in _nodes(found))
    raise NotFound(
        f"'{name}' has no snapshot '{snapshot}'",
        hint=f"It has {names}." if names else "It has none.",
    )


def _nodes(found: dict[str, Any]) -> list[Node]:
    info = found["snapshot"]
    return list(nodes(info.rootSnapshotList)) if info else []


def _refuse(name: str, found: dict[str, Any], *, memory: bool, quiesce: bool) -> None:
    if memory and quiesce:
        raise InvalidInput(
            "a snapshot keeps the memory or freezes filesystems, not both",
            hint="With its memory, the machine goes on where it was: leave quiesce out.",
        )
    if (memory or quiesce) and found["runtime.powerState"] != ON:
        raise InvalidState(
            f"'{name}' does not run", hint="Start it, or leave memory and quiesce out."
        )
    if quiesce and found["guest.toolsRunningStatus"] != TOOLS_RUNNING:
        raise GuestAgentMissing(
            f"no VMware Tools run in '{name}' that could freeze its filesystems",
            hint="Install open-vm-tools in the guest, or make the snapshot without quiesce.",
        )


def _snapshot(node: Node, *, current: bool, disks: dict[str, str]) -> Snapshot:
    tree = node.tree
    text = tree.description or ""
    ran = text.rpartition("\n")[2] == _WAS_RUNNING
    kept = state(tree.state)
    return Snapshot(
        name=tree.name,
        created=tree.createTime.astimezone(UTC),
        parent=node.parent,
        current=current,
        state=InstanceState.RUNNING if ran else kept,
        memory=kept is not InstanceState.STOPPED,
        disks=disks,
        description=text.rpartition("\n")[0] if ran else text,
    )
