"""Devices that come and go; what needs a guest that agrees is tried with the lab's."""

from __future__ import annotations

import time

import pytest

from hypersdk.drivers.qmp.hotplug import QmpHotplug
from hypersdk.drivers.qmp.serial import QmpSerialStream
from hypersdk.model.errors import (
    AlreadyExists,
    InvalidInput,
    InvalidState,
    LimitExceeded,
    NotFound,
    OperationTimeout,
)
from hypersdk.model.specs import DiskSpec, NicSpec
from hypersdk.model.units import MIB
from tests.drivers.qmp.conftest import Place
from tests.kvm.system import System


def until(line: QmpSerialStream, word: bytes, seconds: float = 60.0) -> bytes:
    """What the guest says up to ``word``."""
    said = b""
    deadline = time.monotonic() + seconds
    while word not in said:
        assert time.monotonic() < deadline, said[-500:]
        said += line.read(0.5)
    return said


def test_a_guest_sees_devices_come_and_lets_them_go(place: Place, system: System) -> None:
    place.create(
        memory=128 * MIB,
        kernel=str(system.kernel),
        initrd=str(system.initramfs),
        kernel_arguments="console=ttyS0",
        vcpus_maximum=2,
        memory_maximum=256 * MIB,
    )
    place.driver.lifecycle.start("web", paused=True)
    hotplug = place.driver.hotplug
    with place.driver.console.serial("web") as line:
        place.driver.lifecycle.resume("web")
        until(line, b"LAB READY")
        hotplug.attach_disk("web", DiskSpec(name="vdb", size=2 * MIB))
        mac = hotplug.attach_nic("web", NicSpec())
        hotplug.set_vcpus("web", 2)
        hotplug.set_memory("web", 256 * MIB)
        line.write(
            b"1 until [ -e /sys/block/vdb ] && [ -e /sys/class/net/eth0 ]; do sleep 0.1; done\n"
        )
        until(line, b"LAB DONE 1 0")
        line.write(b"2 until [ -e /sys/devices/system/cpu/cpu1 ]; do sleep 0.1; done\n")
        until(line, b"LAB DONE 2 0")
        hotplug.detach_disk("web", "vdb")
        hotplug.detach_nic("web", mac)
        line.write(b"3 ls /sys/block /sys/class/net\n")
        said = until(line, b"LAB DONE 3 0")
        assert b"vdb" not in said
        assert b"eth0" not in said
        with pytest.raises(InvalidState, match="no memory can be taken"):
            hotplug.set_memory("web", 128 * MIB)
    place.driver.lifecycle.stop("web", timeout=60)
    seen = place.driver.inventory.instance("web")
    assert (seen.vcpus, seen.memory) == (2, 256 * MIB)
    assert [disk.name for disk in seen.disks] == ["vda"]


def test_a_guest_that_holds_on_keeps_its_disk(place: Place) -> None:
    place.running()
    impatient = QmpHotplug(
        place.driver.hotplug._root, place.driver.hotplug._power, detach_seconds=0.3
    )
    with pytest.raises(OperationTimeout, match="let go of disk 'vda'"):
        impatient.detach_disk("web", "vda")
    assert [disk.name for disk in place.driver.inventory.instance("web").disks] == ["vda"]


def test_a_free_port_is_used_again_and_a_full_machine_says_so(place: Place) -> None:
    place.create()
    hotplug = place.driver.hotplug
    for number in range(3):
        hotplug.attach_disk("web", DiskSpec(name=f"d{number}", size=MIB))
    hotplug.detach_disk("web", "d1")
    place.driver.lifecycle.start("web")
    hotplug.attach_disk("web", DiskSpec(name="again", size=MIB))
    ports = [disk["port"] for disk in place.backend.definition("web")[1]["disks"]]
    assert sorted(ports) == [0, 1, 2, 3]
    with pytest.raises(LimitExceeded, match="no free PCIe port"):  # noqa: PT012 - how many is the machine's
        for number in range(40):
            hotplug.attach_nic("web", NicSpec(mac=f"52:54:00:00:00:{number:02x}"))
    assert len(place.pids()) == 1


def test_a_failed_attach_leaves_nothing(place: Place) -> None:
    place.running()
    disks = place.run_folder().parent / "disks"
    before = set(disks.iterdir())
    for spec, kind in (
        (DiskSpec(name="vda", size=MIB), AlreadyExists),
        (DiskSpec(size=MIB, bus="sata"), InvalidState),
        (DiskSpec(size=MIB, bus="scsi"), InvalidState),
        (DiskSpec(size=MIB, pool="fast"), InvalidInput),
        (DiskSpec(path="/nonexistent/disk.qcow2", size=MIB), NotFound),
    ):
        with pytest.raises(kind):
            place.driver.hotplug.attach_disk("web", spec)
    assert set(disks.iterdir()) == before
    assert len(place.driver.inventory.instance("web").disks) == 1


def test_scsi_and_sata_disks_of_a_stopped_one_start(place: Place) -> None:
    place.create(disks=())
    place.driver.hotplug.attach_disk("web", DiskSpec(size=MIB, bus="scsi"))
    place.driver.hotplug.attach_disk("web", DiskSpec(size=MIB, bus="sata"))
    place.driver.lifecycle.start("web")
    place.driver.hotplug.attach_disk("web", DiskSpec(size=MIB, bus="scsi"))
    names = [disk.disk for disk in place.driver.metrics.metrics(["web"])[0].disks]
    assert names == ["sda", "hda", "sdb"]


def test_media_are_changed(place: Place) -> None:
    first, second = place.folder / "one.iso", place.folder / "two.iso"
    first.write_bytes(b"1" * 4096)
    second.write_bytes(b"2" * 4096)
    place.running(cdrom=str(first))
    assert place.driver.hotplug.insert_media("web", str(second)) == "cdrom"
    with place.monitor() as monitor:
        drive = next(e for e in monitor.ask("query-block") if "cdrom" in e.get("qdev", ""))
    assert str(second) in drive["inserted"]["file"]
    place.driver.hotplug.eject_media("web")
    place.driver.hotplug.eject_media("web")
    assert place.backend.definition("web")[1]["cdrom"] == ""
    with pytest.raises(NotFound, match="no CD drive"):
        place.driver.hotplug.eject_media("web", "other")


def test_room_for_more_is_what_it_was_made_with(place: Place) -> None:
    place.running()
    with pytest.raises(LimitExceeded):
        place.driver.hotplug.set_vcpus("web", 2)
    with pytest.raises(LimitExceeded):
        place.driver.hotplug.set_memory("web", 128 * MIB)
    with pytest.raises(InvalidInput):
        place.driver.hotplug.set_memory("web", 12345)
