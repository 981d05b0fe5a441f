"""What vSphere makes of a spec, and what is refused before it is asked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hypersdk.drivers.vsphere import tags
from hypersdk.drivers.vsphere.devices import Additions
from hypersdk.drivers.vsphere.specs import LIMITS, check, config_spec
from hypersdk.model.errors import HyperSDKError, InvalidInput, LimitExceeded, NotSupported
from hypersdk.model.specs import CloudInit, DiskSpec, InstanceSpec, NicSpec, PortSpec
from hypersdk.model.units import GIB, MIB, TIB

PLAIN = InstanceSpec(name="web", disks=(DiskSpec(size=MIB),))


def _config(**changes: Any) -> Any:
    spec = replace(PLAIN, **changes)
    check(spec)
    return config_spec(spec, Additions(), "datastore1", mhz=2400)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"name": "x" * 81}, InvalidInput),
        ({"name": "a/b"}, InvalidInput),
        ({"name": "two\nlines"}, InvalidInput),
        ({"vcpus": 769}, LimitExceeded),
        ({"vcpus_maximum": 1024}, LimitExceeded),
        ({"memory": 32 * TIB}, LimitExceeded),
        ({"memory": 65 * MIB}, InvalidInput),
        ({"firmware": "openfirmware"}, InvalidInput),
        ({"cpu_weight": 10_000, "vcpus": 64}, LimitExceeded),
        ({"disks": (DiskSpec(),)}, InvalidInput),
        ({"disks": (DiskSpec(size=63 * TIB),)}, LimitExceeded),
        ({"disks": (DiskSpec(size=1000),)}, InvalidInput),
        ({"disks": (DiskSpec(size=MIB, format="raw"),)}, InvalidInput),
        ({"disks": (DiskSpec(size=MIB, bus="usb"),)}, InvalidInput),
        ({"disks": (DiskSpec(size=MIB, path="/srv/disk.vmdk"),)}, InvalidInput),
        ({"disks": (DiskSpec(base="[ds] base.vmdk"),)}, NotSupported),
        ({"disks": (DiskSpec(name="scsi0-0", size=MIB),) * 2}, InvalidInput),
        ({"nics": (NicSpec(mac="00:50:56:00:00:01"),) * 2}, InvalidInput),
        ({"nics": (NicSpec(model="ne2000"),)}, InvalidInput),
        ({"cdrom": "/srv/debian.iso"}, InvalidInput),
        ({"kernel": "/boot/vmlinuz"}, InvalidInput),
        ({"acceleration": "tcg"}, InvalidInput),
        ({"image": "busybox"}, InvalidInput),
        ({"cloud_init": CloudInit(hostname="web")}, NotSupported),
        ({"ports": (PortSpec(host=80, inside=80),)}, NotSupported),
    ],
)
def test_it_is_refused(changes: dict[str, Any], error: type[HyperSDKError]) -> None:
    with pytest.raises(error) as raised:
        check(replace(PLAIN, **changes))
    assert raised.value.hint


def test_figures() -> None:
    config = _config(vcpus=2, memory=2 * GIB, firmware="uefi")
    assert (config.name, config.numCPUs, config.memoryMB) == ("web", 2, 2048)
    assert config.firmware == "efi"
    assert config.files.vmPathName == "[datastore1]"
    assert not config.cpuHotAddEnabled
    assert not config.memoryHotAddEnabled


def test_processor_time_is_in_shares_and_megahertz() -> None:
    allocation = _config(vcpus=2, cpu_weight=50, cpu_limit=0.5).cpuAllocation
    assert (allocation.shares.level, allocation.shares.shares) == ("custom", 1000)
    assert allocation.limit == 1200
    free = _config(vcpus=2).cpuAllocation
    assert (free.shares.level, free.limit) == ("normal", -1)


def test_room_for_hotplug_is_noted() -> None:
    config = _config(vcpus_maximum=4, memory=GIB, memory_maximum=2 * GIB)
    assert config.cpuHotAddEnabled
    assert config.memoryHotAddEnabled
    kept = tags.settings(config.extraConfig)
    assert kept[tags.VCPUS_MAXIMUM] == "4"
    assert kept[tags.MEMORY_MAXIMUM] == str(2 * GIB)


def test_each_has_ids_of_its_own() -> None:
    first, second = _config(), _config()
    assert len({first.uuid, first.instanceUuid, second.uuid, second.instanceUuid}) == 4


def test_limits_say_why() -> None:
    assert all(limit.note for limit in LIMITS)
    assert "lifecycle.start_paused" in {limit.aspect for limit in LIMITS}
