"""Places of disks, and devices that are to be added."""

from __future__ import annotations

from typing import Any

import pytest
from pyVmomi import vim

from hypersdk.drivers.vsphere import devices
from hypersdk.drivers.vsphere.devices import Additions, Device, Place, place_named, thin
from hypersdk.model.errors import AlreadyExists, InvalidInput, LimitExceeded
from hypersdk.model.units import MIB

NETWORK = Device.VirtualEthernetCard.NetworkBackingInfo(deviceName="VM Network")


def _made(additions: Additions) -> list[Any]:
    return [change.device for change in additions.changes]


def _disk(additions: Additions, name: str = "", bus: str = "virtio") -> str:
    return additions.disk(name, bus, thin("[ds]"), MIB, create=True).name


@pytest.mark.parametrize("name", ["scsi0-0", "scsi3-15", "sata1-29", "nvme0-14", "ide1-1"])
def test_names_are_places(name: str) -> None:
    assert place_named(name).name == name


@pytest.mark.parametrize("name", ["vda", "scsi0-7", "scsi0-16", "sata0-30", "ide0-2", "scsi-1", ""])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="no place of a disk"):
        place_named(name)


def test_the_first_disk_comes_with_its_controller() -> None:
    additions = Additions()
    assert _disk(additions) == "scsi0-0"
    controller, disk = _made(additions)
    assert isinstance(controller, Device.ParaVirtualSCSIController)
    assert disk.controllerKey == controller.key < 0
    assert (disk.unitNumber, disk.capacityInBytes, disk.backing.thinProvisioned) == (0, MIB, True)


def test_the_next_disk_leaves_out_the_controllers_own_place() -> None:
    additions = Additions()
    names = [_disk(additions) for _ in range(16)]
    assert names[6:8] == ["scsi0-6", "scsi0-8"]
    assert names[-1] == "scsi1-0"
    assert len({*names}) == 16


def test_all_places_may_be_taken() -> None:
    additions = Additions()
    for _ in range(60):
        _disk(additions, bus="nvme")
    with pytest.raises(LimitExceeded, match="nvme"):
        _disk(additions, bus="nvme")


def test_a_named_place_is_taken_once() -> None:
    additions = Additions()
    assert _disk(additions, "sata1-3") == "sata1-3"
    with pytest.raises(AlreadyExists, match="sata1-3"):
        _disk(additions, "sata1-3")


def test_unknown_buses_are_refused() -> None:
    with pytest.raises(InvalidInput, match="no bus 'usb'"):
        _disk(Additions(), bus="usb")


def test_a_file_that_is_there_is_not_made() -> None:
    additions = Additions()
    additions.disk("", "scsi", thin("[ds] a/a.vmdk"), 0, create=False)
    assert additions.changes[-1].fileOperation is None
    assert additions.changes[-1].device.capacityInKB == 0


def test_nics_have_an_address_of_their_own_or_the_given_one() -> None:
    additions = Additions()
    additions.nic("virtio", NETWORK)
    additions.nic("e1000", NETWORK, "00:50:56:00:12:AB")
    first, second = _made(additions)
    assert isinstance(first, Device.VirtualVmxnet3)
    assert (first.addressType, first.macAddress) == ("generated", None)
    assert isinstance(second, Device.VirtualE1000)
    assert (second.addressType, second.macAddress) == ("manual", "00:50:56:00:12:ab")
    assert devices.nic_of(_made(additions), "00:50:56:00:12:AB") is second


@pytest.mark.parametrize("mac", ["nonsense", "01:50:56:00:12:34"])
def test_impossible_addresses_are_refused(mac: str) -> None:
    with pytest.raises(InvalidInput, match="MAC"):
        Additions().nic("virtio", NETWORK, mac)


def test_unknown_models_are_refused() -> None:
    with pytest.raises(InvalidInput, match="no NIC model 'ne2000'"):
        Additions().nic("ne2000", NETWORK)


def test_drives_and_disks_are_found_by_their_places() -> None:
    additions = Additions()
    _disk(additions)
    drive = additions.drive("[ds] a.iso")
    found = _made(additions)
    assert drive == Place("sata", 0, 0)
    assert list(devices.drives(found)) == ["sata0-0"]
    assert isinstance(devices.disk_at(found, "scsi0-0"), vim.vm.device.VirtualDisk)
    assert devices.disk_at(found, "sata0-0") is None
