from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import libvirt
import pytest

from hypersdk.datapath.cancel import CancelToken
from hypersdk.drivers.libvirt.driver import LibvirtHypervisor
from hypersdk.drivers.libvirt.migration import LibvirtLiveMigration, _parameters
from hypersdk.model.errors import (
    AlreadyExists,
    HypervisorUnreachable,
    InstanceNotFound,
    Interrupted,
    InvalidInput,
    InvalidState,
)
from hypersdk.model.progress import Progress
from hypersdk.model.units import MIB
from tests.drivers.libvirt.places import hypervisor, place  # noqa: F401
from tests.kvm.daemon import Libvirtd
from tests.kvm.domains import DiskSpec, Guest, domain_xml, qemu_io
from tests.kvm.fixtures import Lab, clean_lab

pytestmark = pytest.mark.timeout(90)
#: Folder that each daemon has for itself, under the same name.
OWN = Path("/var/lib/libvirt/images")


@pytest.fixture(scope="module")
def part(hypervisor: LibvirtHypervisor) -> LibvirtLiveMigration:  # noqa: F811
    assert hypervisor.live_migration is not None
    return hypervisor.live_migration


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Lab]:
    """A second host."""
    with Libvirtd() as daemon, clean_lab(daemon) as lab:
        yield lab


def own_image(lab: Lab, name: str, size: str = "32M") -> Path:
    """An image in the folder that only this daemon sees; its path from outside."""
    folder = lab.libvirtd.folder / "lib/images"
    folder.mkdir(exist_ok=True)
    folder.chmod(0o777)
    lab.image(name, size).rename(folder / name)
    return folder / name


def names(lab: Lab) -> list[str]:
    return [domain.name() for domain in lab.connection.listAllDomains()]


def test_guest_goes_on_over_there(
    part: LibvirtLiveMigration,
    place: Lab,  # noqa: F811
    elsewhere: Lab,
) -> None:
    """With its disk, and what it remembers; its checkpoints do not go along."""
    here = own_image(place, "web & ü.qcow2")
    over_there = elsewhere.libvirtd.folder / "lib/images"
    over_there.mkdir(exist_ok=True)
    over_there.chmod(0o777)
    guest = Guest.start(
        place.connection, domain_xml("moves", [DiskSpec(OWN / here.name)], system=place.system)
    )
    guest.write("vda", 5 * MIB, 0x42, MIB)
    guest.run("echo remembered > /run/note")
    guest.domain.checkpointCreateXML("<domaincheckpoint><name>cp</name></domaincheckpoint>")
    guest.close()
    seen: list[Progress] = []
    part.migrate("moves", elsewhere.url, copy_disks=True, reporter=seen.append)
    assert names(place) == []
    arrived = elsewhere.connection.lookupByName("moves")
    assert arrived.isPersistent()
    assert arrived.listAllCheckpoints() == []
    assert arrived.state()[0] == libvirt.VIR_DOMAIN_RUNNING
    guest = Guest(arrived)
    assert guest.run("cat /run/note") == "remembered\n"
    assert guest.run("dd if=/dev/vda bs=1M skip=5 count=1 2>/dev/null | tr -d B | wc -c") == "0\n"
    assert (over_there / here.name).exists()
    assert elsewhere.connection.listAllStoragePools() == []
    assert seen[-1].finished
    assert seen[-1].done == seen[-1].total >= 32 * MIB
    guest.destroy()
    arrived.undefine()
    (over_there / here.name).unlink()
    here.unlink()


@pytest.fixture
def halted(place: Lab) -> Iterator[libvirt.virDomain]:  # noqa: F811
    """A machine that runs its firmware, with a disk that is full of something."""
    image = own_image(place, "halted.qcow2")
    domain = place.connection.defineXML(domain_xml("halted", [DiskSpec(OWN / image.name)]))
    domain.create()
    qemu_io(domain, "vda", "write -P 0x42 0 32M")
    yield domain
    domain.destroy()
    for snapshot in domain.listAllSnapshots():
        snapshot.delete(libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY)
    domain.undefine()
    image.unlink()


def test_cancelled(
    part: LibvirtLiveMigration,
    halted: libvirt.virDomain,
    elsewhere: Lab,
) -> None:
    """It runs on where it was, and nothing is left on the other side."""
    (elsewhere.libvirtd.folder / "lib/images").mkdir(exist_ok=True)
    token, begun = CancelToken(), threading.Event()

    def stop(progress: Progress) -> None:
        begun.set()
        token.cancel()

    with token.scope(), pytest.raises(Interrupted, match="'halted' was cancelled; it runs on"):
        part.migrate("halted", elsewhere.url, copy_disks=True, bandwidth=MIB, reporter=stop)
    assert begun.is_set()
    assert halted.state()[0] == libvirt.VIR_DOMAIN_RUNNING
    assert names(elsewhere) == []
    assert list((elsewhere.libvirtd.folder / "lib/images").iterdir()) == []
    assert elsewhere.connection.listAllStoragePools() == []


def test_nothing_is_written_over(
    part: LibvirtLiveMigration,
    halted: libvirt.virDomain,
    elsewhere: Lab,
) -> None:
    folder = elsewhere.libvirtd.folder / "lib/images"
    folder.mkdir(exist_ok=True)
    (folder / "halted.qcow2").write_bytes(b"precious")
    with pytest.raises(AlreadyExists, match=r"halted\.qcow2, which exists there"):
        part.migrate("halted", elsewhere.url, copy_disks=True)
    assert (folder / "halted.qcow2").read_bytes() == b"precious"
    (folder / "halted.qcow2").unlink()
    assert halted.isActive()


def test_disk_that_is_not_there(
    part: LibvirtLiveMigration,
    halted: libvirt.virDomain,
    elsewhere: Lab,
) -> None:
    with pytest.raises(InvalidState, match="migrate 'halted'") as failure:
        part.migrate("halted", elsewhere.url)
    assert "or be copied along" in failure.value.hint
    assert halted.state()[0] == libvirt.VIR_DOMAIN_RUNNING
    assert names(elsewhere) == []


def test_refused_over_there(
    part: LibvirtLiveMigration,
    halted: libvirt.virDomain,
    elsewhere: Lab,
) -> None:
    """Another machine has its name: the copies that were begun are removed."""
    folder = elsewhere.libvirtd.folder / "lib/images"
    folder.mkdir(exist_ok=True)
    taken = elsewhere.connection.defineXML(domain_xml("halted"))
    with pytest.raises(AlreadyExists, match="migrate 'halted'"):
        part.migrate("halted", elsewhere.url, copy_disks=True)
    assert halted.state()[0] == libvirt.VIR_DOMAIN_RUNNING
    assert list(folder.iterdir()) == []
    taken.undefine()


def test_snapshots_are_in_the_way(
    part: LibvirtLiveMigration, halted: libvirt.virDomain, elsewhere: Lab
) -> None:
    halted.snapshotCreateXML("<domainsnapshot><name>s</name></domainsnapshot>")
    with pytest.raises(InvalidState, match="has snapshots") as failure:
        part.migrate("halted", elsewhere.url, copy_disks=True)
    assert failure.value.hint == "Delete them first."


def test_requests_that_make_no_sense(
    part: LibvirtLiveMigration,
    place: Lab,  # noqa: F811
    halted: libvirt.virDomain,
    elsewhere: Lab,
) -> None:
    with pytest.raises(InvalidInput, match="does not name a libvirt connection"):
        part.migrate("halted", "qemu+ssh://host/system")
    with pytest.raises(HypervisorUnreachable):
        part.migrate("halted", "libvirt+qemu+unix:///system?socket=/nowhere")
    with pytest.raises(InvalidInput, match="0 bytes per second"):
        part.migrate("halted", elsewhere.url, bandwidth=0)
    with pytest.raises(InstanceNotFound):
        part.migrate("nobody", elsewhere.url)
    with pytest.raises(AlreadyExists):
        part.migrate("halted", place.url, copy_disks=True)  # to itself
    stopped = place.connection.defineXML(domain_xml("stopped"))
    with pytest.raises(InvalidState, match="'stopped' is stopped"):
        part.migrate("stopped", elsewhere.url)
    stopped.undefine()


@pytest.mark.parametrize(
    ("source", "target", "wanted"),
    [
        (
            "qemu:///system",
            "qemu+unix:///system?socket=/x",
            {"migrate_uri": "tcp://127.0.0.1", "listen_address": "127.0.0.1"},
        ),
        ("qemu:///system", "qemu+ssh://root@b.lan:22/system", {"migrate_uri": "tcp://b.lan"}),
        (
            "qemu+ssh://a.lan/system",
            "qemu+tls://[fd00::2]/system",
            {"migrate_uri": "tcp://[fd00::2]"},
        ),
        ("qemu+ssh://a.lan/system", "qemu:///system", {}),
    ],
)
def test_where_the_stream_goes(source: str, target: str, wanted: dict[str, object]) -> None:
    assert _parameters(source, target, None) == wanted


@pytest.mark.parametrize(("bytes_per_second", "mib"), [(1, 1), (MIB, 1), (100 * MIB, 100)])
def test_bandwidth(bytes_per_second: int, mib: int) -> None:
    parameters = _parameters("qemu:///system", "qemu+ssh://b/system", bytes_per_second)
    assert parameters["bandwidth"] == mib
