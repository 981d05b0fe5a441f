"""What libvirt before 9.9 cannot; a later one does it by itself, with the same result."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import libvirt
import pytest

from hypersdk.drivers.libvirt import translate
from hypersdk.drivers.libvirt.driver import LibvirtHypervisor
from hypersdk.drivers.libvirt.snapshots import LibvirtSnapshots
from hypersdk.model.errors import NotSupported
from tests.kvm.domains import DiskSpec, domain_xml, qemu_io
from tests.kvm.fixtures import Lab

NAME = "web & ü"


@pytest.fixture
def part(lab: Lab) -> Iterator[LibvirtSnapshots]:
    hypervisor = LibvirtHypervisor(lab.libvirtd.uri)
    assert hypervisor.snapshots is not None
    yield hypervisor.snapshots
    hypervisor.close()


@pytest.fixture
def web(lab: Lab) -> libvirt.virDomain:
    disks = [
        DiskSpec(lab.image("a.qcow2", "8M")),
        DiskSpec(lab.image("b.raw", "4M", format="raw"), "vdb", "raw"),
    ]
    domain = lab.connection.defineXML(domain_xml(NAME, disks))
    domain.create()
    for target in ("vda", "vdb"):
        qemu_io(domain, target, "write -P 0x11 0 64k", "flush")
    return domain


def images(domain: libvirt.virDomain) -> dict[str, str]:
    xml = translate.parsed(domain.XMLDesc())
    return {translate.target_of(d): translate.source_path(d) for d in translate.disks(xml)}


def holds(domain: libvirt.virDomain, pattern: int) -> None:
    """Both of its disks, now that it is stopped."""
    for path in images(domain).values():
        kind = "raw" if path.endswith(".raw") else "qcow2"
        command = ["qemu-io", "-f", kind, "-c", f"read -P {pattern} 0 64k", path]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        assert "verification failed" not in said, path


def change(domain: libvirt.virDomain) -> None:
    for target in ("vda", "vdb"):
        qemu_io(domain, target, "write -P 0x22 0 64k", "flush")


def test_again_and_again(lab: Lab, part: LibvirtSnapshots, web: libvirt.virDomain) -> None:
    part.create(NAME, "one")
    first = images(web)
    for _ in range(3):
        change(web)
        part.revert(NAME, "one")
        assert not web.isActive()
        holds(web, 0x11)
        (kept,) = part.snapshots(NAME)
        assert (kept.name, kept.current) == ("one", True)
        web.create()
    assert not set(images(web).values()) & set(first.values())
    overlays = [path for path in lab.folder.iterdir() if path.name not in {"a.qcow2", "b.raw"}]
    assert {str(path) for path in overlays} == set(images(web).values())  # and no old ones


def test_what_follows_is_as_always(
    lab: Lab, part: LibvirtSnapshots, web: libvirt.virDomain
) -> None:
    """It runs, takes another snapshot, and all of them can be deleted again."""
    part.create(NAME, "one")
    change(web)
    part.revert(NAME, "one")
    web.create()
    part.create(NAME, "two")
    change(web)
    part.delete(NAME, "two")
    part.delete(NAME, "one")
    web.destroy()
    assert part.snapshots(NAME) == []
    assert images(web) == {"vda": f"{lab.folder}/a.qcow2", "vdb": f"{lab.folder}/b.raw"}
    holds(web, 0x22)


def test_the_definition_of_then_comes_back(part: LibvirtSnapshots, web: libvirt.virDomain) -> None:
    part.create(NAME, "one")
    web.setVcpusFlags(3, libvirt.VIR_DOMAIN_AFFECT_CONFIG | libvirt.VIR_DOMAIN_VCPU_MAXIMUM)
    identity = web.UUIDString()
    part.revert(NAME, "one")
    assert web.UUIDString() == identity
    assert translate.parsed(web.XMLDesc()).findtext("vcpu") == "1"


def test_not_the_last_one(part: LibvirtSnapshots, web: libvirt.virDomain) -> None:
    part.create(NAME, "one")
    part.create(NAME, "two")
    before = images(web)
    if web.connect().getLibVersion() >= 9_009_000:
        pytest.skip("this libvirt reverts all of them")
    with pytest.raises(NotSupported, match="others were made after it") as caught:
        part.revert(NAME, "one")
    assert "a.qcow2" in caught.value.hint
    assert web.isActive()
    assert images(web) == before


def test_no_room_changes_nothing(lab: Lab, part: LibvirtSnapshots, web: libvirt.virDomain) -> None:
    """The base of one disk is gone, which is found out after another overlay was made."""
    if web.connect().getLibVersion() >= 9_009_000:
        pytest.skip("libvirt does it by itself")
    part.create(NAME, "one")
    change(web)
    web.destroy()
    before = images(web)
    moved = lab.folder / "elsewhere"
    Path(lab.folder / "b.raw").rename(moved)
    with pytest.raises(Exception, match=r"b\.raw"):
        part.revert(NAME, "one")
    moved.rename(lab.folder / "b.raw")
    assert images(web) == before
    holds(web, 0x22)
    assert len(list(lab.folder.iterdir())) == 4
