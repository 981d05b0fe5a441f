"""The ``checkpoints`` part, in every state of a domain."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import libvirt
import pytest

from hypersdk.datapath.bitmaps import add_bitmap, image_records
from hypersdk.drivers.libvirt.checkpoints import LibvirtCheckpoints
from hypersdk.drivers.libvirt.driver import connect
from hypersdk.drivers.libvirt.records import checkpoint_names, remove_checkpoint
from hypersdk.model.errors import InvalidState, NotFound
from tests.kvm.domains import DiskSpec, domain_xml, qemu_io
from tests.kvm.fixtures import Lab

MADE = "<domaincheckpoint><name>{}</name></domaincheckpoint>"
ONLY_VDA = (
    "<domaincheckpoint><name>{}</name><disks><disk name='vda' checkpoint='bitmap'/>"
    "<disk name='vdb' checkpoint='no'/></disks></domaincheckpoint>"
)


@pytest.fixture
def part(lab: Lab) -> Iterator[LibvirtCheckpoints]:
    hypervisor = connect(lab.url)
    assert hypervisor.checkpoints is not None
    yield hypervisor.checkpoints
    hypervisor.close()


@pytest.fixture
def domain(lab: Lab) -> libvirt.virDomain:
    """Two disks; paused."""
    disks = [DiskSpec(lab.image(f"{n}.qcow2", "8M"), target=n) for n in ("vda", "vdb")]
    domain = lab.connection.defineXML(domain_xml("we b", disks))
    domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
    return domain


def names(lab: Lab, disk: str) -> set[str]:
    records = image_records(lab.folder / f"{disk}.qcow2", "qcow2", in_use=True)
    return {bitmap.name for bitmap in records.bitmaps}


def test_seen_while_it_runs(part: LibvirtCheckpoints, domain: libvirt.virDomain) -> None:
    domain.checkpointCreateXML(MADE.format("first"))
    domain.checkpointCreateXML(ONLY_VDA.format("second"))
    qemu_io(domain, "vda", "write 0 1M")
    first, second = part.checkpoints("we b")
    assert (first.name, first.parent, first.disks) == ("first", "", ("vda", "vdb"))
    assert (second.name, second.parent, second.disks) == ("second", "first", ("vda",))
    assert datetime.now(UTC) - second.created < timedelta(minutes=1)
    vda, vdb = part.bitmaps("we b")
    assert [bitmap.name for bitmap in vda.bitmaps] == ["first", "second"]
    assert [bitmap.name for bitmap in vdb.bitmaps] == ["first"]
    assert vda.virtual_size == 8 << 20
    assert all(bitmap.consistent for bitmap in vda.bitmaps)


def test_seen_while_it_is_stopped(
    lab: Lab, part: LibvirtCheckpoints, domain: libvirt.virDomain
) -> None:
    domain.checkpointCreateXML(MADE.format("first"))
    domain.destroy()
    add_bitmap(lab.folder / "vdb.qcow2", "orphan")
    assert [each.name for each in part.checkpoints("we b")] == ["first"]
    vda, vdb = part.bitmaps("we b")
    assert [(b.name, b.granularity, b.consistent) for b in vda.bitmaps] == [("first", 65536, True)]
    assert {bitmap.name for bitmap in vdb.bitmaps} == {"first", "orphan"}


def test_disks_that_cannot_be_looked_at(lab: Lab, part: LibvirtCheckpoints) -> None:
    raw = DiskSpec(lab.image("r.raw", "1M", format="raw"), target="vdb", format="raw")
    gone = DiskSpec(lab.folder / "gone.qcow2")
    xml = domain_xml("x", [gone, raw]).replace(
        "<devices>",
        "<devices><disk type='network' device='disk'><source protocol='nbd' name='x'>"
        "<host name='h'/></source><target dev='vdc' bus='virtio'/></disk>",
    )
    lab.connection.defineXML(xml)
    found = {disk.disk: disk for disk in part.bitmaps("x")}
    assert "gone.qcow2" in found["vda"].problem
    assert (found["vdb"].problem, found["vdb"].bitmaps) == ("", ())
    assert found["vdc"].problem == "network disks over nbd are not read"


@pytest.mark.parametrize("running", [True, False])
def test_delete(
    lab: Lab, part: LibvirtCheckpoints, domain: libvirt.virDomain, running: bool
) -> None:
    for name in ("first", "second", "third"):
        domain.checkpointCreateXML(MADE.format(name))
    if not running:
        domain.destroy()
    part.delete("we b", "second")
    assert [each.name for each in part.checkpoints("we b")] == ["first", "third"]
    if running:
        domain.destroy()
    assert names(lab, "vda") == names(lab, "vdb") == {"first", "third"}
    domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)  # goes on recording
    assert checkpoint_names(domain) == ["first", "third"]
    with pytest.raises(NotFound, match="second"):
        part.delete("we b", "second")


@pytest.mark.parametrize("running", [True, False])
def test_delete_when_a_bitmap_is_lost(
    lab: Lab, part: LibvirtCheckpoints, domain: libvirt.virDomain, running: bool
) -> None:
    """libvirt itself refuses, and would leave the other disk's for ever."""
    domain.checkpointCreateXML(MADE.format("first"))
    domain.destroy()
    subprocess.run(
        ["qemu-img", "bitmap", "--remove", lab.folder / "vda.qcow2", "first"], check=True
    )
    if running:
        domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
    part.delete("we b", "first")
    assert part.checkpoints("we b") == []
    if running:
        domain.destroy()
    assert names(lab, "vdb") == set()


@pytest.mark.parametrize("running", [True, False])
def test_bitmaps_without_a_checkpoint(
    lab: Lab, part: LibvirtCheckpoints, domain: libvirt.virDomain, running: bool
) -> None:
    domain.checkpointCreateXML(MADE.format("first"))
    domain.checkpointCreateXML(MADE.format("second"))
    with pytest.raises(InvalidState, match="still needs its bitmap"):
        part.remove_bitmap("we b", "first")
    if not running:
        domain.destroy()
    for name in ("first", "second"):
        part.forget("we b", name)
    with pytest.raises(NotFound):
        part.forget("we b", "first")
    assert part.checkpoints("we b") == []
    part.remove_bitmap("we b", "first")
    part.delete("we b", "second")  # finds the bitmap
    with pytest.raises(NotFound):
        part.remove_bitmap("we b", "first")
    if running:
        domain.destroy()
    assert names(lab, "vda") == names(lab, "vdb") == set()


def test_removing_nothing_is_no_error(domain: libvirt.virDomain) -> None:
    remove_checkpoint(domain, "none")
    domain.destroy()
    remove_checkpoint(domain, "none")


def test_missing_image_is_in_nobodys_way(lab: Lab, domain: libvirt.virDomain) -> None:
    domain.checkpointCreateXML(MADE.format("first"))
    domain.destroy()
    Path(lab.folder / "vdb.qcow2").unlink()
    remove_checkpoint(domain, "first")
    assert checkpoint_names(domain) == []
    assert names(lab, "vda") == set()
