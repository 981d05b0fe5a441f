"""Devices of a virtual machine: where they sit, and the changes that add, edit and remove them.

A disk is named by its place: ``scsi0-1`` is unit 1 of the first SCSI controller. Keys of devices
that are still to be made are negative; vSphere gives them their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pyVmomi import vim

from hypersdk.model.errors import AlreadyExists, InvalidInput, LimitExceeded
from hypersdk.model.units import TIB

Device = vim.vm.device
#: Largest virtual disk (VMware configuration maximums, vSphere 8).
DISK_MAX = 62 * TIB
_NAME = re.compile(r"(scsi|sata|nvme|ide)(\d)-(\d{1,2})")
#: Bus of a `DiskSpec` → what it is here.
BUSES = {"virtio": "scsi", "scsi": "scsi", "sata": "sata", "nvme": "nvme"}
#: Bus → the controller that is added for it.
_CONTROLLERS = {
    "scsi": Device.ParaVirtualSCSIController,
    "sata": Device.VirtualAHCIController,
    "nvme": Device.VirtualNVMEController,
}
_KINDS = {
    "scsi": Device.VirtualSCSIController,
    "sata": Device.VirtualSATAController,
    "nvme": Device.VirtualNVMEController,
    "ide": Device.VirtualIDEController,
}
#: Units of one controller; 7 of SCSI is the controller itself.
_UNITS = {
    "scsi": (*range(7), *range(8, 16)),
    "sata": tuple(range(30)),
    "nvme": tuple(range(15)),
    "ide": (0, 1),
}
_CONTROLLERS_MAX = 4
#: Models of NICs; ``virtio`` asks for what is made for virtual machines.
NICS = {
    "virtio": Device.VirtualVmxnet3,
    "vmxnet3": Device.VirtualVmxnet3,
    "e1000": Device.VirtualE1000,
    "e1000e": Device.VirtualE1000e,
    "pcnet32": Device.VirtualPCNet32,
}
_MAC = re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a disk or a drive sits."""

    bus: str
    controller: int
    unit: int

    @property
    def name(self) -> str:
        return f"{self.bus}{self.controller}-{self.unit}"


def place_named(name: str) -> Place:
    """Raises InvalidInput for what names no place."""
    found = _NAME.fullmatch(name)
    place = Place(found[1], int(found[2]), int(found[3])) if found else None
    if place is None or place.unit not in _UNITS[place.bus]:
        raise InvalidInput(
            f"'{name}' is no place of a disk",
            hint="Disks are named by where they sit: scsi0-1, sata0-0, nvme0-0. "
            "Leave the name out for the next free place.",
        )
    return place


def place_of(device: Any, devices: Iterable[Any]) -> Place | None:
    """None for a device that sits at no bus for disks."""
    for controller in devices:
        if controller.key != device.controllerKey:
            continue
        for bus, kind in _KINDS.items():
            if isinstance(controller, kind):
                return Place(bus, controller.busNumber, device.unitNumber or 0)
    return None


def placed(devices: Sequence[Any]) -> Iterator[tuple[Place, Any]]:
    """All that sits at a bus for disks."""
    for device in devices:
        place = place_of(device, devices) if device.controllerKey is not None else None
        if place is not None:
            yield place, device


def disk_at(devices: Sequence[Any], name: str) -> Any | None:
    """The disk of this name."""
    found = {place.name: device for place, device in placed(devices)}.get(name)
    return found if isinstance(found, Device.VirtualDisk) else None


def nic_of(devices: Iterable[Any], mac: str) -> Any | None:
    """The NIC with this MAC address."""
    for device in devices:
        is_nic = isinstance(device, Device.VirtualEthernetCard)
        if is_nic and (device.macAddress or "").lower() == mac.lower():
            return device
    return None


def drives(devices: Sequence[Any]) -> dict[str, Any]:
    """CD drives by name, in order."""
    found = {
        place.name: device
        for place, device in placed(devices)
        if isinstance(device, Device.VirtualCdrom)
    }
    return dict(sorted(found.items()))


def change(device: Any, operation: str, file: str | None = None) -> Any:
    """``add``, ``edit`` or ``remove``; ``file``: ``create`` or ``destroy`` what is behind it."""
    return Device.VirtualDeviceSpec(operation=operation, fileOperation=file, device=device)


class Additions:
    """Devices that are to be added together; controllers that they need are added with them."""

    def __init__(self, devices: Sequence[Any] = ()) -> None:
        self._devices = list(devices)
        self._key = -100
        self.changes: list[Any] = []

    def disk(self, name: str, bus: str, backing: Any, size: int, *, create: bool) -> Place:
        """``size`` in bytes; ``create``: the file is made. Raises AlreadyExists for a taken place,
        LimitExceeded when there is no free one."""
        controller, place = self._place(name, BUSES.get(bus, bus))
        device = Device.VirtualDisk(
            key=self._next(),
            controllerKey=controller.key,
            unitNumber=place.unit,
            backing=backing,
        )
        if create:
            device.capacityInBytes = size
            device.capacityInKB = size // 1024
        self._add(device, "create" if create else None)
        return place

    def drive(self, image: str) -> Place:
        """A CD drive with this ISO image of a datastore in it."""
        controller, place = self._place("", "sata")
        self._add(
            Device.VirtualCdrom(
                key=self._next(),
                controllerKey=controller.key,
                unitNumber=place.unit,
                backing=Device.VirtualCdrom.IsoBackingInfo(fileName=image),
                connectable=connected(),
            )
        )
        return place

    def nic(self, model: str, backing: Any, mac: str = "") -> None:
        """``mac`` empty: vSphere chooses one. Raises InvalidInput."""
        kind = NICS.get(model)
        if kind is None:
            raise InvalidInput(
                f"there is no NIC model '{model}'", hint=f"One of {', '.join(sorted(NICS))}."
            )
        if mac and (_MAC.fullmatch(mac.lower()) is None or int(mac[:2], 16) & 1):
            raise InvalidInput(
                f"'{mac}' is not the MAC address of a NIC", hint="00:50:56:00:12:34 is one."
            )
        self._add(
            kind(
                key=self._next(),
                backing=backing,
                addressType="manual" if mac else "generated",
                macAddress=mac.lower() or None,
                connectable=connected(),
                wakeOnLanEnabled=True,
            )
        )

    def _add(self, device: Any, file: str | None = None) -> None:
        self._devices.append(device)
        self.changes.append(change(device, "add", file))

    def _next(self) -> int:
        self._key -= 1
        return self._key

    def _place(self, name: str, bus: str) -> tuple[Any, Place]:
        """The controller and a free place at it, which both may be new."""
        taken = {(place.bus, place.controller, place.unit) for place, _ in placed(self._devices)}
        if name:
            place = place_named(name)
            if (place.bus, place.controller, place.unit) in taken:
                raise AlreadyExists(
                    f"the place '{name}' is taken", hint="Leave the name out for a free one."
                )
            return self._controller(place.bus, place.controller), place
        if bus not in _CONTROLLERS:
            raise InvalidInput(
                f"there is no bus '{bus}' for disks", hint=f"One of {', '.join(sorted(BUSES))}."
            )
        for number in range(_CONTROLLERS_MAX):
            for unit in _UNITS[bus]:
                if (bus, number, unit) not in taken:
                    return self._controller(bus, number), Place(bus, number, unit)
        raise LimitExceeded(
            f"all places for disks at the bus {bus} are taken", hint="Detach one, or use another."
        )

    def _controller(self, bus: str, number: int) -> Any:
        for device in self._devices:
            if isinstance(device, _KINDS[bus]) and device.busNumber == number:
                return device
        if bus not in _CONTROLLERS or number >= _CONTROLLERS_MAX:
            raise InvalidInput(
                f"there is no controller {bus}{number}, and none can be added",
                hint=f"Controllers are numbered 0 to {_CONTROLLERS_MAX - 1}.",
            )
        made = _CONTROLLERS[bus](key=self._next(), busNumber=number)
        if bus == "scsi":
            made.sharedBus = "noSharing"
        self._add(made)
        return made


def connected() -> Any:
    return Device.VirtualDevice.ConnectInfo(
        startConnected=True, allowGuestControl=True, connected=True
    )


def thin(file: str, datastore: Any = None) -> Any:
    """Backing of a thin disk: a file that is there, or one to make (``[datastore]`` alone: beside
    the machine's other files there)."""
    return Device.VirtualDisk.FlatVer2BackingInfo(
        fileName=file, diskMode="persistent", thinProvisioned=True, datastore=datastore
    )
