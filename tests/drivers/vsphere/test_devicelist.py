from __future__ import annotations

from typing import Any

import pytest
from pyVmomi import vim

from hypersdk.drivers.vsphere import devicelist

_Device = vim.vm.device


def _described(device: Any, label: str) -> Any:
    device.deviceInfo = vim.Description(label=label, summary="")
    return device


def test_a_disk_on_a_shared_bus_is_shared() -> None:
    controller = _Device.VirtualLsiLogicSASController(
        key=1000, busNumber=2, sharedBus="physicalSharing"
    )
    backing = _Device.VirtualDisk.FlatVer2BackingInfo(
        fileName="[a b] x/x.vmdk", diskMode="independent_nonpersistent"
    )
    disk = _Device.VirtualDisk(
        key=2000, controllerKey=1000, unitNumber=3, capacityInKB=1024, backing=backing
    )
    (found,) = devicelist.disks([controller, disk], {}, tracked=None)
    assert (found.name, found.place, found.controller) == ("scsi2-3", "scsi2:3", "lsilogic-sas")
    assert (found.shared, found.independent, found.thin) == (True, True, None)
    assert (found.storage, found.changed_blocks) == ("a b", None)


@pytest.mark.parametrize(
    ("setting", "tracked", "recorded"),
    [("TRUE", True, True), ("false", True, False), (None, False, False), (None, True, True)],
)
def test_changed_blocks_are_told_disk_by_disk(
    setting: str | None, tracked: bool, recorded: bool
) -> None:
    disk = _Device.VirtualDisk(key=1, controllerKey=9, unitNumber=0, capacityInKB=1)
    settings = {} if setting is None else {"disk0:0.ctkEnabled": setting}
    (found,) = devicelist.disks([disk], settings, tracked=tracked)
    assert found.changed_blocks is recorded
    assert found.backing == "device"


def test_nics_of_all_kinds() -> None:
    port = vim.dvs.PortConnection(portgroupKey="dvportgroup-7", switchUuid="x")
    cards = [
        _described(
            _Device.VirtualVmxnet3(
                key=4000,
                macAddress="00:50:56:00:00:01",
                backing=_Device.VirtualEthernetCard.DistributedVirtualPortBackingInfo(port=port),
                connectable=_Device.VirtualDevice.ConnectInfo(
                    startConnected=True, connected=False, allowGuestControl=True
                ),
            ),
            "Network adapter 1",
        ),
        _Device.VirtualSriovEthernetCard(
            key=4001,
            backing=_Device.VirtualEthernetCard.NetworkBackingInfo(deviceName="VM Network"),
        ),
        _Device.VirtualE1000e(
            key=4002,
            backing=_Device.VirtualEthernetCard.OpaqueNetworkBackingInfo(
                opaqueNetworkId="ls-1", opaqueNetworkType="nsx.LogicalSwitch"
            ),
        ),
    ]
    first, second, third = devicelist.nics(
        cards, {"dvportgroup-7": "prod"}, {4000: ("10.0.0.1", "fe80::1")}
    )
    assert (first.name, first.network, first.model) == ("Network adapter 1", "prod", "vmxnet3")
    assert (first.connected, first.addresses) == (True, ("10.0.0.1", "fe80::1"))
    assert (second.network, second.model, second.connected) == ("VM Network", "sriov", None)
    assert (third.network, third.model) == ("ls-1", "e1000e")


def test_devices_besides() -> None:
    vgpu = _Device.VirtualPCIPassthrough.VmiopBackingInfo(vgpu="grid_t4-8q")
    iso = _Device.VirtualCdrom.IsoBackingInfo(fileName="[ds] x.iso")
    found = devicelist.others(
        [
            _described(_Device.VirtualPCIPassthrough(key=1, backing=vgpu), "PCI device 0"),
            _Device.VirtualPCIPassthrough(
                key=2,
                backing=_Device.VirtualPCIPassthrough.DeviceBackingInfo(
                    deviceName="nic", deviceId="1", id="0000:03:00.0", systemId="s", vendorId=1
                ),
            ),
            _Device.VirtualCdrom(key=3, backing=iso),
            _Device.VirtualSriovEthernetCard(key=4),
            _Device.VirtualUSB(key=5),
            _Device.VirtualVmxnet3(key=6),
        ]
    )
    assert [(each.kind, each.detail) for each in found] == [
        ("vgpu", "grid_t4-8q"),
        ("passthrough", "nic"),
        ("cdrom", "[ds] x.iso"),
        ("sriov", ""),
        ("usb", ""),
    ]
    assert found[0].name == "PCI device 0"
