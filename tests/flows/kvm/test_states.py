"""Domains in every state, disks of every kind: what is restored is what was there."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import libvirt
import libvirt_qemu
import pytest

import hypersdk
from hypersdk import HypervisorError, InvalidInput, NotFound
from hypersdk.model.instances import Consistency, InstanceState
from tests.components import require
from tests.flows.kvm.scene import MIB, Scene, image_io, reasons, start_paused, until, vda
from tests.kvm.domains import DiskSpec, domain_xml, qemu_io


def test_paused_domain(scene: Scene) -> None:
    domain = scene.paused()
    qemu_io(domain, "vda", "write -P 0x41 0 8M", "write -P 3 40M 4M")
    first = scene.backup()
    assert first.consistency is Consistency.CRASH
    assert first.warnings == ()
    assert reasons(first) == {"vda": (False, "there is no earlier checkpoint of this disk")}
    qemu_io(domain, "vda", "write -P 7 20M 64k")
    second = scene.backup()
    assert vda(second).incremental
    assert vda(second).statistics.read == 64 * 1024
    assert domain.state()[0] == libvirt.VIR_DOMAIN_PAUSED
    scene.check_all()


def test_running_domain_without_agent(scene: Scene) -> None:
    domain = scene.define()
    domain.create()
    qemu_io(domain, "vda", "write -P 0x41 0 8M")
    assert scene.backup().consistency is Consistency.CRASH
    qemu_io(domain, "vda", "write -P 0x42 1M 1M")
    second = scene.backup()
    assert vda(second).statistics.changed == MIB
    assert domain.state()[0] == libvirt.VIR_DOMAIN_RUNNING


def test_stopped_domain(scene: Scene) -> None:
    scene.define()
    image = scene.lab.folder / "web.qcow2"
    image_io(image, "write -P 0x41 0 8M")
    first = scene.backup()
    assert first.consistency is Consistency.OFFLINE
    image_io(image, "write -P 0x42 1M 1M", "write -z 2M 1M", "discard 3M 1M")
    second = scene.backup()
    assert vda(second).incremental
    assert vda(second).statistics.read == MIB
    assert vda(scene.backup()).statistics.read == 0
    scene.check_all()


def test_states_alternate(scene: Scene) -> None:
    """Stopped, running, stopped, running: each backup goes on where the last one ended."""
    domain = scene.define()
    image = scene.lab.folder / "web.qcow2"
    scene.backup()
    for number in range(1, 4):
        image_io(image, f"write -P {number} {number}M 64k")
        start_paused(domain)
        qemu_io(domain, "vda", f"write -P {number} {number + 10}M 64k")
        running = scene.backup()
        qemu_io(domain, "vda", f"write -P {number} {number + 20}M 64k")
        domain.destroy()
        image_io(image, f"write -P {number} {number + 30}M 64k")
        stopped = scene.backup()
        for point in (running, stopped):
            assert vda(point).incremental, vda(point).reason
            assert vda(point).statistics.read == 2 * 64 * 1024
    assert len(scene.checkpoints()) == 1
    scene.check_all()


def test_suspended_to_disk(scene: Scene) -> None:
    domain = scene.define()
    domain.create()
    qemu_io(domain, "vda", "write -P 0x41 0 1M", "flush")
    domain.managedSave(0)
    point = scene.backup()
    assert point.consistency is Consistency.CRASH
    assert "suspended to disk" in point.warnings[0]
    domain.create()
    assert domain.state()[0] == libvirt.VIR_DOMAIN_RUNNING


def test_crashed_domain(scene: Scene) -> None:
    """A panicked guest that is preserved can be backed up, to find out why it panicked."""
    disk = DiskSpec(scene.lab.image("web.qcow2"))
    xml = domain_xml("web", [disk], devices=["<panic model='isa'/>"])
    xml = xml.replace("</devices>", "</devices><on_crash>preserve</on_crash>")
    domain = scene.lab.connection.defineXML(xml)
    scene.disks["web"] = (disk,)
    domain.create()
    qemu_io(domain, "vda", "write -P 0x41 1M 1M")
    # What the kernel of a panicking guest does: it writes to the port of pvpanic.
    hmp = libvirt_qemu.VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP
    libvirt_qemu.qemuMonitorCommand(domain, "o /b 0x505 1", hmp)
    until(lambda: domain.state()[0] == libvirt.VIR_DOMAIN_CRASHED)
    assert scene.hypervisor.inventory is not None
    assert scene.hypervisor.inventory.instance("web").state is InstanceState.CRASHED
    assert scene.backup().consistency is Consistency.CRASH
    qemu_io(domain, "vda", "write -P 9 3M 64k")
    assert vda(scene.backup()).incremental


def test_qcow2_and_raw_at_once(scene: Scene) -> None:
    raw = scene.lab.image("data.raw", "32M", format="raw")
    disks = (
        DiskSpec(scene.lab.image("web.qcow2")),
        DiskSpec(raw, target="vdb", format="raw"),
    )
    domain = scene.paused("web", *disks)
    qemu_io(domain, "vda", "write -P 1 0 1M")
    qemu_io(domain, "vdb", "write -P 2 1M 1M")
    scene.backup()
    qemu_io(domain, "vdb", "write -P 3 4M 64k", "write -z 1M 64k")
    second = scene.backup()
    assert reasons(second)["vda"][0]
    assert reasons(second)["vdb"] == (False, "raw images keep no record of changes")
    domain.destroy()
    image_io(raw, "write -P 3 8M 64k", format="raw")
    third = scene.backup()
    by_name = {disk.name: disk for disk in third.disks}
    assert by_name["vdb"].statistics.changed == 64 * 1024
    scene.check_all()


@pytest.mark.parametrize("spelled", [False, True])
@pytest.mark.parametrize("running", [False, True])
def test_backing_chain(scene: Scene, spelled: bool, running: bool) -> None:
    """Three images deep; the point holds what the guest sees, flat."""
    lab = scene.lab
    base = DiskSpec(lab.image("base.raw", format="raw"), format="raw")
    image_io(base.path, "write -P 1 0 4M", format="raw")
    middle = DiskSpec(lab.image("middle.qcow2", backing=base), backing=base)
    image_io(middle.path, "write -P 2 1M 1M")
    top = lab.image("top.qcow2", backing=middle)
    image_io(top, "write -P 3 2M 1M", "write -z 3M 512k")
    domain = scene.define("web", DiskSpec(top, backing=middle if spelled else None))
    if running:
        start_paused(domain)
    scene.backup()
    if running:
        qemu_io(domain, "vda", "write -z 0 512k", "write -P 9 8M 64k")
    else:
        image_io(top, "write -z 0 512k", "write -P 9 8M 64k")
    assert vda(scene.backup()).incremental
    scene.check_all()


@pytest.mark.parametrize("running", [False, True])
def test_volume_of_a_pool(scene: Scene, running: bool) -> None:
    target = f"<target><path>{scene.lab.folder}</path></target>"
    pool = scene.lab.connection.storagePoolDefineXML(
        f"<pool type='dir'><name>p &amp; q</name>{target}</pool>"
    )
    image = scene.lab.image("vol ume.qcow2")
    pool.create()
    disk = DiskSpec("vol ume.qcow2", type="volume", pool="p & q")
    domain = scene.define("web", disk)
    image_io(image, "write -P 1 0 1M")
    if running:
        start_paused(domain)
    scene.backup()
    if running:
        qemu_io(domain, "vda", "write -P 2 1M 1M")
    else:
        image_io(image, "write -P 2 1M 1M")
    assert vda(scene.backup()).incremental


@pytest.fixture
def loop_device(scene: Scene) -> Iterator[Path]:
    require("losetup")
    file = scene.lab.image("block.raw", "32M", format="raw")
    done = subprocess.run(
        ["losetup", "--find", "--show", file], check=False, capture_output=True, text=True
    )
    if done.returncode != 0:
        pytest.skip(f"no loop devices here: {done.stderr.strip()}")
    device = done.stdout.strip()
    yield Path(device)
    subprocess.run(["losetup", "-d", device], check=True)


def test_block_device(scene: Scene, loop_device: Path) -> None:
    domain = scene.define("web", DiskSpec(loop_device, format="raw", type="block"))
    image_io(loop_device, "write -P 1 0 1M", format="raw")
    scene.backup()
    start_paused(domain)
    qemu_io(domain, "vda", "write -P 2 1M 1M")
    point = scene.backup()
    assert vda(point).reason == "raw images keep no record of changes"
    domain.destroy()
    domain.undefine()
    with pytest.raises(InvalidInput, match=f"was on the block device {loop_device}"):
        hypersdk.restore_instance(scene.repository, point, scene.hypervisor)


def test_names_of_disks_that_begin_alike(scene: Scene) -> None:
    """``vda`` and ``vdaa`` have nothing in common."""
    disks = [DiskSpec(scene.lab.image(f"{n}.qcow2", "8M"), target=n) for n in ("vda", "vdaa")]
    domain = scene.paused("web", *disks)
    qemu_io(domain, "vda", "write -P 1 0 1M")
    qemu_io(domain, "vdaa", "write -P 2 0 1M")
    scene.backup()
    qemu_io(domain, "vdaa", "write -P 3 0 64k")
    point = scene.backup()
    assert [disk.statistics.read for disk in point.disks] == [0, 64 * 1024]
    scene.check_all()


@pytest.mark.parametrize("name", ["we b", "a&b <c>", "größe", 'it\'s "it"', "x" * 100])
def test_names_of_domains(scene: Scene, name: str) -> None:
    image = scene.lab.image(f"d i&s'k-{name[:9].replace('/', '')}.qcow2", "8M")
    domain = scene.paused(name, DiskSpec(image))
    qemu_io(domain, "vda", "write -P 1 0 1M")
    scene.backup(name)
    qemu_io(domain, "vda", "write -P 2 0 64k")
    assert vda(scene.backup(name)).incremental
    domain.destroy()
    assert vda(scene.backup(name)).incremental


@pytest.mark.parametrize("running", [False, True])
def test_excluded_disk(scene: Scene, running: bool) -> None:
    disks = [DiskSpec(scene.lab.image(f"{n}.qcow2", "8M"), target=n) for n in ("vda", "vdb")]
    domain = scene.define("web", *disks)
    if running:
        start_paused(domain)
    excluded = frozenset({"vdb"})
    point = scene.backup(exclude=excluded)
    assert [disk.name for disk in point.disks] == ["vda"]
    point = scene.backup(exclude=excluded)
    assert vda(point).incremental
    both = scene.backup()
    assert [(d.name, d.incremental) for d in both.disks] == [("vda", True), ("vdb", False)]
    left = scene.backup(exclude=excluded)
    assert left.warnings == ()  # it was asked for
    with pytest.raises(NotFound, match="no disk vdc to exclude") as caught:
        scene.backup(exclude=frozenset({"vdc"}))
    assert "vda, vdb" in caught.value.hint
    scene.check_all()


def test_refused_disks_are_all_named(scene: Scene) -> None:
    xml = domain_xml("web", [DiskSpec(scene.lab.image("web.qcow2"))])
    others = (
        "<disk type='network' device='disk'><driver name='qemu' type='raw'/>"
        "<source protocol='nbd' name='x'><host name='127.0.0.1' port='1'/></source>"
        "<target dev='vdb' bus='virtio'/></disk>"
        "<disk type='file' device='disk'><driver name='qemu' type='vmdk'/>"
        "<source file='/nowhere'/><target dev='vdc' bus='virtio'/></disk>"
        "<disk type='file' device='cdrom'><target dev='sda' bus='sata'/></disk>"
    )
    scene.lab.connection.defineXML(xml.replace("<devices>", f"<devices>{others}"))
    with pytest.raises(HypervisorError) as caught:
        hypersdk.backup_instance(scene.repository, scene.hypervisor, "web")
    assert "vdb (network disks over nbd are not read)" in caught.value.message
    assert "vdc (images of format vmdk are not read)" in caught.value.message
    assert "--exclude-disk" in caught.value.hint
    scene.disks["web"] = (DiskSpec(scene.lab.folder / "web.qcow2"),)
    point = scene.backup(exclude=frozenset({"vdb", "vdc"}))
    assert [disk.name for disk in point.disks] == ["vda"]


def test_missing_image(scene: Scene) -> None:
    scene.define()
    (scene.lab.folder / "web.qcow2").unlink()
    with pytest.raises(hypersdk.HyperSDKError, match=r"web\.qcow2"):
        hypersdk.backup_instance(scene.repository, scene.hypervisor, "web")


def test_domain_without_disks(scene: Scene) -> None:
    scene.lab.connection.createXML(domain_xml("web"))
    scene.disks["web"] = ()
    point = hypersdk.backup_instance(scene.repository, scene.hypervisor, "web")
    assert point.disks == ()
