"""Disks find their place in a definition: by file, by hardware, by order, or not at all."""

from __future__ import annotations

from typing import Any

import pytest
from pyVmomi import vim

from hypersdk.drivers.diskports import Placement
from hypersdk.drivers.vsphere.importspec import adjust, matched
from hypersdk.drivers.vsphere.tags import settings, tags_in
from hypersdk.model.errors import InvalidInput
from hypersdk.model.instances import Disk, Purpose

PV = "/web/ParaVirtualSCSIController0"


def item(path: str, device: str, kind: int = 17) -> Any:
    return vim.OvfManager.FileItem(
        deviceId=device, path=path, size=0, cimType=kind, create=kind != 17
    )


def test_files_of_our_names_come_first() -> None:
    items = [item("scsi0-1.vmdk", f"{PV}:0"), item("scsi0-0.vmdk", f"{PV}:1")]
    found = matched([Disk("scsi0-0", 1), Disk("scsi0-1", 1)], items)
    assert found == {"scsi0-0": f"{PV}:1", "scsi0-1": f"{PV}:0"}


def test_then_places_of_the_hardware() -> None:
    items = [
        item("a.vmdk", "/web/VirtualAHCIController0:1"),
        item("b.vmdk", "/web/VirtualLsiLogicController1:0"),
        item("c.nvram", "/web/nvram", 1),
    ]
    disks = [Disk("scsi1-0", 1), Disk("sata0-1", 1), Disk("nvram", 1, purpose=Purpose.NVRAM)]
    assert matched(disks, items) == {
        "scsi1-0": "/web/VirtualLsiLogicController1:0",
        "sata0-1": "/web/VirtualAHCIController0:1",
        "nvram": "/web/nvram",
    }


def test_then_the_order() -> None:
    items = [item("x-disk1.vmdk", f"{PV}:0"), item("x-disk2.vmdk", f"{PV}:1")]
    found = matched([Disk("vda", 1), Disk("vdb", 1)], items)
    assert found == {"vda": f"{PV}:0", "vdb": f"{PV}:1"}


def test_more_or_fewer_do_not_fit() -> None:
    with pytest.raises(InvalidInput, match=r"without a place are vda.*without a disk none"):
        matched([Disk("vda", 1)], [])
    with pytest.raises(InvalidInput, match=r"without a disk a\.vmdk"):
        matched([], [item("a.vmdk", f"{PV}:0")])


def test_cards_get_fresh_addresses_and_no_links() -> None:
    def card() -> Any:
        made = vim.vm.device.VirtualVmxnet3(key=1, macAddress="00:50:56:00:00:01")
        return vim.vm.ConfigSpec(deviceChange=[vim.vm.device.VirtualDeviceSpec(device=made)])

    kept, isolated = card(), card()
    adjust(kept, Placement(new_macs=False))
    adjust(isolated, Placement(isolated=True, tags={"by": "test"}))
    assert tags_in(settings(isolated.extraConfig)) == {"by": "test"}
    assert kept.deviceChange[0].device.macAddress == "00:50:56:00:00:01"
    assert isolated.deviceChange[0].device.macAddress is None
    assert isolated.deviceChange[0].device.connectable.startConnected is False
