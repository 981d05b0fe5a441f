"""What vSphere says about machines, in our words. Nothing here asks vSphere anything."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from pyVmomi import vim

from hypersdk.drivers.vsphere.tags import OWNED as OWNED_KEY
from hypersdk.drivers.vsphere.tags import settings as settings_of
from hypersdk.drivers.vsphere.tags import tags_in
from hypersdk.model.instances import Disk, Instance, InstanceState
from hypersdk.model.units import KIB, MIB

OWNED = "1"
#: The one property that tells of ownership without reading all settings.
OWNED_PATH = f'config.extraConfig["{OWNED_KEY}"].value'
#: Bytes that vSphere records changes in.
CHANGE_BYTES = 64 * KIB

#: What `instance` needs, cheap enough for ten thousand.
LISTED = (
    "name",
    "parent",
    "runtime.powerState",
    "runtime.connectionState",
    "config.instanceUuid",
    "config.hardware.numCPU",
    "config.hardware.memoryMB",
    OWNED_PATH,
)
#: What it can use besides, of one.
DESCRIBED = (
    *LISTED,
    "config.extraConfig",
    "config.hardware.device",
    "config.changeTrackingEnabled",
)

_POWER = {
    "poweredOn": InstanceState.RUNNING,
    "poweredOff": InstanceState.STOPPED,
    "suspended": InstanceState.PAUSED,
}
#: Kind of controller → bus in the names of its disks. The first that fits.
_BUSES: tuple[tuple[type, str], ...] = (
    (vim.vm.device.VirtualSCSIController, "scsi"),
    (vim.vm.device.VirtualSATAController, "sata"),
    (vim.vm.device.VirtualIDEController, "ide"),
    (vim.vm.device.VirtualNVMEController, "nvme"),
)


def state(power: object, connection: object = "connected") -> InstanceState:
    """Suspended is paused. What vCenter cannot reach is unknown: it shows what it last heard."""
    if connection is not None and str(connection) != "connected":
        return InstanceState.UNKNOWN
    return _POWER.get(str(power), InstanceState.UNKNOWN)


def instance(moid: str, row: Mapping[str, Any], *, folder: str = "") -> Instance:
    """From properties as in `LISTED` or `DESCRIBED`. A machine whose configuration cannot be read
    (its datastore is gone) has its managed object id for an id, and no size."""
    settings = row.get("config.extraConfig") or ()
    found = tags_in(settings_of(settings))
    return Instance(
        id=str(row.get("config.instanceUuid") or moid),
        name=plain(str(row["name"] or moid)),
        state=state(row["runtime.powerState"], row["runtime.connectionState"]),
        vcpus=int(row["config.hardware.numCPU"] or 0),
        memory=int(row["config.hardware.memoryMB"] or 0) * MIB,
        disks=disks(
            row.get("config.hardware.device") or (),
            tracked=bool(row.get("config.changeTrackingEnabled")),
        ),
        tags=found,
        owned=str(row.get(OWNED_PATH) or "") == OWNED,
        folder=folder,
    )


def disks(devices: Sequence[Any], *, tracked: bool = False) -> tuple[Disk, ...]:
    """The disks among a machine's devices, in the order of their places. ``tracked``: their
    changes are recorded."""
    controllers = {device.key: device for device in devices}
    found = [device for device in devices if isinstance(device, vim.vm.device.VirtualDisk)]
    return tuple(
        Disk(
            name=disk_name(device, controllers),
            size=capacity(device),
            format="vmdk",
            path=str(getattr(device.backing, "fileName", "") or ""),
            granularity=CHANGE_BYTES if tracked else 0,
        )
        for device in sorted(found, key=lambda device: _order(device, controllers))
    )


def disk_name(device: Any, controllers: Mapping[int, Any]) -> str:
    """``scsi0-1``: bus, number of the controller, unit; as the guest's hardware has it, so it stays
    the same when files are moved or snapshots taken. ``controllers``: key → device."""
    controller = controllers.get(device.controllerKey)
    number = 0 if controller is None else int(controller.busNumber)
    return f"{bus(controller)}{number}-{device.unitNumber or 0}"


def bus(controller: Any) -> str:
    """``scsi``, ``sata``, ``ide``, ``nvme``; ``disk`` for one that is not known."""
    return next((name for kind, name in _BUSES if isinstance(controller, kind)), "disk")


def capacity(device: Any) -> int:
    """Bytes that the guest sees."""
    return int(device.capacityInBytes or (device.capacityInKB or 0) * KIB)


def plain(name: str) -> str:
    """A name as people write it: vSphere's own have ``%2f`` for a slash, ``%25`` for a per cent."""
    return unquote(name) if "%" in name else name


def escaped(name: str) -> str:
    """A name as it stands in inventory paths."""
    return name.replace("%", "%25").replace("/", "%2f").replace("\\", "%5c")


def _order(device: Any, controllers: Mapping[int, Any]) -> tuple[str, int, float]:
    controller = controllers.get(device.controllerKey)
    unit = device.unitNumber
    number = 0 if controller is None else int(controller.busNumber)
    return bus(controller), number, math.inf if unit is None else unit
