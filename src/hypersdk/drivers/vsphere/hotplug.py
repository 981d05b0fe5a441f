"""Devices that change, running or stopped. vSphere keeps every change with the machine."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from pyVmomi import vim

from hypersdk.datapath.cancel import token_in_force
from hypersdk.drivers.vsphere import placement, tags
from hypersdk.drivers.vsphere.building import add_disk, require_file
from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.drivers.vsphere.devices import (
    Additions,
    change,
    connected,
    disk_at,
    drives,
    nic_of,
)
from hypersdk.drivers.vsphere.folders import datastore_file
from hypersdk.drivers.vsphere.power import OFF
from hypersdk.drivers.vsphere.specs import (
    MEMORY_MAX,
    VCPUS_MAX,
    check_disk,
    check_memory,
    check_vcpus,
)
from hypersdk.drivers.vsphere.translate import disks
from hypersdk.model.errors import (
    AlreadyExists,
    HypervisorBusy,
    InvalidInput,
    InvalidState,
    LimitExceeded,
    NotFound,
)
from hypersdk.model.instances import Disk
from hypersdk.model.specs import DiskSpec, NicSpec
from hypersdk.model.units import MIB

#: Others may change the machine between our look at it and our change.
_ATTEMPTS = 20
_PAUSE_SECONDS = 0.1
_SIZES = (
    "runtime.powerState",
    "config.hardware.numCPU",
    "config.hardware.memoryMB",
    "config.cpuHotAddEnabled",
    "config.cpuHotRemoveEnabled",
    "config.memoryHotAddEnabled",
    "config.cpuAllocation",
    "config.extraConfig",
)


class VsphereHotplug:
    """May be used by any number of threads; they change one machine after another."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def attach_disk(self, name: str, disk: DiskSpec) -> Disk:
        """Thin, beside the machine's files, on the datastore ``pool``, or at its path, which may
        be there already. Raises AlreadyExists, InvalidInput, NotFound, LimitExceeded."""
        vm = self._connection.vm(name)
        check_disk(disk)
        if not disk.size and not disk.path:
            raise InvalidInput("the disk to attach has no size", hint="size is in bytes.")
        root = placement.datacenter(self._connection)
        placed: list[str] = []

        def additions(devices: Any) -> list[Any]:
            made = Additions(devices)
            beside = f"[{disk.pool}]" if disk.pool else ""
            placed[:] = [add_disk(self._connection, root, made, disk, beside)]
            return made.changes

        self._change_devices(vm, additions, f"attach a disk to '{name}'")
        found = {each.name: each for each in disks(self._devices(vm))}
        if placed[0] not in found:
            raise InvalidState(
                f"the disk {placed[0]} of '{name}' was taken away again",
                hint="Somebody else changes the machine; look at its disks.",
            )
        return found[placed[0]]

    def detach_disk(self, name: str, disk: str) -> None:
        vm = self._connection.vm(name)

        def removal(devices: Any) -> list[Any]:
            device = disk_at(devices, disk)
            if device is None:
                names = ", ".join(each.name for each in disks(devices))
                raise NotFound(f"'{name}' has no disk '{disk}'", hint=f"It has {names or 'none'}.")
            return [change(device, "remove")]

        self._change_devices(vm, removal, f"detach '{disk}' of '{name}'")

    def attach_nic(self, name: str, nic: NicSpec) -> str:
        vm = self._connection.vm(name)
        root = placement.datacenter(self._connection)
        before: set[int] = set()

        def addition(devices: Any) -> list[Any]:
            if nic.mac and nic_of(devices, nic.mac) is not None:
                raise AlreadyExists(
                    f"'{name}' has a NIC {nic.mac} already", hint="Leave the address out."
                )
            before.update(device.key for device in devices)
            made = Additions(devices)
            made.nic(nic.model, placement.nic_backing(self._connection, root, nic), nic.mac)
            return made.changes

        with self._lock:  # the new one is told by its key
            self._change_devices(vm, addition, f"attach a NIC to '{name}'", locked=True)
            for device in self._devices(vm):
                is_nic = isinstance(device, vim.vm.device.VirtualEthernetCard)
                if is_nic and device.key not in before:
                    return str(device.macAddress).lower()
        raise InvalidState(
            f"the NIC of '{name}' was taken away again",
            hint="Somebody else changes the machine; look at its NICs.",
        )

    def detach_nic(self, name: str, mac: str) -> None:
        vm = self._connection.vm(name)

        def removal(devices: Any) -> list[Any]:
            device = nic_of(devices, mac)
            if device is None:
                raise NotFound(f"'{name}' has no NIC {mac}", hint="See its NICs and addresses.")
            return [change(device, "remove")]

        self._change_devices(vm, removal, f"detach the NIC {mac} of '{name}'")

    def set_vcpus(self, name: str, count: int) -> None:
        """Running, only more of them, and only where the machine was made with room for more."""
        vm = self._connection.vm(name)
        check_vcpus(count)
        found = self._connection.get(vm, *_SIZES)
        now = int(found["config.hardware.numCPU"])
        room = tags.settings(found["config.extraConfig"]).get(tags.VCPUS_MAXIMUM)
        hot = "config.cpuHotAddEnabled" if count > now else "config.cpuHotRemoveEnabled"
        _refuse(name, found, f"{count} processors", count, now, int(room or VCPUS_MAX), hot)
        spec = vim.vm.ConfigSpec(numCPUs=count)
        allocation = found["config.cpuAllocation"]
        if allocation and allocation.shares and str(allocation.shares.level) == "custom":
            each = allocation.shares.shares / now  # its weight stays what it was
            spec.cpuAllocation = vim.ResourceAllocationInfo(
                shares=vim.SharesInfo(level="custom", shares=round(each * count))
            )
        if count != now:
            self._reconfigure(vm, spec, f"give '{name}' {count} processors")

    def set_memory(self, name: str, size: int) -> None:
        """Running, only more of it, and only where the machine was made with room for more."""
        vm = self._connection.vm(name)
        if size < 1:
            raise InvalidInput(
                f"{size} bytes of memory are too little", hint="Give bytes: 1 << 30."
            )
        check_memory(size)
        found = self._connection.get(vm, *_SIZES)
        now = int(found["config.hardware.memoryMB"]) * MIB
        room = tags.settings(found["config.extraConfig"]).get(tags.MEMORY_MAXIMUM)
        hot = "config.memoryHotAddEnabled" if size > now else ""
        what = f"{size} bytes of memory"
        _refuse(name, found, what, size, now, int(room or MEMORY_MAX), hot)
        if size != now:
            spec = vim.vm.ConfigSpec(memoryMB=size // MIB)
            self._reconfigure(vm, spec, f"give '{name}' {what}")

    def insert_media(self, name: str, image: str, drive: str | None = None) -> str:
        """``image``: ``[datastore1] iso/debian.iso``."""
        vm = self._connection.vm(name)
        datastore_file(image)
        require_file(self._connection, placement.datacenter(self._connection), image)
        backing = vim.vm.device.VirtualCdrom.IsoBackingInfo(fileName=image)
        return self._set_media(vm, name, drive, backing, connected())

    def eject_media(self, name: str, drive: str | None = None) -> None:
        vm = self._connection.vm(name)
        backing = vim.vm.device.VirtualCdrom.RemotePassthroughBackingInfo(
            deviceName="", exclusive=False
        )
        empty = vim.vm.device.VirtualDevice.ConnectInfo(
            startConnected=False, allowGuestControl=True, connected=False
        )
        self._set_media(vm, name, drive, backing, empty)

    def _set_media(
        self, vm: Any, name: str, drive: str | None, backing: Any, connection: Any
    ) -> str:
        chosen: list[str] = []

        def edit(devices: Any) -> list[Any]:
            found = drives(devices)
            wanted = drive or next(iter(found), "")
            if wanted not in found:
                raise NotFound(
                    f"'{name}' has no CD drive {wanted}".rstrip(),
                    hint=f"It has {', '.join(found) or 'none: make it with cdrom'}.",
                )
            chosen[:] = [wanted]
            device = found[wanted]
            device.backing, device.connectable = backing, connection
            return [change(device, "edit")]

        self._change_devices(vm, edit, f"change the medium of '{name}'")
        return chosen[0]

    def _devices(self, vm: Any) -> list[Any]:
        found = self._connection.get(vm, "config.hardware.device")
        return list(found["config.hardware.device"] or ())

    def _change_devices(
        self,
        vm: Any,
        changes: Callable[[list[Any]], list[Any]],
        what: str,
        *,
        locked: bool = False,
    ) -> None:
        """Change the devices as they are now. When somebody else was faster, look again."""
        for _ in range(_ATTEMPTS):
            if locked:
                if self._tried(vm, changes, what):
                    return
            else:
                with self._lock:
                    if self._tried(vm, changes, what):
                        return
            token_in_force().wait(_PAUSE_SECONDS)
        raise HypervisorBusy(f"cannot {what}: others keep changing it", hint="Try again.")

    def _tried(self, vm: Any, changes: Callable[[list[Any]], list[Any]], what: str) -> bool:
        """False when the machine changed meanwhile; vSphere compares ``changeVersion``."""
        found = self._connection.get(vm, "config.changeVersion", "config.hardware.device")
        spec = vim.vm.ConfigSpec(
            deviceChange=changes(list(found["config.hardware.device"] or ())),
            changeVersion=found["config.changeVersion"],
        )
        try:
            self._connection.task(lambda: vm.ReconfigVM_Task(spec), what)
        except HypervisorBusy:
            return False
        return True

    def _reconfigure(self, vm: Any, spec: Any, what: str) -> None:
        self._connection.task(lambda: vm.ReconfigVM_Task(spec), what)


def _refuse(
    name: str, found: dict[str, Any], what: str, wanted: int, now: int, room: int, hot: str
) -> None:
    """``hot``: the property that allows it while the machine runs; empty: nothing does."""
    if wanted > room:
        raise LimitExceeded(
            f"'{name}' was made with room for less than {what}",
            hint="Make it with more room (vcpus_maximum, memory_maximum).",
        )
    if found["runtime.powerState"] == OFF or wanted == now or (hot and found[hot]):
        return
    if wanted > now:
        raise LimitExceeded(
            f"'{name}' runs and was made without room for {what}",
            hint="Stop it first, or make it with room (vcpus_maximum, memory_maximum).",
        )
    raise InvalidState(f"'{name}' runs and cannot be given less: {what}", hint="Stop it first.")
