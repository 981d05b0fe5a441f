"""When only changes are read, when everything is, and why; the outcome is right in any case."""

from __future__ import annotations

import os
import signal
from xml.etree import ElementTree as ET

import libvirt
import pytest

from hypersdk import connect
from tests.flows.kvm.scene import (
    FOREIGN,
    KIB,
    Scene,
    bitmaps,
    image_io,
    qemu_img,
    reasons,
    start_paused,
    until,
    vda,
    write,
)
from tests.kvm.daemon import Libvirtd
from tests.kvm.domains import DiskSpec, domain_xml, qemu_io

# Zeroes


@pytest.mark.parametrize("running", [True, False])
def test_dirty_areas_that_read_as_zero_come_back_as_zero(scene: Scene, running: bool) -> None:
    """Written zeroes, zeroed clusters, discarded clusters, and parts of clusters and chunks."""
    image = scene.lab.image("web.qcow2")
    image_io(image, "write -P 0x41 0 32M")
    domain = scene.define("web", DiskSpec(image))
    if running:
        start_paused(domain)
    scene.backup()
    changes = (
        "write -z 1M 1M",
        "discard 3M 1M",
        "write -P 0 5M 1M",
        "write -z 7169k 4k",
        "discard 8M 64k",
        "write -P 0 9217k 1k",
        "discard 31M 1M",
    )
    if running:
        qemu_io(domain, "vda", *changes)
    else:
        image_io(image, *changes)
    second = scene.backup()
    assert vda(second).incremental
    qemu_io(domain, "vda", "write -P 5 1M 64k") if running else image_io(image, "write -P 5 1M 64k")
    scene.backup()
    scene.check_all()


def test_discarded_overlay_shows_no_backing_data(scene: Scene) -> None:
    base = DiskSpec(scene.lab.image("base.qcow2"))
    image_io(base.path, "write -P 1 0 8M")
    domain = scene.paused("web", DiskSpec(scene.lab.image("top.qcow2", backing=base)))
    scene.backup()
    qemu_io(domain, "vda", "discard 0 1M", "write -z 2M 1M", "write -P 3 4M 1M", "discard 4M 512k")
    assert vda(scene.backup()).incremental


# Sizes and disks


def test_disk_resized_while_stopped(scene: Scene) -> None:
    domain = scene.paused()
    write(domain, 1)
    scene.backup()
    domain.destroy()
    qemu_img("resize", "-q", scene.lab.folder / "web.qcow2", "80M")
    point = scene.backup()
    assert reasons(point)["vda"] == (False, "the disk was resized from 64.0 MiB to 80.0 MiB")
    start_paused(domain)
    qemu_io(domain, "vda", "write -P 9 70M 1M")
    assert vda(scene.backup()).incremental
    scene.check_all()


def test_disk_resized_while_running(scene: Scene) -> None:
    domain = scene.paused()
    write(domain, 1)
    scene.backup()
    domain.blockResize("vda", 80 << 20, libvirt.VIR_DOMAIN_BLOCK_RESIZE_BYTES)
    qemu_io(domain, "vda", "write -P 9 70M 1M")
    assert reasons(scene.backup())["vda"][1] == "the disk was resized from 64.0 MiB to 80.0 MiB"
    write(domain, 2)
    assert vda(scene.backup()).incremental
    scene.check_all()


def test_new_disk_and_removed_disk(scene: Scene) -> None:
    first = DiskSpec(scene.lab.image("a.qcow2"))
    second = DiskSpec(scene.lab.image("b.qcow2"), target="vdb")
    domain = scene.paused("web", first)
    write(domain, 1)
    scene.backup()
    domain.attachDevice(ET.tostring(second.element(), encoding="unicode"))
    scene.disks["web"] = (first, second)
    qemu_io(domain, "vdb", "write -P 4 0 1M")
    point = scene.backup()
    assert reasons(point)["vda"][0]
    assert reasons(point)["vdb"] == (False, "there is no earlier checkpoint of this disk")
    write(domain, 2)
    assert all(disk.incremental for disk in scene.backup().disks)
    domain.destroy()
    scene.define("web", first)
    point = scene.backup()
    assert vda(point).incremental
    assert point.warnings == ("vdb was in the last restore point and is no disk any more",)
    start_paused(domain)
    write(domain, 3)
    point = scene.backup()
    assert vda(point).incremental
    assert point.warnings == ()
    scene.check_all()


def test_exchanged_disks(scene: Scene) -> None:
    """Both images have the bitmap, but of the other disk's changes."""
    a, b = scene.lab.image("a.qcow2"), scene.lab.image("b.qcow2")
    image_io(a, "write -P 1 0 1M")
    image_io(b, "write -P 2 0 1M")
    domain = scene.define("web", DiskSpec(a), DiskSpec(b, target="vdb"))
    scene.backup()
    scene.define("web", DiskSpec(b), DiskSpec(a, target="vdb"))
    start_paused(domain)
    point = scene.backup()
    reason = "its image was moved or replaced since the last backup"
    assert reasons(point) == {"vda": (False, reason), "vdb": (False, reason)}
    domain.destroy()
    scene.define("web", DiskSpec(a), DiskSpec(b, target="vdb"))
    assert reasons(scene.backup()) == {"vda": (False, reason), "vdb": (False, reason)}
    scene.check_all()


@pytest.mark.parametrize("running", [True, False])
def test_replaced_image(scene: Scene, running: bool) -> None:
    domain = scene.paused()
    write(domain, 1)
    scene.backup()
    domain.destroy()
    image = scene.lab.image("web.qcow2")
    image_io(image, "write -P 9 3M 1M")
    if running:
        start_paused(domain)
    point = scene.backup()
    assert not vda(point).incremental
    assert "bitmap" in vda(point).reason
    if running:
        write(domain, 2)
    else:
        image_io(image, "write -P 9 5M 1M")
    assert vda(scene.backup()).incremental
    scene.check_all()


# Bitmaps


@pytest.mark.parametrize("running", [True, False])
def test_lost_bitmap(scene: Scene, running: bool) -> None:
    domain = scene.paused()
    write(domain, 1)
    scene.backup()
    domain.destroy()
    image = scene.lab.folder / "web.qcow2"
    [name] = bitmaps(image)
    qemu_img("bitmap", "--remove", image, name)
    image_io(image, "write -P 9 3M 1M")
    if running:
        start_paused(domain)
    point = scene.backup()
    assert not vda(point).incremental
    assert name in vda(point).reason
    if running:
        write(domain, 2)
    assert vda(scene.backup()).incremental
    assert len(scene.checkpoints()) == 1


@pytest.mark.parametrize("running", [True, False])
def test_inconsistent_bitmap_after_a_power_cut(scene: Scene, running: bool) -> None:
    domain = scene.paused()
    write(domain, 1)
    scene.backup()
    write(domain, 2)
    os.kill(scene.lab.libvirtd.qemu_pid("web"), signal.SIGKILL)
    until(lambda: not domain.isActive())
    if running:
        start_paused(domain)
        write(domain, 3)
    point = scene.backup()
    assert not vda(point).incremental
    if running:
        write(domain, 4)
    point = scene.backup()
    assert vda(point).incremental, vda(point).reason
    assert len(scene.checkpoints()) == 1
    if running:  # nothing can remove the broken one before
        domain.destroy()
        assert vda(scene.backup()).incremental
    assert bitmaps(scene.lab.folder / "web.qcow2") == scene.checkpoints()
    scene.check_all()


def test_one_of_two_disks_lost_its_bitmap(scene: Scene) -> None:
    a, b = scene.lab.image("a.qcow2"), scene.lab.image("b.qcow2")
    domain = scene.paused("web", DiskSpec(a), DiskSpec(b, target="vdb"))
    scene.backup()
    domain.destroy()
    qemu_img("bitmap", "--remove", b, bitmaps(b)[0])
    start_paused(domain)
    qemu_io(domain, "vdb", "write -P 9 3M 1M")
    point = scene.backup()
    assert reasons(point)["vda"][0]
    assert not reasons(point)["vdb"][0]
    assert all(disk.incremental for disk in scene.backup().disks)
    assert len(scene.checkpoints()) == 1


@pytest.mark.parametrize("running", [True, False])
def test_foreign_checkpoints_stay(scene: Scene, running: bool) -> None:
    domain = scene.paused()
    domain.checkpointCreateXML(FOREIGN.format("theirs.1"))
    scene.backup()
    domain.checkpointCreateXML(FOREIGN.format("theirs.2"))
    write(domain, 1)
    if not running:
        domain.destroy()
    assert vda(scene.backup()).incremental
    assert vda(scene.backup()).incremental
    assert {"theirs.1", "theirs.2"} < set(scene.checkpoints())
    assert len(scene.checkpoints()) == 3
    if running:  # libvirt removes bitmaps only of a running domain: they are all whole
        for name in ("theirs.1", "theirs.2"):
            domain.checkpointLookupByName(name).delete(0)


def test_foreign_bitmaps_stay(scene: Scene) -> None:
    domain = scene.define()
    image = scene.lab.folder / "web.qcow2"
    qemu_img("bitmap", "--add", image, "theirs")
    scene.backup()
    start_paused(domain)
    scene.backup()
    write(domain, 1)
    assert vda(scene.backup()).incremental
    domain.destroy()
    assert "theirs" in bitmaps(image)


@pytest.mark.parametrize("running", [True, False])
def test_domain_defined_anew(scene: Scene, running: bool) -> None:
    """libvirt has forgotten the checkpoint; the bitmap can only be ours."""
    domain = scene.paused()
    scene.backup()
    write(domain, 1)
    xml = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    domain.destroy()
    domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA)
    assert scene.lab.connection.listAllDomains() == []
    domain = scene.lab.connection.defineXML(xml)
    if running:
        start_paused(domain)
    point = scene.backup()
    assert vda(point).incremental, vda(point).reason
    assert vda(point).statistics.read == 64 * KIB
    assert len(scene.checkpoints()) == 1
    domain.destroy() if running else None
    assert len(bitmaps(scene.lab.folder / "web.qcow2")) == 1
    assert vda(scene.backup()).incremental


def test_transient_domain(scene: Scene) -> None:
    """libvirt forgets its checkpoints each time it ends."""
    image = scene.lab.image("web.qcow2")
    disk = DiskSpec(image)
    scene.disks["web"] = (disk,)
    xml = domain_xml("web", [disk], uuid="7f1c7fd1-8f5a-4a9e-9a58-3a9d4f6a0a11")
    for number in range(1, 4):
        domain = scene.lab.connection.createXML(xml, libvirt.VIR_DOMAIN_START_PAUSED)
        write(domain, number)
        point = scene.backup()
        assert vda(point).incremental == (number > 1), vda(point).reason
        domain.destroy()
    assert len(bitmaps(image)) == 1
    scene.check_all()


def test_old_qcow2(scene: Scene) -> None:
    """Version 2 has no bitmaps."""
    image = scene.lab.folder / "web.qcow2"
    qemu_img("create", "-q", "-f", "qcow2", "-o", "compat=0.10", image, "64M")
    domain = scene.paused("web", DiskSpec(image))
    write(domain, 1)
    assert "keep no record of changes" in reasons(scene.backup())["vda"][1]
    write(domain, 2)
    point = scene.backup()
    assert not vda(point).incremental
    assert vda(point).statistics.changed == 64 * KIB
    domain.destroy()
    assert not vda(scene.backup()).incremental
    assert scene.checkpoints() == []
    scene.check_all()


# Another host


def test_migrated_domain(scene: Scene) -> None:
    lab = scene.lab
    disk = DiskSpec(lab.image("web.qcow2"))
    scene.disks["web"] = (disk,)
    domain = lab.connection.defineXML(domain_xml("web", [disk]))
    domain.create()
    write(domain, 1)
    scene.backup()
    write(domain, 2)
    with Libvirtd() as elsewhere:
        target = elsewhere.open()
        flags = (
            libvirt.VIR_MIGRATE_LIVE
            | libvirt.VIR_MIGRATE_UNSAFE
            | libvirt.VIR_MIGRATE_PERSIST_DEST
            | libvirt.VIR_MIGRATE_UNDEFINE_SOURCE
        )
        moved = domain.migrate3(target, {libvirt.VIR_MIGRATE_PARAM_URI: "tcp://127.0.0.1"}, flags)
        write(moved, 3)
        there, here = connect(elsewhere.url), scene.hypervisor
        connection, scene.hypervisor = lab.connection, there
        object.__setattr__(lab, "connection", target)
        try:
            point = scene.backup()
            assert vda(point).incremental, vda(point).reason
            write(moved, 4)
            assert vda(scene.backup()).incremental
            scene.check_all()
        finally:
            object.__setattr__(lab, "connection", connection)
            scene.hypervisor = here
            there.close()
            moved.destroy()
            target.close()
