"""A machine's devices as vSphere describes them (``config.hardware.device``), in our words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pyVmomi import vim

from hypersdk.drivers.vsphere import translate
from hypersdk.model.details import DeviceDetails, DiskDetails, NicDetails

_Device = vim.vm.device
_Disk = vim.vm.device.VirtualDisk

_RDM_KINDS = {"physicalMode": "rdm-physical", "virtualMode": "rdm-virtual"}
#: The first that fits counts: some are kinds of those below them.
_CONTROLLERS: tuple[tuple[type, str], ...] = (
    (_Device.ParaVirtualSCSIController, "pvscsi"),
    (_Device.VirtualLsiLogicSASController, "lsilogic-sas"),
    (_Device.VirtualLsiLogicController, "lsilogic"),
    (_Device.VirtualBusLogicController, "buslogic"),
    (_Device.VirtualNVMEController, "nvme"),
    (_Device.VirtualAHCIController, "ahci"),
    (_Device.VirtualIDEController, "ide"),
)
_NICS: tuple[tuple[type, str], ...] = (
    (_Device.VirtualSriovEthernetCard, "sriov"),
    (_Device.VirtualVmxnet3Vrdma, "vmxnet3-rdma"),
    (_Device.VirtualVmxnet3, "vmxnet3"),
    (_Device.VirtualVmxnet2, "vmxnet2"),
    (_Device.VirtualVmxnet, "vmxnet"),
    (_Device.VirtualE1000e, "e1000e"),
    (_Device.VirtualE1000, "e1000"),
    (_Device.VirtualPCNet32, "pcnet32"),
)
_KINDS: tuple[tuple[type, str], ...] = (
    (_Device.VirtualUSB, "usb"),
    (_Device.VirtualTPM, "tpm"),
    (_Device.VirtualPCIPassthrough, "passthrough"),
    (_Device.VirtualSCSIPassthrough, "passthrough"),
    (_Device.VirtualSriovEthernetCard, "sriov"),
    (_Device.VirtualCdrom, "cdrom"),
    (_Device.VirtualFloppy, "floppy"),
    (_Device.VirtualSerialPort, "serial"),
    (_Device.VirtualParallelPort, "parallel"),
    (_Device.VirtualNVDIMM, "nvdimm"),
)
#: What tells what is behind a device, in the order of preference.
_BEHIND = ("fileName", "deviceName", "vgpu", "pipeName", "serviceURI", "id")


def disks(
    devices: Sequence[Any], settings: Mapping[str, str], *, tracked: bool | None
) -> tuple[DiskDetails, ...]:
    """In the order of `translate.disks`. ``settings``: advanced settings. ``tracked``: changed
    blocks are recorded for the machine."""
    controllers = {device.key: device for device in devices}
    found = {
        translate.disk_name(device, controllers): device
        for device in devices
        if isinstance(device, _Disk)
    }
    return tuple(
        _disk(disk.name, found[disk.name], controllers, settings, tracked)
        for disk in translate.disks(devices)
    )


def nics(
    devices: Sequence[Any], networks: Mapping[str, str], addresses: Mapping[int, tuple[str, ...]]
) -> tuple[NicDetails, ...]:
    """``networks``: id → name. ``addresses``: key of a device → what the guest has there."""
    return tuple(
        NicDetails(
            name=_label(device),
            mac=str(device.macAddress or ""),
            network=_network(device.backing, networks),
            model=_named(device, _NICS),
            connected=_connected(device),
            addresses=addresses.get(device.key, ()),
        )
        for device in devices
        if isinstance(device, _Device.VirtualEthernetCard)
    )


def others(devices: Sequence[Any]) -> tuple[DeviceDetails, ...]:
    """What is neither disk nor NIC; of NICs those that are a part of the host's."""
    found = []
    for device in devices:
        if kind := _named(device, _KINDS):
            if isinstance(device.backing, _Device.VirtualPCIPassthrough.VmiopBackingInfo):
                kind = "vgpu"
            detail = _behind(device.backing)
            found.append(DeviceDetails(kind=kind, name=_label(device), detail=detail))
    return tuple(found)


def controller(device: Any) -> str:
    """``pvscsi``, ``nvme`` …; empty for one that is not known."""
    return _named(device, _CONTROLLERS)


def _disk(
    name: str,
    device: Any,
    controllers: Mapping[int, Any],
    settings: Mapping[str, str],
    tracked: bool | None,
) -> DiskDetails:
    backing, above = device.backing, controllers.get(device.controllerKey)
    path = str(getattr(backing, "fileName", "") or "")
    place = name.replace("-", ":")
    mode = str(getattr(backing, "diskMode", "") or "")
    return DiskDetails(
        name=name,
        size=translate.capacity(device),
        path=path,
        storage=path[1 : path.index("]")] if path.startswith("[") and "]" in path else "",
        backing=_backing(backing),
        independent="independent" in mode if mode else None,
        shared=_shared(backing, above),
        thin=_thin(backing),
        changed_blocks=_recorded(settings.get(f"{place}.ctkEnabled"), tracked),
        serial=str(getattr(backing, "uuid", "") or ""),
        place=place,
        controller=controller(above),
    )


def _backing(backing: Any) -> str:
    if isinstance(backing, _Disk.RawDiskMappingVer1BackingInfo):
        return _RDM_KINDS.get(str(backing.compatibilityMode), "rdm-virtual")
    if isinstance(backing, _Device.VirtualDevice.FileBackingInfo):
        return "file"
    return "device"


def _shared(backing: Any, above: Any) -> bool | None:
    sharing = getattr(backing, "sharing", None)
    bus = getattr(above, "sharedBus", None)
    if str(sharing) == "sharingMultiWriter" or str(bus) in ("physicalSharing", "virtualSharing"):
        return True
    return None if sharing is None and bus is None else False


def _thin(backing: Any) -> bool | None:
    if isinstance(backing, _Disk.SeSparseBackingInfo | _Disk.SparseVer2BackingInfo):
        return True
    thin = getattr(backing, "thinProvisioned", None)
    return None if thin is None else bool(thin)


def _recorded(setting: str | None, tracked: bool | None) -> bool | None:
    """The disk's own setting counts; without one the machine's says at least what is not."""
    if setting is not None:
        return setting.lower() == "true"
    return None if tracked is None else tracked


def _network(backing: Any, networks: Mapping[str, str]) -> str:
    port = getattr(backing, "port", None)
    if port is not None:
        key = str(port.portgroupKey or "")
        return networks.get(key, key)
    opaque = getattr(backing, "opaqueNetworkId", None)
    if opaque is not None:
        return networks.get(str(opaque), str(opaque))
    return str(getattr(backing, "deviceName", "") or "")


def _connected(device: Any) -> bool | None:
    if device.connectable is None:
        return None
    return bool(device.connectable.connected or device.connectable.startConnected)


def _behind(backing: Any) -> str:
    for field in _BEHIND:
        if value := getattr(backing, field, None):
            return str(value)
    return ""


def _label(device: Any) -> str:
    return str(device.deviceInfo.label) if device.deviceInfo is not None else str(device.key)


def _named(device: Any, kinds: tuple[tuple[type, str], ...]) -> str:
    return next((name for kind, name in kinds if isinstance(device, kind)), "")
