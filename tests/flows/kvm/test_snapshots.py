"""Snapshots between two backups: the record of changes goes along, or everything is read."""

from __future__ import annotations

from pathlib import Path

import libvirt

from tests.flows.kvm.scene import (
    KIB,
    Scene,
    image_io,
    qemu_img,
    reasons,
    start_paused,
    until,
    vda,
    write,
)
from tests.kvm.domains import DiskSpec


def external(domain: libvirt.virDomain, file: Path) -> None:
    """Disk-only, kept by nobody: as `virsh snapshot-create-as --disk-only --no-metadata`."""
    domain.snapshotCreateXML(
        "<domainsnapshot><disks><disk name='vda' snapshot='external'>"
        f"<source file='{file}'/></disk></disks></domainsnapshot>",
        libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY
        | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA,
    )


def test_external_snapshot_of_a_running_domain(scene: Scene) -> None:
    domain = scene.paused()
    write(domain, 1)
    scene.backup()
    write(domain, 2)
    external(domain, scene.lab.folder / "overlay.qcow2")
    write(domain, 3)
    point = scene.backup()
    assert vda(point).incremental, vda(point).reason
    assert vda(point).statistics.read == 128 * KIB
    write(domain, 4)
    assert vda(scene.backup()).incremental
    # Back into the base: the record goes along.
    write(domain, 5)
    domain.blockCommit("vda", None, None, 0, libvirt.VIR_DOMAIN_BLOCK_COMMIT_ACTIVE)
    until(lambda: (job := domain.blockJobInfo("vda", 0)) and job["cur"] == job["end"])
    until(lambda: pivoted(domain))
    write(domain, 6)
    point = scene.backup()
    write(domain, 7)
    assert vda(scene.backup()).incremental
    scene.check_all()


def pivoted(domain: libvirt.virDomain) -> bool:
    try:
        domain.blockJobAbort("vda", libvirt.VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT)
    except libvirt.libvirtError:
        return False
    return True


def test_external_snapshot_then_stopped(scene: Scene) -> None:
    domain = scene.paused()
    write(domain, 1)
    scene.backup()
    write(domain, 2)
    external(domain, scene.lab.folder / "overlay.qcow2")
    write(domain, 3)
    domain.destroy()
    point = scene.backup()
    assert not vda(point).incremental
    assert "snapshot was taken since" in vda(point).reason
    assert vda(scene.backup()).incremental
    scene.check_all()


def test_overlay_made_while_stopped(scene: Scene) -> None:
    domain = scene.paused()
    write(domain, 1)
    scene.backup()
    write(domain, 2)
    domain.destroy()
    disk = scene.disks["web"][0]
    overlay = DiskSpec(scene.lab.image("overlay.qcow2", backing=disk))
    scene.define("web", overlay)
    image_io(overlay.path, "write -P 3 3M 64k")
    start_paused(domain)
    point = scene.backup()
    assert not vda(point).incremental
    write(domain, 4)
    assert vda(scene.backup()).incremental
    scene.check_all()


def test_internal_snapshot_made_with_qemu_img(scene: Scene) -> None:
    domain = scene.define()
    image = scene.lab.folder / "web.qcow2"
    image_io(image, "write -P 1 0 1M")
    scene.backup()
    qemu_img("snapshot", "-c", "s", image)
    image_io(image, "write -P 2 0 2M")
    reason = "changes are not recorded across its internal snapshots"
    assert reasons(scene.backup())["vda"] == (False, reason)
    start_paused(domain)
    write(domain, 3)
    assert reasons(scene.backup())["vda"] == (False, reason)
    domain.destroy()
    qemu_img("snapshot", "-d", "s", image)
    assert vda(scene.backup()).incremental
    scene.check_all()


def test_internal_snapshot_of_libvirt(scene: Scene) -> None:
    """libvirt lets nobody have both internal snapshots and checkpoints."""
    domain = scene.define()
    domain.snapshotCreateXML("<domainsnapshot><name>s</name></domainsnapshot>", 0)
    for _ in range(2):
        point = scene.backup()
        assert not vda(point).incremental
    start_paused(domain)
    for number in range(2):
        write(domain, number + 1)
        assert not vda(scene.backup()).incremental
    scene.check_all()
