from __future__ import annotations

import subprocess
from pathlib import Path

import libvirt
import pytest

from hypersdk.drivers.libvirt.disksources import DiskSource, disk_sources, split_sources
from hypersdk.drivers.libvirt.translate import parsed
from hypersdk.model.errors import HypervisorError, NotFound
from tests.kvm.domains import DiskSpec, domain_xml
from tests.kvm.fixtures import Lab


def sources(domain: libvirt.virDomain, *exclude: str) -> list[DiskSource]:
    return disk_sources(domain, parsed(domain.XMLDesc(0)), frozenset(exclude))


def defined(lab: Lab, *disks: DiskSpec, more: str = "") -> libvirt.virDomain:
    xml = domain_xml("web", disks).replace("<devices>", f"<devices>{more}")
    return lab.connection.defineXML(xml)


def test_kinds(lab: Lab) -> None:
    qcow2 = DiskSpec(lab.image("a.qcow2", "8M"))
    raw = DiskSpec(lab.image("b.raw", "1M", format="raw"), target="vdb", format="raw")
    cd = DiskSpec(lab.image("c.iso", "1M", format="raw"), "sda", "raw", device="cdrom", bus="sata")
    domain = defined(lab, qcow2, raw, cd)
    for _ in range(2):
        first, second = sources(domain)
        assert (first.name, first.format, first.size, first.device) == ("vda", "qcow2", 8 << 20, 0)
        assert (second.name, second.format, second.size) == ("vdb", "raw", 1 << 20)
        assert first.records_changes
        assert not second.records_changes
        assert first.disk().path == str(qcow2.path)
        domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED) if not domain.isActive() else None


def test_chain_is_known_while_it_runs(lab: Lab) -> None:
    base = DiskSpec(lab.image("base.qcow2", "8M"))
    middle = DiskSpec(lab.image("middle.qcow2", backing=base))
    top = lab.image("top.qcow2", backing=middle)
    domain = defined(lab, DiskSpec(top))
    assert sources(domain)[0].chain == (str(top),)
    domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
    assert sources(domain)[0].chain == (str(top), str(middle.path), str(base.path))


@pytest.mark.parametrize(
    ("disk", "reason"),
    [
        ("<disk type='dir'><source dir='/x'/><target dev='vdx'/></disk>", "dir disks are not read"),
        (
            "<disk type='network'><source protocol='rbd' name='x'/><target dev='vdx'/></disk>",
            "network disks over rbd are not read",
        ),
        (
            "<disk type='file'><driver type='vdi'/><source file='/x'/><target dev='vdx'/></disk>",
            "images of format vdi are not read",
        ),
        (
            "<disk><source file='/x'><encryption/></source><target dev='vdx'/></disk>",
            "its image is encrypted by QEMU",
        ),
        ("<disk type='file'><target dev='vdx'/></disk>", "it has no source"),
    ],
)
def test_refused(lab: Lab, disk: str, reason: str) -> None:
    domain = defined(lab)
    xml = parsed(f"<domain><devices>{disk}</devices></domain>")
    assert split_sources(domain, xml) == ([], {"vdx": reason})
    with pytest.raises(HypervisorError, match="vdx") as caught:
        disk_sources(domain, xml)
    assert "--exclude-disk" in caught.value.hint
    assert disk_sources(domain, xml, frozenset({"vdx"})) == []


def test_volume_that_is_not_there(lab: Lab) -> None:
    domain = defined(lab, DiskSpec("v", type="volume", pool="none"))
    with pytest.raises(NotFound, match="volume 'v' of pool 'none'"):
        sources(domain)


def test_headers_of_images(lab: Lab) -> None:
    def source(path: Path, format: str = "qcow2") -> DiskSource:
        return DiskSource("vda", str(path), format, False, (str(path),))

    image = lab.image("a.qcow2", "8M")
    assert source(image).records_changes
    assert not source(image).has_snapshots
    assert not source(image, "raw").has_snapshots
    subprocess.run(["qemu-img", "snapshot", "-c", "s", image], check=True)
    assert source(image).has_snapshots
    old = lab.folder / "old.qcow2"
    create = ["qemu-img", "create", "-q", "-f", "qcow2", "-o", "compat=0.10"]
    subprocess.run([*create, str(old), "8M"], check=True)
    assert not source(old).records_changes
    # Of another host: libvirt will say.
    assert source(lab.folder / "none").records_changes
    assert not source(lab.folder / "none").has_snapshots
