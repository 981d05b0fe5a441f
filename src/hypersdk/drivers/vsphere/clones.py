"""Machines made from machines: full copies, linked ones, templates.

A linked clone is based on a snapshot of its original. That snapshot is ours and is made with the
first linked clone; it goes when the last one has gone and the template is an instance again.
"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from pyVmomi import vim

from hypersdk.drivers.vsphere import placement, tags, usage
from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.drivers.vsphere.lifecycle import described, refuse_taken
from hypersdk.drivers.vsphere.power import OFF, Making, patient_task
from hypersdk.drivers.vsphere.snapshots import nodes
from hypersdk.drivers.vsphere.specs import check_name
from hypersdk.model.errors import InvalidState
from hypersdk.model.instances import Instance

#: Snapshot that linked clones are based on.
_BASE = "hypersdk-linked-clones"
_FOUND = (
    "runtime.powerState",
    "runtime.host",
    "config.template",
    "config.extraConfig",
    "config.hardware.device",
    "parent",
    "resourcePool",
    "snapshot",
)


class VsphereClones:
    """May be used by any number of threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def clone(self, name: str, new: str, *, linked: bool = False) -> Instance:
        """On the host, datastore and in the folder of the original, with its tags. The original
        may be a template. Raises InvalidState, AlreadyExists, InvalidInput."""
        check_name(new)
        vm = self._connection.vm(name)
        found = self._connection.get(vm, *_FOUND)
        _refuse_active(name, found, "clone it")
        refuse_taken(self._connection, new)
        base = self._base(vm, name, found) if linked else None
        spec = self._spec(found, base)
        what = f"clone '{name}' to '{new}'"
        made = Making(self._connection).run(
            lambda: vm.CloneVM_Task(folder=self._folder(found), name=new, spec=spec), what
        )
        return described(self._connection, made)

    def make_template(self, name: str) -> None:
        vm = self._connection.vm(name)
        found = self._connection.get(vm, "runtime.powerState", "config.template")
        _refuse_active(name, found, "make it a template")
        if not found["config.template"]:
            self._connection.call(vm.MarkAsTemplate, f"make '{name}' a template")

    def unmake_template(self, name: str) -> None:
        vm = self._connection.vm(name)
        found = self._connection.get(vm, *_FOUND)
        if not found["config.template"]:
            return
        based = usage.users(self._connection, vm)
        if based:
            raise InvalidState(
                f"{', '.join(sorted(based))} are based on the disks of '{name}'",
                hint="Delete them first, or clone the template to have an instance.",
            )
        self._mark_machine(vm, name, found)
        for node in nodes(found["snapshot"].rootSnapshotList if found["snapshot"] else ()):
            if node.tree.name == _BASE:
                self._remove_base(name, node.tree.snapshot)

    def _base(self, vm: Any, name: str, found: dict[str, Any]) -> Any:
        """The snapshot to base a linked clone on; the original is a template afterwards."""
        trees = found["snapshot"].rootSnapshotList if found["snapshot"] else ()
        for node in nodes(trees):
            if node.tree.name == _BASE and found["config.template"]:
                return node.tree.snapshot
        if found["config.template"]:
            self._mark_machine(vm, name, found)
        try:
            return patient_task(
                self._connection,
                lambda: vm.CreateSnapshot_Task(
                    name=_BASE,
                    description="Linked clones are based on it.",
                    memory=False,
                    quiesce=False,
                ),
                f"make the base of linked clones of '{name}'",
            )
        finally:
            self._connection.call(vm.MarkAsTemplate, f"make '{name}' a template")

    def _remove_base(self, name: str, snapshot: Any) -> None:
        patient_task(
            self._connection,
            lambda: snapshot.RemoveSnapshot_Task(removeChildren=False),
            f"delete the base of linked clones of '{name}'",
        )

    def _mark_machine(self, vm: Any, name: str, found: dict[str, Any]) -> None:
        pool = self._pool(found)
        self._connection.call(
            lambda: vm.MarkAsVirtualMachine(pool=pool, host=found["runtime.host"]),
            f"make the template '{name}' an instance",
        )

    def _pool(self, found: dict[str, Any]) -> Any:
        """Its own, or the root pool of its host for a template, which has none."""
        if found["resourcePool"] is not None:
            return found["resourcePool"]
        compute = self._connection.get(found["runtime.host"], "parent")["parent"]
        return self._connection.get(compute, "resourcePool")["resourcePool"]

    def _folder(self, found: dict[str, Any]) -> Any:
        """That of the original; one in a vApp has none, its clone goes to the top."""
        if isinstance(found["parent"], vim.Folder):
            return found["parent"]
        top = placement.datacenter(self._connection)
        return self._connection.get(top, "vmFolder")["vmFolder"]

    def _spec(self, found: dict[str, Any], base: Any) -> Any:
        location = vim.vm.RelocateSpec(
            pool=self._pool(found),
            host=found["runtime.host"],
            diskMoveType="createNewChildDiskBacking"
            if base is not None
            else "moveAllDiskBackingsAndDisallowSharing",
        )
        config = vim.vm.ConfigSpec(
            uuid=str(uuid4()),
            instanceUuid=str(uuid4()),
            extraConfig=tags.carried(tags.settings(found["config.extraConfig"])),
            deviceChange=[_own_address(nic) for nic in _set_by_hand(found)],
        )
        return vim.vm.CloneSpec(
            location=location, snapshot=base, config=config, powerOn=False, template=False
        )


def _refuse_active(name: str, found: dict[str, Any], doing: str) -> None:
    if found["runtime.powerState"] != OFF:
        raise InvalidState(f"'{name}' is not stopped", hint=f"Stop it first, then {doing}.")


def _set_by_hand(found: dict[str, Any]) -> list[Any]:
    """NICs whose MAC address vSphere would copy."""
    return [
        device
        for device in found["config.hardware.device"] or ()
        if isinstance(device, vim.vm.device.VirtualEthernetCard)
        and str(device.addressType).lower() == "manual"
    ]


def _own_address(nic: Any) -> Any:
    made = type(nic)(
        key=nic.key,
        controllerKey=nic.controllerKey,
        unitNumber=nic.unitNumber,
        backing=nic.backing,
        connectable=nic.connectable,
        addressType="generated",
    )
    return vim.vm.device.VirtualDeviceSpec(operation="edit", device=made)
