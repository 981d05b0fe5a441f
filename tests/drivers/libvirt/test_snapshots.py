from __future__ import annotations

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

import libvirt
import pytest

from hypersdk.drivers.libvirt import translate
from hypersdk.drivers.libvirt.driver import LibvirtHypervisor
from hypersdk.drivers.libvirt.snapshots import LibvirtSnapshots
from hypersdk.model.errors import (
    AlreadyExists,
    GuestAgentMissing,
    HypervisorError,
    InstanceNotFound,
    InvalidInput,
    InvalidState,
    NotFound,
)
from hypersdk.model.instances import InstanceState
from tests.drivers.libvirt.places import booted, place  # noqa: F401
from tests.drivers.libvirt.places import hypervisor as shared  # noqa: F401
from tests.kvm.domains import DiskSpec, Guest, domain_xml, qemu_io
from tests.kvm.fixtures import Lab

pytestmark = pytest.mark.timeout(60)
NAME = "web & ü"
DISK = "devices/disk"


@pytest.fixture
def part(shared: LibvirtHypervisor) -> LibvirtSnapshots:  # noqa: F811
    assert shared.snapshots is not None
    return shared.snapshots


@pytest.fixture
def web(place: Lab) -> Iterator[libvirt.virDomain]:  # noqa: F811
    """A stopped machine with two disks, of which the second is raw when it is called so."""
    yield from machine(place, "b.qcow2")


@pytest.fixture
def mixed(place: Lab) -> Iterator[libvirt.virDomain]:  # noqa: F811
    yield from machine(place, "a.raw")


def machine(place: Lab, second: str) -> Iterator[libvirt.virDomain]:  # noqa: F811
    format = second.partition(".")[2]
    disks = [
        DiskSpec(place.image("a.qcow2", "8M")),
        DiskSpec(place.image(second, "8M", format=format), "vdb", format=format),
        DiskSpec("", "sda", "raw", device="cdrom", bus="sata"),
    ]
    xml = domain_xml(NAME, disks).replace('<source file="" />', "")
    domain = place.connection.defineXML(xml)
    yield domain
    if domain.isActive():
        domain.destroy()
    domain.undefineFlags(
        libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
        | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
    )
    for file in place.folder.glob("*"):
        if file.stem not in {"booted", "filesystem"} and not file.is_socket():
            file.unlink()


def tree(part: LibvirtSnapshots, name: str = NAME) -> list[tuple[str, str, bool]]:
    return [(s.name, s.parent, s.current) for s in part.snapshots(name)]


def holds(image: Path, byte: int, kind: str = "qcow2") -> bool:
    """Whether the first 64 KiB of an image that nobody uses are this byte."""
    command = ["qemu-io", "-f", kind, "-c", f"read -P {byte} 0 64k", str(image)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "read 65536/65536" in said
    return "Pattern verification failed" not in said


def internal_names(image: Path) -> str:
    return subprocess.check_output(["qemu-img", "snapshot", "-U", "-l", image], text=True)


def test_with_memory_and_back(part: LibvirtSnapshots, web: libvirt.virDomain, place: Lab) -> None:  # noqa: F811
    web.create()
    qemu_io(web, "vda", "write -P 0x11 0 64k")
    begun = datetime.now(UTC) - timedelta(seconds=1)
    made = part.create(NAME, "before & <after>", memory=True, description="a <word> & ü")
    assert made == part.snapshots(NAME)[0]
    assert (made.name, made.parent, made.current) == ("before & <after>", "", True)
    assert (made.state, made.memory) == (InstanceState.RUNNING, True)
    assert made.disks == {"vda": "internal", "vdb": "internal", "sda": "no"}
    assert made.description == "a <word> & ü"
    assert begun - timedelta(seconds=1) < made.created < datetime.now(UTC)
    qemu_io(web, "vda", "write -P 0x22 0 64k")
    part.revert(NAME, made.name)
    assert web.state()[0] == libvirt.VIR_DOMAIN_RUNNING
    web.destroy()
    assert holds(place.folder / "a.qcow2", 0x11)
    # A stopped machine goes back to where it ran, too.
    part.revert(NAME, made.name)
    assert web.state()[0] == libvirt.VIR_DOMAIN_RUNNING
    web.suspend()
    paused = part.create(NAME, "paused", memory=True)
    assert (paused.state, paused.parent) == (InstanceState.PAUSED, made.name)


def test_stopped_tree(part: LibvirtSnapshots, web: libvirt.virDomain, place: Lab) -> None:  # noqa: F811
    made = part.create(NAME, "one")
    assert (made.state, made.memory) == (InstanceState.STOPPED, False)
    assert made.disks == {"vda": "internal", "vdb": "internal", "sda": "no"}
    part.create(NAME, "two")
    part.create(NAME, "three")
    part.revert(NAME, "one")
    assert not web.isActive()
    part.create(NAME, "other")
    assert sorted(tree(part)) == [
        ("one", "", False),
        ("other", "one", True),
        ("three", "two", False),
        ("two", "one", False),
    ]
    names = [s.name for s in part.snapshots(NAME)]
    assert names.index("one") < names.index("two") < names.index("three")
    part.delete(NAME, "two")
    assert ("three", "one", False) in tree(part)
    part.delete(NAME, "one", children=True)
    assert tree(part) == []
    assert internal_names(place.folder / "b.qcow2") == ""


def test_running_disks_only(part: LibvirtSnapshots, mixed: libvirt.virDomain, place: Lab) -> None:  # noqa: F811
    mixed.create()
    before = {"vda": place.folder / "a.qcow2", "vdb": place.folder / "a.raw"}
    for name in ("one", "two", "three"):
        made = part.create(NAME, name)
        assert (made.state, made.memory) == (InstanceState.RUNNING, False)
        assert made.disks == {"vda": "external", "vdb": "external", "sda": "no"}
    overlay = place.folder / f"{NAME}-vdb.three.qcow2"
    qemu_io(mixed, "vdb", "write -P 0x33 0 64k", "flush")
    assert before["vdb"].read_bytes()[0] == 0
    with pytest.raises(HypervisorError, match=r"cannot do it, 9\.9 and later can") as failure:
        part.revert(NAME, "two")
    assert "vda: " + str(place.folder / f"{NAME}-vda.one.qcow2") in failure.value.hint
    assert mixed.isActive()
    part.delete(NAME, "two")
    assert tree(part) == [("one", "", False), ("three", "one", True)]
    part.delete(NAME, "one", children=True)
    assert tree(part) == []
    assert before["vdb"].read_bytes()[0] == 0x33
    assert not overlay.exists()
    mixed.destroy()
    assert holds(before["vdb"], 0x33, "raw")


def test_external_memory(part: LibvirtSnapshots, mixed: libvirt.virDomain, place: Lab) -> None:  # noqa: F811
    """A raw disk cannot hold a state: it is kept beside the first disk."""
    mixed.create()
    made = part.create(NAME, "state", memory=True)
    assert (made.state, made.memory) == (InstanceState.RUNNING, True)
    assert made.disks == {"vda": "external", "vdb": "external", "sda": "no"}
    (file,) = place.folder.glob(f"{NAME}.state-*.memory")
    assert file.stat().st_size > 1 << 18
    part.delete(NAME, "state")
    assert not file.exists()
    assert tree(part) == []


def test_uefi_machine(part: LibvirtSnapshots, place: Lab) -> None:  # noqa: F811
    xml = domain_xml("uefi", [DiskSpec(place.image("u.qcow2", "8M"))], firmware="efi")
    domain = place.connection.defineXML(xml)
    made = part.create("uefi", "off")
    assert made.disks == {"vda": "external"}
    part.delete("uefi", "off")
    domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_NVRAM)


def test_stopped_with_raw_disk(
    part: LibvirtSnapshots,
    mixed: libvirt.virDomain,
    place: Lab,  # noqa: F811
) -> None:
    made = part.create(NAME, "one")
    assert (made.state, made.memory) == (InstanceState.STOPPED, False)
    assert made.disks == {"vda": "external", "vdb": "external", "sda": "no"}
    subprocess.run(
        ["qemu-io", "-c", "write -P 1 0 64k", place.folder / f"{NAME}-vdb.one.qcow2"],
        check=True,
        capture_output=True,
    )
    # The overlays are qcow2.
    assert part.create(NAME, "two").disks["vdb"] == "internal"
    part.revert(NAME, "two")
    with pytest.raises(InvalidState, match="snapshot 'two' is inside its overlays") as failure:
        part.delete(NAME, "one")
    assert "Delete 'two' first" in failure.value.hint
    assert tree(part) == [("one", "", False), ("two", "one", True)]
    part.delete(NAME, "one", children=True)
    assert tree(part) == []
    assert not mixed.isActive()
    assert holds(place.folder / "a.raw", 1, "raw")


def test_stopped_overlays_in_any_order(
    part: LibvirtSnapshots,
    mixed: libvirt.virDomain,
    place: Lab,  # noqa: F811
) -> None:
    mixed.create()
    for number, name in enumerate(("one", "two", "three"), 1):
        part.create(NAME, name)
        qemu_io(mixed, "vdb", f"write -P {number} 0 64k")
    mixed.destroy()
    part.delete(NAME, "two")
    part.delete(NAME, "one")
    part.delete(NAME, "three")
    assert tree(part) == []
    assert not mixed.isActive()
    assert holds(place.folder / "a.raw", 3, "raw")


def test_paused_keeps_external_ones(part: LibvirtSnapshots, web: libvirt.virDomain) -> None:
    """A failed deletion could not be repeated, so none is begun."""
    web.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
    part.create(NAME, "one")
    with pytest.raises(InvalidState, match="is paused, so overlays of 'one' cannot be committed"):
        part.delete(NAME, "one")
    web.resume()
    part.delete(NAME, "one")
    assert tree(part) == []


def test_no_revert_under_overlays(part: LibvirtSnapshots, web: libvirt.virDomain) -> None:
    """libvirt 9.0 would revert the image below overlays, which then hold nonsense."""
    part.create(NAME, "inside")
    web.create()
    part.create(NAME, "overlay")
    with pytest.raises(InvalidState, match="external snapshot 'overlay' lie over the images"):
        part.revert(NAME, "inside")
    with pytest.raises(HypervisorError, match="internal snapshot as parent") as failure:
        part.delete(NAME, "overlay")
    assert "that has an internal one before it" in failure.value.hint


def test_checkpoints_are_in_the_way(part: LibvirtSnapshots, web: libvirt.virDomain) -> None:
    web.create()
    part.create(NAME, "early", memory=True)
    web.checkpointCreateXML("<domaincheckpoint><name>cp1</name></domaincheckpoint>")
    with pytest.raises(InvalidState, match=r"has checkpoints \(cp1\)") as failure:
        part.create(NAME, "late", memory=True)
    assert "Delete the checkpoints first" in failure.value.hint
    with pytest.raises(InvalidState, match="snapshot 'early' cannot be reverted"):
        part.revert(NAME, "early")
    assert web.isActive()
    # Overlays and checkpoints get along.
    assert part.create(NAME, "overlay").disks["vda"] == "external"
    web.destroy()
    with pytest.raises(InvalidState, match="an internal snapshot cannot be made"):
        part.create(NAME, "late")


def test_requests_that_make_no_sense(part: LibvirtSnapshots, web: libvirt.virDomain) -> None:
    with pytest.raises(InvalidState, match="is stopped and has no running state"):
        part.create(NAME, "x", memory=True)
    with pytest.raises(InvalidState, match="is stopped and has no filesystem"):
        part.create(NAME, "x", quiesce=True)
    for name in ("", ".hidden", "a/b"):
        with pytest.raises(InvalidInput, match="cannot be the name of a snapshot"):
            part.create(NAME, name)
    with pytest.raises(InstanceNotFound):
        part.create("nobody", "x")
    part.create(NAME, "x")
    with pytest.raises(AlreadyExists, match="has a snapshot 'x' already"):
        part.create(NAME, "x")
    with pytest.raises(NotFound, match="find snapshot 'y'"):
        part.revert(NAME, "y")
    with pytest.raises(NotFound, match="find snapshot 'y'"):
        part.delete(NAME, "y")
    web.create()
    with pytest.raises(InvalidInput, match="needs no frozen filesystems"):
        part.create(NAME, "z", memory=True, quiesce=True)
    with pytest.raises(GuestAgentMissing):
        part.create(NAME, "z", quiesce=True)


def needs_recovery(image: Path, raw: Path) -> bool:
    """Whether the ext4 filesystem in an image must play back its journal when it is mounted."""
    subprocess.run(["qemu-img", "convert", "-U", "-O", "raw", image, raw], check=True)
    said = subprocess.run(["dumpe2fs", "-h", raw], check=True, capture_output=True, text=True)
    return "needs_recovery" in said.stdout


def test_quiesced(part: LibvirtSnapshots, booted: Guest, place: Lab) -> None:  # noqa: F811
    """The journal of the frozen filesystem is empty: nothing was in flight."""
    raw = place.folder / "seen"
    for quiesce in (True, False):
        image = translate.source_path(ET.fromstring(booted.domain.XMLDesc()).findall(DISK)[0])
        booted.run("echo precious > /data/file")
        made = part.create("booted", f"quiet-{quiesce}", quiesce=quiesce)
        assert made.disks == {"vda": "external"}
        assert needs_recovery(Path(image), raw) is not quiesce
        assert booted.run("echo more > /data/other; sync; cat /data/file") == "precious\n"
    part.delete("booted", "quiet-True", children=True)
    assert booted.run("cat /data/other") == "more\n"


def test_test_driver() -> None:
    hypervisor = LibvirtHypervisor("test:///default")
    part = hypervisor.snapshots
    assert part is not None
    part.create("test", "one")
    part.create("test", "two")
    assert tree(part, "test") == [("one", "", False), ("two", "one", True)]
    part.delete("test", "one", children=True)
    assert tree(part, "test") == []
    hypervisor.close()
