"""A booted guest that writes before and while it is backed up."""

from __future__ import annotations

import threading
import time

import hypersdk
from hypersdk import BackupOptions, BootTestOptions, Placement, Sign, boot_test
from hypersdk.model.instances import Consistency
from tests.flows.kvm.scene import MIB, Scene, assert_identical, convert, vda
from tests.kvm.domains import DiskSpec, Guest, domain_xml


def test_full_and_three_incrementals(scene: Scene, guest: Guest) -> None:
    """The guest writes, zeroes and discards; each point is what was there at its moment."""
    scene.disks["guest"] = (DiskSpec(scene.lab.folder / "guest.qcow2"),)
    guest.write("vda", 0, 0x41, 8 * MIB)
    points = [scene.backup("guest")]
    for number in range(1, 4):
        guest.write("vda", (10 + number) * MIB, number, MIB)
        guest.write("vda", number * MIB + 4096, b"a few bytes")
        guest.run(f"dd if=/dev/zero of=/dev/vda bs=64k count=4 seek={number * 16 + 8} conv=fsync")
        guest.run(f"blkdiscard -o $(({number + 4} * 1048576)) -l 524288 /dev/vda")
        points.append(scene.backup("guest"))
        assert vda(points[-1]).incremental
        assert vda(points[-1]).statistics.read < 3 * MIB
    assert all(point.consistency is Consistency.CRASH for point in points)  # nothing is mounted
    assert all(point.warnings == () for point in points)
    scene.check_all()
    # The last one, put together from all four, boots.
    placement = Placement(folder=str(scene.lab.folder))
    options = BootTestOptions(placement=placement, timeout=60)
    done = boot_test(scene.repository, points[-1], scene.hypervisor, options=options)
    assert done.sign is Sign.AGENT
    assert 0 < done.rto < 60


def test_writes_during_the_backup_are_not_in_it(scene: Scene, guest: Guest) -> None:
    """QEMU saves what the guest overwrites; the moment is that of the beginning."""
    guest.write("vda", 0, 0x41, 32 * MIB)
    image = scene.lab.folder / "guest.qcow2"
    assert scene.hypervisor.disks is not None
    guest.qemu_io("vda", "flush")
    before = scene.out / "before.raw"
    convert(image, "qcow2", before)
    wrote = threading.Event()

    def write(progress: hypersdk.Progress) -> None:
        if not wrote.is_set():
            wrote.set()
            guest.write("vda", 16 * MIB, 0x42, 16 * MIB)
            guest.run("blkdiscard -o 0 -l 1048576 /dev/vda")

    options = BackupOptions(throttle=64 * MIB)
    point = hypersdk.backup_instance(
        scene.repository, scene.hypervisor, "guest", options=options, reporter=write
    )
    assert wrote.is_set()
    hypersdk.restore(scene.repository, point, scene.out / "point.raw")
    assert_identical(scene.out / "point.raw", before)
    scene.disks["guest"] = (DiskSpec(image),)
    assert vda(scene.backup("guest")).statistics.read >= 16 * MIB


def test_disks_of_one_moment(scene: Scene) -> None:
    """A guest that counts on two disks in turn: they never differ by more than one."""
    lab = scene.lab
    disks = [DiskSpec(lab.image(f"{n}.qcow2", "8M"), target=n) for n in ("vda", "vdb")]
    guest = Guest.start(lab.connection, domain_xml("counter", disks, system=lab.system))
    count = (
        "i=10000; while [ -e /dev/vda ] && ! [ -e /tmp/stop ]; do i=$((i + 1)); for d in vda vdb; "
        "do printf $i | dd of=/dev/$d conv=fsync,notrunc 2>/dev/null; done; done"
    )
    guest.run(f"({count}) >/dev/null 2>&1 &")
    seen = set()
    for number in range(3):
        time.sleep(0.2)
        point = hypersdk.backup_instance(scene.repository, scene.hypervisor, "counter")
        folder = scene.out / str(number)
        folder.mkdir()
        hypersdk.restore(scene.repository, point, folder)
        a, b = (int((folder / f"{n}.img").read_bytes()[:5]) for n in ("vda", "vdb"))
        assert a - b in (0, 1)
        seen.add(a)
    assert len(seen) == 3
    guest.run("touch /tmp/stop")
    guest.close()
