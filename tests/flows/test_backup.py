from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import hypersdk
from hypersdk import BackupOptions, InvalidInput, Key, KeyRequired, Protect, Repository
from hypersdk.drivers.mock.driver import MockHypervisor
from hypersdk.model.errors import (
    DataPathError,
    HypervisorError,
    ImageRefused,
    Interrupted,
    NotFound,
    StoreFull,
)
from hypersdk.model.instances import Consistency
from hypersdk.model.progress import Progress
from hypersdk.repository.keys import WRITER, generate_identity
from hypersdk.repository.layout import LEASES, PACKS
from hypersdk.repository.store.memory import MemoryStore
from tests.components import require
from tests.datapath.servers import qemu_io, qemu_nbd, run
from tests.flows.examples import (
    CHUNK,
    MIB,
    disk_content,
    noise,
    repository_at,
    stopping,
    write_image,
)
from tests.repository.examples import content_of, keys_below, new_repository


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return repository_at(tmp_path)


# -- images


@pytest.mark.parametrize("size", [4 * MIB, 4 * MIB - 123 * 512, 3 * CHUNK + 512])
def test_a_raw_image(size: int, repository: Repository, tmp_path: Path) -> None:
    content = disk_content(size)
    image = write_image(tmp_path / "disk.raw", content)
    point = hypersdk.backup_image(repository, image, "web")
    (disk,) = point.disks
    assert (disk.name, disk.size, disk.chunk_size, disk.format) == ("disk0", size, CHUNK, "raw")
    assert not disk.incremental
    assert disk.reason == "an image keeps no record of changes"
    assert point.consistency is Consistency.OFFLINE
    assert point.source == str(image)
    assert content_of(repository, point) == content
    assert repository.points() == [point]


@pytest.mark.parametrize("format", ["qcow2", "vmdk", "vhdx", "vdi"])
def test_an_image_of_another_format(format: str, repository: Repository, tmp_path: Path) -> None:
    require("qemu-img", "qemu-nbd")
    content = disk_content()
    image = write_image(tmp_path / "disk", content, format)
    point = hypersdk.backup_image(repository, image, "web")
    assert point.disks[0].format == format
    assert content_of(repository, point) == content
    statistics = point.disks[0].statistics
    assert statistics.read + statistics.zero == 4 * MIB
    if format != "vhdx":  # whose blocks are larger than the holes of this disk
        assert statistics.zero >= MIB, "what the format knows to be empty is not read"


def test_an_nbd_export(repository: Repository, tmp_path: Path) -> None:
    content = disk_content()
    image = write_image(tmp_path / "disk.qcow2", content, "qcow2")
    with qemu_nbd(tmp_path, image, "--format=qcow2", "--read-only") as server:
        point = hypersdk.backup_image(repository, server.uri, "web")
    assert point.source == server.uri
    assert content_of(repository, point) == content
    assert point.disks[0].statistics.zero >= MIB


def test_statistics_add_up(repository: Repository, tmp_path: Path) -> None:
    content = noise(3 * CHUNK) + bytes(4 * CHUNK) + noise(CHUNK) + noise(100)
    image = write_image(tmp_path / "disk.raw", content)
    found = hypersdk.backup_image(repository, image, "web").disks[0].statistics
    assert found.read + found.zero == len(content)
    assert found.changed == 4 * CHUNK + 100
    assert found.unchanged == 0
    # The last but one chunk repeats the first: its content is known.
    assert found.stored == 3 * (CHUNK + 16) + 116
    assert found.seconds > 0


def test_an_unchanged_image_stores_nothing(repository: Repository, tmp_path: Path) -> None:
    image = write_image(tmp_path / "disk.raw", disk_content())
    first = hypersdk.backup_image(repository, image, "web")
    before = keys_below(repository.store, PACKS)
    second = hypersdk.backup_image(repository, image, "web")
    found = second.disks[0].statistics
    assert (found.stored, found.changed) == (0, 0)
    assert found.read == first.disks[0].statistics.read
    assert keys_below(repository.store, PACKS) == before
    assert second.disks[0].segments == first.disks[0].segments
    assert second.previous == first.digest


def test_only_what_changed_is_stored(repository: Repository, tmp_path: Path) -> None:
    content = bytearray(disk_content())
    image = write_image(tmp_path / "disk.raw", bytes(content))
    hypersdk.backup_image(repository, image, "web")
    content[5 * CHUNK + 3] ^= 1
    image.write_bytes(content)
    second = hypersdk.backup_image(repository, image, "web")
    found = second.disks[0].statistics
    assert found.changed == CHUNK
    assert CHUNK <= found.stored <= CHUNK + 16
    assert content_of(repository, second) == bytes(content)


def test_zeroed_and_discarded_areas_come_back_as_zero(
    repository: Repository, tmp_path: Path
) -> None:
    require("qemu-io")
    content = noise(4 * MIB)
    image = write_image(tmp_path / "disk.qcow2", content, "qcow2")
    first = hypersdk.backup_image(repository, image, "web")
    qemu_io(image, "write -z 1M 1M", "discard 2M 1M")
    second = hypersdk.backup_image(repository, image, "web")
    expected = content[:MIB] + bytes(2 * MIB) + content[3 * MIB :]
    assert content_of(repository, second) == expected
    assert content_of(repository, first) == content
    found = second.disks[0].statistics
    assert (found.zero, found.stored, found.changed) == (2 * MIB, 0, 2 * MIB)


@pytest.mark.parametrize("size", [3 * MIB, 5 * MIB + 512, 512])
def test_a_disk_that_grew_or_shrank(size: int, repository: Repository, tmp_path: Path) -> None:
    image = write_image(tmp_path / "disk.raw", disk_content())
    hypersdk.backup_image(repository, image, "web")
    with image.open("r+b") as file:
        file.truncate(size)
    second = hypersdk.backup_image(repository, image, "web")
    assert second.disks[0].size == size
    assert content_of(repository, second) == image.read_bytes()
    # A short last chunk is the only one that was not there before.
    assert second.disks[0].statistics.stored <= CHUNK


def test_an_image_with_a_backing_file(repository: Repository, tmp_path: Path) -> None:
    require("qemu-img", "qemu-nbd", "qemu-io")
    base = write_image(tmp_path / "base.raw", disk_content())
    image = tmp_path / "top.qcow2"
    run("qemu-img", "create", "-f", "qcow2", "-b", base, "-F", "raw", image)
    qemu_io(image, "write -P 7 64k 64k")
    with pytest.raises(ImageRefused, match="backing file"):
        hypersdk.backup_image(repository, image, "web")
    options = BackupOptions(allow_backing=(base,))
    point = hypersdk.backup_image(repository, image, "web", options=options)
    content = disk_content()
    assert content_of(repository, point) == content[:CHUNK] + b"\7" * CHUNK + content[2 * CHUNK :]


def test_a_guest_cannot_choose_the_format_of_a_raw_disk(
    repository: Repository, tmp_path: Path
) -> None:
    """It may write the header of a qcow2 image that names a file of the host."""
    require("qemu-img")
    evil = tmp_path / "disk.raw"
    run("qemu-img", "create", "-f", "qcow2", evil, "1M")
    options = BackupOptions(image_format="raw")
    point = hypersdk.backup_image(repository, evil, "web", options=options)
    assert content_of(repository, point) == evil.read_bytes()


def test_a_path_that_is_not_utf8(repository: Repository, tmp_path: Path) -> None:
    image = os.fsencode(tmp_path) + b"/caf\xe9.raw"
    write_image(Path(os.fsdecode(image)), disk_content(CHUNK))
    point = hypersdk.backup_image(repository, os.fsdecode(image), "web")
    (found,) = repository.points()
    assert content_of(repository, found) == disk_content(CHUNK)
    assert found.source.endswith("caf?.raw")
    assert found.digest == point.digest


@pytest.mark.parametrize("size", [0, 1, 511, 513])
def test_odd_sizes(size: int, repository: Repository, tmp_path: Path) -> None:
    image = write_image(tmp_path / "disk.raw", noise(size))
    point = hypersdk.backup_image(repository, image, "web")
    assert content_of(repository, point) == noise(size)


# -- options


def test_options_are_written_down(repository: Repository, tmp_path: Path) -> None:
    image = write_image(tmp_path / "disk.raw", disk_content(MIB))
    until = datetime.now(UTC) + timedelta(days=30)
    options = BackupOptions(
        tags={"ticket": "4711", "größe": "✓"},
        pinned=True,
        locked_until=until,
        chunk_size=4 * MIB,
        workers=3,
    )
    hypersdk.backup_image(repository, image, "web", options=options)
    (point,) = repository.points()
    assert point.tags == {"ticket": "4711", "größe": "✓"}
    assert (point.pinned, point.locked_until) == (True, until)
    assert point.disks[0].chunk_size == 4 * MIB


def test_a_disk_keeps_the_chunk_size_of_its_first_backup(
    repository: Repository, tmp_path: Path
) -> None:
    image = write_image(tmp_path / "disk.raw", disk_content(MIB))
    hypersdk.backup_image(repository, image, "web")
    options = BackupOptions(chunk_size=2 * CHUNK)
    again = hypersdk.backup_image(repository, image, "web", options=options)
    assert again.disks[0].chunk_size == CHUNK
    other = hypersdk.backup_image(repository, image, "other", options=options)
    assert other.disks[0].chunk_size == 2 * CHUNK


@pytest.mark.parametrize("size", [1, CHUNK // 2, CHUNK + 1, 8 * MIB])
def test_no_chunk_size(size: int, repository: Repository, tmp_path: Path) -> None:
    image = write_image(tmp_path / "disk.raw", disk_content(MIB))
    with pytest.raises(InvalidInput, match="chunk size"):
        hypersdk.backup_image(repository, image, "web", options=BackupOptions(chunk_size=size))
    assert repository.points() == []


def test_a_lock_needs_a_time_zone() -> None:
    with pytest.raises(InvalidInput, match="time zone"):
        BackupOptions(locked_until=datetime(2026, 11, 21))  # noqa: DTZ001


def test_throttle(repository: Repository, tmp_path: Path) -> None:
    image = write_image(tmp_path / "disk.raw", noise(2 * MIB))
    began = time.monotonic()
    options = BackupOptions(throttle=4 * MIB)
    point = hypersdk.backup_image(repository, image, "web", options=options)
    # Half a second of data; a fifth of a second's worth may pass at once.
    assert 0.25 < time.monotonic() - began < 3
    assert content_of(repository, point) == noise(2 * MIB)


# -- progress and cancellation


def test_progress(repository: Repository, tmp_path: Path) -> None:
    image = write_image(tmp_path / "disk.raw", disk_content())
    events: list[Progress] = []
    point = hypersdk.backup_image(repository, image, "web", reporter=events.append)
    last, found = events[-1], point.disks[0].statistics
    assert last.task == "web/disk0"
    assert last.finished
    assert [event.finished for event in events[:-1]] == [False] * (len(events) - 1)
    assert (last.done, last.total) == (4 * MIB, 4 * MIB)
    assert (last.read, last.zero, last.stored) == (found.read, found.zero, found.stored)
    assert [event.done for event in events] == sorted(event.done for event in events)


def test_cancelled_backups_end_soon_and_commit_nothing(
    repository: Repository, tmp_path: Path
) -> None:
    image = write_image(tmp_path / "disk.raw", noise(8 * MIB))
    token = hypersdk.CancelToken()
    began = time.monotonic()
    with pytest.raises(Interrupted):
        hypersdk.backup_image(
            repository,
            image,
            "web",
            options=BackupOptions(throttle=2 * MIB),
            reporter=stopping(token, MIB),
            cancel=token,
        )
    assert time.monotonic() - began < 2.5
    assert repository.points() == []
    assert keys_below(repository.store, LEASES) == []
    # What was stored is known to the next run.
    again = hypersdk.backup_image(repository, image, "web")
    assert again.disks[0].statistics.stored < 8 * MIB
    assert content_of(repository, again) == noise(8 * MIB)


def test_a_token_that_was_cancelled_before(repository: Repository, tmp_path: Path) -> None:
    image = write_image(tmp_path / "disk.raw", disk_content(MIB))
    token = hypersdk.CancelToken()
    token.cancel()
    with pytest.raises(Interrupted):
        hypersdk.backup_image(repository, image, "web", cancel=token)
    assert repository.points() == []


# -- failures


def test_an_image_that_is_not_there(repository: Repository, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"missing\.raw"):
        hypersdk.backup_image(repository, tmp_path / "missing.raw", "web")
    with pytest.raises(DataPathError):
        hypersdk.backup_image(repository, f"nbd+unix:///?socket={tmp_path}/no.sock", "web")
    assert keys_below(repository.store, LEASES) == []


@pytest.mark.parametrize("name", ["", "a" * 1025])
def test_no_name(name: str, repository: Repository, tmp_path: Path) -> None:
    image = write_image(tmp_path / "disk.raw", disk_content(CHUNK))
    with pytest.raises(InvalidInput, match="instance name"):
        hypersdk.backup_image(repository, image, name)
    assert keys_below(repository.store, LEASES) == []


def test_a_place_that_is_full(tmp_path: Path) -> None:
    store = MemoryStore()
    new_repository(tmp_path, store).close()
    image = write_image(tmp_path / "disk.raw", noise(4 * MIB))

    class Full(MemoryStore):
        def put_if_absent(self, key: str, data: bytes | bytearray | memoryview) -> None:
            if key.startswith(PACKS):
                raise StoreFull("no space left")
            super().put_if_absent(key, data)

    full = Full()
    full._objects = store._objects
    with Repository.open(full, cache=tmp_path / "cache") as repository:
        with pytest.raises(StoreFull):
            hypersdk.backup_image(repository, image, "web")
        assert repository.points() == []
    with Repository.open(store, cache=tmp_path / "cache") as repository:
        point = hypersdk.backup_image(repository, image, "web")
        assert content_of(repository, point) == noise(4 * MIB)


def test_no_key(tmp_path: Path) -> None:
    repository_at(tmp_path).close()
    image = write_image(tmp_path / "disk.raw", disk_content(CHUNK))
    with (
        hypersdk.open_repository(tmp_path / "repository", cache=tmp_path / "c") as locked,
        pytest.raises(KeyRequired, match="no key was given"),
    ):
        hypersdk.backup_image(locked, image, "web")


def test_a_writer_backs_up_what_it_cannot_read(tmp_path: Path) -> None:
    own, recipient = generate_identity()
    image = write_image(tmp_path / "disk.raw", disk_content())
    with repository_at(tmp_path) as repository:
        repository.add_key(Protect.recipient(recipient), role=WRITER)
        with hypersdk.open_repository(
            tmp_path / "repository", key=Key.identity(own), cache=tmp_path / "w"
        ) as writer:
            first = hypersdk.backup_image(writer, image, "web")
            again = hypersdk.backup_image(writer, image, "web")
            assert again.disks[0].statistics.stored == 0
            with pytest.raises(KeyRequired, match="not read"):
                hypersdk.restore(writer, first, tmp_path / "out")
        assert content_of(repository, first) == disk_content()


# -- instances


@pytest.fixture
def mock(tmp_path: Path) -> MockHypervisor:
    """A running instance with two disks of 4 MiB, the first one with data."""
    hypervisor = MockHypervisor(tmp_path / "lab")
    hypervisor.create_instance("web", {"vda": 4 * MIB, "vdb": 4 * MIB})
    hypervisor.lifecycle.start("web")
    write(hypervisor, "vda", 0, noise(2 * MIB))
    return hypervisor


def write(mock: MockHypervisor, disk: str, offset: int, data: bytes) -> None:
    with mock.guest("web", disk) as guest:
        guest.write(offset, data)


def guest_content(mock: MockHypervisor, disk: str) -> bytes:
    with mock.guest("web", disk) as guest:
        return guest.read(0, guest.size)


def assert_same(repository: Repository, point: hypersdk.RestorePoint, mock: MockHypervisor) -> None:
    for disk in point.disks:
        assert content_of(repository, point, disk.name) == guest_content(mock, disk.name)


def test_all_disks_of_an_instance(repository: Repository, mock: MockHypervisor) -> None:
    point = hypersdk.backup_instance(repository, mock, "web")
    assert [disk.name for disk in point.disks] == ["vda", "vdb"]
    assert not any(disk.incremental for disk in point.disks)
    assert point.instance_id == mock.inventory.instance("web").id
    assert point.source == mock.url
    assert repository.definition(point) is not None
    assert_same(repository, point, mock)


def test_the_next_backup_reads_only_what_changed(
    repository: Repository, mock: MockHypervisor
) -> None:
    hypersdk.backup_instance(repository, mock, "web")
    write(mock, "vda", 3 * CHUNK, noise(CHUNK, seed=9))
    write(mock, "vdb", MIB, noise(10, seed=9))
    with mock.guest("web", "vda") as guest:
        guest.zero(10 * CHUNK, 2 * CHUNK)
        guest.discard(20 * CHUNK, CHUNK)
    point = hypersdk.backup_instance(repository, mock, "web")
    first, second = point.disks
    assert first.incremental
    assert second.incremental
    assert first.statistics.read == CHUNK
    assert first.statistics.zero == 3 * CHUNK
    assert first.statistics.changed == 4 * CHUNK
    assert second.statistics.read == CHUNK
    assert first.statistics.unchanged == 4 * MIB - 4 * CHUNK
    assert_same(repository, point, mock)


def test_nothing_changed(repository: Repository, mock: MockHypervisor) -> None:
    first = hypersdk.backup_instance(repository, mock, "web")
    second = hypersdk.backup_instance(repository, mock, "web")
    for before, disk in zip(first.disks, second.disks, strict=True):
        assert disk.incremental
        assert (disk.statistics.read, disk.statistics.stored) == (0, 0)
        assert disk.segments == before.segments
    assert_same(repository, second, mock)


def test_a_full_backup_when_asked_for(repository: Repository, mock: MockHypervisor) -> None:
    hypersdk.backup_instance(repository, mock, "web")
    point = hypersdk.backup_instance(repository, mock, "web", options=BackupOptions(full=True))
    assert not point.disks[0].incremental
    assert point.disks[0].statistics.read == 2 * MIB
    assert point.disks[0].statistics.stored == 0
    third = hypersdk.backup_instance(repository, mock, "web")
    assert third.disks[0].incremental


def test_a_disk_that_was_resized_is_read_in_full(
    repository: Repository, mock: MockHypervisor
) -> None:
    hypersdk.backup_instance(repository, mock, "web")
    with mock.guest("web", "vda") as guest:
        guest.resize(5 * MIB)
    write(mock, "vda", 5 * MIB - 100, noise(100))
    point = hypersdk.backup_instance(repository, mock, "web")
    assert point.disks[0].size == 5 * MIB
    assert not point.disks[0].incremental
    assert point.disks[1].incremental
    assert_same(repository, point, mock)


def test_a_point_that_was_pruned_meanwhile(repository: Repository, mock: MockHypervisor) -> None:
    first = hypersdk.backup_instance(repository, mock, "web")
    repository.remove(first, "retention")
    repository.collect(timedelta(0))
    point = hypersdk.backup_instance(repository, mock, "web")
    assert_same(repository, point, mock)
    assert point.previous == b""


def test_a_failed_backup_does_not_move_the_checkpoint(tmp_path: Path, mock: MockHypervisor) -> None:
    """Otherwise what changed before it would be missing from the next one."""
    store = MemoryStore()
    with new_repository(tmp_path, store) as repository:
        hypersdk.backup_instance(repository, mock, "web")
    write(mock, "vda", 0, noise(CHUNK, seed=5))

    class Full(MemoryStore):
        def put_if_absent(self, key: str, data: bytes | bytearray | memoryview) -> None:
            if key.endswith(".rp"):
                raise StoreFull("no space left")
            super().put_if_absent(key, data)

    full = Full()
    full._objects = store._objects
    with (
        Repository.open(full, cache=tmp_path / "cache") as repository,
        pytest.raises(StoreFull),
    ):
        hypersdk.backup_instance(repository, mock, "web")
    write(mock, "vda", MIB, noise(CHUNK, seed=6))
    with Repository.open(store, cache=tmp_path / "cache") as repository:
        point = hypersdk.backup_instance(repository, mock, "web")
        assert_same(repository, point, mock)


def test_an_instance_that_is_not_there(repository: Repository, mock: MockHypervisor) -> None:
    with pytest.raises(NotFound, match="mail"):
        hypersdk.backup_instance(repository, mock, "mail")


def test_a_hypervisor_without_disks(repository: Repository, mock: MockHypervisor) -> None:
    class Blind:
        url = "mock:///blind"
        disks = None
        inventory = mock.inventory
        lifecycle = None

    with pytest.raises(HypervisorError, match="no access to disks"):
        hypersdk.backup_instance(repository, Blind(), "web")  # type: ignore[arg-type]
