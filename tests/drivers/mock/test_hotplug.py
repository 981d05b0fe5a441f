from __future__ import annotations

from pathlib import Path

import pytest

from hypersdk.drivers.mock.clock import FakeClock
from hypersdk.drivers.mock.config import Config, Limits
from hypersdk.drivers.mock.driver import MockHypervisor, connect
from hypersdk.model.errors import (
    AlreadyExists,
    InvalidInput,
    InvalidState,
    LimitExceeded,
    NotFound,
)
from hypersdk.model.resources import Network
from hypersdk.model.specs import DiskSpec, InstanceSpec, NicSpec
from hypersdk.model.units import MIB
from tests.drivers.mock.lab import kept


@pytest.fixture
def app(mock: MockHypervisor) -> MockHypervisor:
    """With a running instance ``app`` that has room to grow and a CD drive."""
    image = mock._path / "hypervisor.iso"
    image.write_bytes(b"CD001")
    mock.lifecycle.create(
        InstanceSpec(
            name="app",
            vcpus=2,
            vcpus_maximum=4,
            memory=64 * MIB,
            memory_maximum=128 * MIB,
            cdrom=str(image),
        )
    )
    mock.lifecycle.start("app")
    return mock


def test_a_disk_is_plugged_in_and_outlives_a_restart(app: MockHypervisor) -> None:
    made = app.hotplug.attach_disk("app", DiskSpec(size=MIB))
    assert (made.name, made.size) == ("vda", MIB)
    with app.guest("app", "vda") as guest:
        guest.write(0, b"data")
    app.lifecycle.stop("app")
    app.lifecycle.start("app")
    assert connect(app.url).inventory.instance("app").disks == (made,)
    with pytest.raises(AlreadyExists):
        app.hotplug.attach_disk("app", DiskSpec(name="vda", size=MIB))


def test_the_content_of_an_unplugged_disk_stays_and_can_be_plugged_in_again(
    app: MockHypervisor,
) -> None:
    app.hotplug.attach_disk("app", DiskSpec(name="data", size=MIB))
    with app.guest("app", "data") as guest:
        guest.write(0, b"precious")
    app.hotplug.detach_disk("app", "data")
    assert app.inventory.instance("app").disks == ()
    (path,) = (app._path / "kept").iterdir()
    again = app.hotplug.attach_disk("web", DiskSpec(name="data", path=str(path)))
    assert again.size == MIB
    with app.guest("web", "data") as guest:
        assert guest.read(0, 8) == b"precious"
    assert not path.exists()
    with pytest.raises(NotFound):
        app.hotplug.attach_disk("app", DiskSpec(path=str(path)))
    with pytest.raises(NotFound, match="Its disks: none"):
        app.hotplug.detach_disk("app", "data")


def test_a_disk_that_a_backup_reads_stays(app: MockHypervisor) -> None:
    with app.disks.view("web", {}), pytest.raises(InvalidState, match="backup"):
        app.hotplug.detach_disk("web", "vda")
    since = kept(app)
    app.hotplug.attach_disk("web", DiskSpec(name="vdb", size=MIB))
    with app.disks.view("web", since) as view:
        assert [disk.incremental for disk in view.disks] == [True, False]


def test_nics_come_and_go(app: MockHypervisor) -> None:
    with pytest.raises(NotFound, match="no network 'lan'"):
        app.hotplug.attach_nic("app", NicSpec(network="lan"))
    app.networks.create_network(Network("lan"))
    mac = app.hotplug.attach_nic("app", NicSpec(network="lan"))
    wanted = app.hotplug.attach_nic("app", NicSpec(mac="52:54:00:AB:CD:EF"))
    assert wanted == "52:54:00:ab:cd:ef"
    with pytest.raises(AlreadyExists):
        app.hotplug.attach_nic("app", NicSpec(mac=wanted.upper()))
    with pytest.raises(InvalidInput, match="no MAC address"):
        app.hotplug.attach_nic("app", NicSpec(mac="52:54"))
    assert [nic.name for nic in app.metrics.metrics(["app"])[0].nics] == [mac, wanted]
    app.hotplug.detach_nic("app", wanted.upper())
    with pytest.raises(NotFound, match=mac):
        app.hotplug.detach_nic("app", wanted)


def test_processors_and_memory_within_their_room(app: MockHypervisor) -> None:
    app.hotplug.set_vcpus("app", 4)
    app.hotplug.set_memory("app", 128 * MIB)
    app.hotplug.set_vcpus("app", 1)
    app.hotplug.set_vcpus("app", 4)
    found = app.inventory.instance("app")
    assert (found.vcpus, found.memory) == (4, 128 * MIB)
    for count, error in ((5, LimitExceeded), (0, InvalidInput)):
        with pytest.raises(error):
            app.hotplug.set_vcpus("app", count)
    for size, error in ((129 * MIB, LimitExceeded), (1, InvalidInput)):
        with pytest.raises(error):
            app.hotplug.set_memory("app", size)
    assert app.inventory.instance("app") == found


def test_processor_time_is_of_as_many_as_there_were(tmp_path: Path) -> None:
    clock = FakeClock()
    mock = MockHypervisor(tmp_path, clock=clock)
    mock.lifecycle.create(InstanceSpec(name="app", vcpus=1, vcpus_maximum=4))
    mock.lifecycle.start("app")
    clock.advance(100)
    mock.hotplug.set_vcpus("app", 4)
    one = mock.metrics.metrics(["app"])[0].cpu_nanoseconds
    clock.advance(100)
    assert mock.metrics.metrics(["app"])[0].cpu_nanoseconds == pytest.approx(5 * one)


def test_memory_and_disks_need_room_on_the_host(tmp_path: Path) -> None:
    limits = Limits(total_memory=100 * MIB, total_disk=3 * MIB)
    mock = MockHypervisor(tmp_path, config=Config(limits=limits))
    for name in ("one", "two"):
        mock.lifecycle.create(
            InstanceSpec(
                name=name,
                memory=40 * MIB,
                memory_maximum=90 * MIB,
                disks=(DiskSpec(size=MIB),),
            )
        )
        mock.lifecycle.start(name)
    with pytest.raises(LimitExceeded, match="memory"):
        mock.hotplug.set_memory("one", 61 * MIB)
    mock.hotplug.set_memory("one", 60 * MIB)
    mock.hotplug.attach_disk("one", DiskSpec(size=MIB))
    with pytest.raises(LimitExceeded, match="disk"):
        mock.hotplug.attach_disk("two", DiskSpec(size=1))


def test_media_change(app: MockHypervisor, tmp_path: Path) -> None:
    other = tmp_path / "other.iso"
    other.write_bytes(b"CD001")
    assert app.hotplug.insert_media("app", str(other)) == "sda"
    folder = app._root.find("app")
    assert folder.definition().drives == {"sda": str(other)}
    for _ in range(2):
        app.hotplug.eject_media("app", "sda")
    assert folder.definition().drives == {"sda": ""}
    with pytest.raises(NotFound, match="no CD drive 'sdb'"):
        app.hotplug.insert_media("app", str(other), "sdb")
    with pytest.raises(NotFound, match="no CD drive"):
        app.hotplug.eject_media("web")
    with pytest.raises(NotFound, match="no image"):
        app.hotplug.insert_media("app", "/nowhere.iso")
    with pytest.raises(InvalidInput, match="absolute"):
        app.hotplug.insert_media("app", "other.iso")
