from __future__ import annotations

from typing import Any

import pytest
from pyVmomi import vim

from hypersdk.drivers.vsphere import translate
from hypersdk.model.instances import InstanceState

_Device = vim.vm.device


def _disk(key: int, controller: int, unit: int, *, size: int = 1 << 20) -> Any:
    backing = _Device.VirtualDisk.FlatVer2BackingInfo(fileName=f"[ds] web/{key}.vmdk")
    return _Device.VirtualDisk(
        key=key,
        controllerKey=controller,
        unitNumber=unit,
        capacityInBytes=size,
        capacityInKB=size >> 10,
        backing=backing,
    )


def _row(**more: Any) -> dict[str, Any]:
    return {
        "name": "web",
        "runtime.powerState": "poweredOn",
        "runtime.connectionState": "connected",
        "config.instanceUuid": "52dc1a5e-0000-0000-0000-000000000001",
        "config.hardware.numCPU": 2,
        "config.hardware.memoryMB": 512,
        translate.OWNED_PATH: None,
        **more,
    }


@pytest.mark.parametrize(
    ("power", "connection", "state"),
    [
        ("poweredOn", "connected", InstanceState.RUNNING),
        ("poweredOff", "connected", InstanceState.STOPPED),
        ("suspended", "connected", InstanceState.PAUSED),
        ("poweredOn", "disconnected", InstanceState.UNKNOWN),
        ("poweredOff", "inaccessible", InstanceState.UNKNOWN),
        ("other", "connected", InstanceState.UNKNOWN),
    ],
)
def test_states(power: str, connection: str, state: InstanceState) -> None:
    assert translate.state(power, connection) is state


def test_an_instance_as_it_is_listed() -> None:
    found = translate.instance("vm-1", _row(), folder="prod")
    assert (found.id, found.name) == ("52dc1a5e-0000-0000-0000-000000000001", "web")
    assert (found.vcpus, found.memory, found.folder) == (2, 512 << 20, "prod")
    assert (found.disks, found.owned, dict(found.tags)) == ((), False, {})


def test_an_instance_without_a_configuration() -> None:
    row = dict.fromkeys(_row())
    found = translate.instance("vm-1", {**row, "runtime.connectionState": "inaccessible"})
    assert (found.id, found.name, found.vcpus) == ("vm-1", "vm-1", 0)
    assert found.state is InstanceState.UNKNOWN


def test_ownership_is_a_setting() -> None:
    assert translate.instance("vm-1", _row(**{translate.OWNED_PATH: "1"})).owned


def test_disks_are_named_by_their_places() -> None:
    devices = [
        _Device.ParaVirtualSCSIController(key=1000, busNumber=0),
        _Device.VirtualLsiLogicController(key=1001, busNumber=1),
        _Device.VirtualAHCIController(key=15000, busNumber=0),
        _Device.VirtualIDEController(key=200, busNumber=0),
        _Device.VirtualNVMEController(key=31000, busNumber=0),
        _disk(2016, 1001, 0),
        _disk(2010, 1000, 10),
        _disk(2002, 1000, 2),
        _disk(16000, 15000, 0),
        _disk(3000, 200, 1),
        _disk(32000, 31000, 0, size=3 << 40),
        _disk(9000, 77, 0),
    ]
    found = translate.disks(devices, tracked=True)
    names = [disk.name for disk in found]
    assert names == [
        "disk0-0", "ide0-1", "nvme0-0", "sata0-0", "scsi0-2", "scsi0-10", "scsi1-0",
    ]  # fmt: skip
    nvme = found[names.index("nvme0-0")]
    assert (nvme.size, nvme.format, nvme.path) == (3 << 40, "vmdk", "[ds] web/32000.vmdk")
    assert nvme.granularity == 65536
    assert translate.disks(devices)[0].granularity == 0


def test_a_size_in_kilobytes_is_enough() -> None:
    disk = _Device.VirtualDisk(key=1, capacityInKB=4)
    assert translate.capacity(disk) == 4096


@pytest.mark.parametrize("name", ["web", "a/b", "50%", "a\\b", "x%2fy"])
def test_names_in_paths_and_back(name: str) -> None:
    escaped = translate.escaped(name)
    assert "/" not in escaped
    assert translate.plain(escaped) == name
