"""A record of changed blocks that lies is caught, and damage of the last point does not spread."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

import hypersdk
from hypersdk import Repository, RestorePoint
from hypersdk.datapath.memory import MemorySource
from hypersdk.drivers.mock.driver import MockHypervisor
from hypersdk.flows.audit import SAMPLE_MAX, SAMPLE_MIN, Rereading, lying_chunks
from hypersdk.model.extents import Extent, ExtentKind
from hypersdk.repository.format import PackKind
from hypersdk.repository.layout import PACKS, pack_key, pack_name
from hypersdk.repository.packs import read_footer
from hypersdk.repository.store.faults import FaultStore
from tests.flows.examples import CHUNK, MIB, noise, repository_at
from tests.repository.examples import identity

#: Few enough chunks that every one of them is in the sample.
SIZE = 3 * MIB + 512


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    with repository_at(tmp_path) as repository:
        yield repository


@pytest.fixture
def mock(tmp_path: Path) -> MockHypervisor:
    """An instance with a disk, half of it noise."""
    mock = MockHypervisor(tmp_path / "lab")
    mock.create_instance("web", {"vda": SIZE})
    write(mock, 0, noise(SIZE // 2, seed=1))
    return mock


def write(mock: MockHypervisor, offset: int, data: bytes, *, journal: bool = True) -> None:
    with mock.guest("web", "vda") as guest:
        guest.write(offset, data, journal=journal)


def disk(mock: MockHypervisor) -> bytes:
    with mock.guest("web", "vda") as guest:
        return guest.read(0, guest.size)


def restored(repository: Repository, point: RestorePoint, folder: Path) -> bytes:
    path = folder / f"{point.id}.raw"
    hypersdk.restore(repository, point, path)
    return path.read_bytes()


def back_up(repository: Repository, mock: MockHypervisor) -> RestorePoint:
    return hypersdk.backup_instance(repository, mock, "web")


# -- the audit


def test_an_honest_record_is_believed(
    repository: Repository, mock: MockHypervisor, tmp_path: Path
) -> None:
    back_up(repository, mock)
    write(mock, 5 * CHUNK, noise(100, seed=2))
    point = back_up(repository, mock)
    assert point.warnings == ()
    assert point.disks[0].incremental
    assert point.disks[0].statistics.read == CHUNK
    assert restored(repository, point, tmp_path) == disk(mock)


@pytest.mark.parametrize("offset", [0, 7 * CHUNK + 99, SIZE - 10], ids=["first", "inside", "last"])
def test_one_forgotten_write_is_caught(
    repository: Repository, mock: MockHypervisor, tmp_path: Path, offset: int
) -> None:
    first = back_up(repository, mock)
    before = disk(mock)
    write(mock, 2 * CHUNK, noise(CHUNK, seed=3))
    write(mock, offset, b"unseen", journal=False)
    point = back_up(repository, mock)
    assert not point.disks[0].incremental
    assert "lied about 1 chunks" in point.disks[0].reason
    (warning,) = point.warnings
    assert warning.endswith("of the sample; the disk was read in full instead of its changes")
    assert restored(repository, point, tmp_path) == disk(mock)
    assert restored(repository, first, tmp_path) == before
    again = back_up(repository, mock)
    assert again.disks[0].incremental
    assert again.warnings == ()


def test_a_forgotten_discard_is_caught(
    repository: Repository, mock: MockHypervisor, tmp_path: Path
) -> None:
    back_up(repository, mock)
    with mock.guest("web", "vda") as guest:
        guest.discard(3 * CHUNK, 4 * CHUNK, journal=False)
    point = back_up(repository, mock)
    assert "lied about 4 chunks" in point.warnings[0]
    assert restored(repository, point, tmp_path) == disk(mock)


@pytest.mark.parametrize("seed", range(3))
def test_the_sample_of_a_large_disk(
    repository: Repository, mock: MockHypervisor, seed: int
) -> None:
    """A thousandth of the unchanged chunks within bounds, all different and all unchanged."""
    chunks = 3000
    changed = Extent(100 * CHUNK, 900 * CHUNK, ExtentKind.DATA)

    read: list[int] = []

    class Counting(MemorySource):
        def readinto(self, offset: int, buffer: memoryview) -> None:
            read.append(offset // CHUNK)
            super().readinto(offset, buffer)

    source = Counting(
        bytes(chunks * CHUNK),
        [
            Extent(0, changed.start, ExtentKind.UNCHANGED),
            changed,
            Extent(changed.end, chunks * CHUNK - changed.end, ExtentKind.UNCHANGED),
        ],
    )
    with repository.write() as session:
        sink = session.disk(source.size, CHUNK, None, inherit=False)
        assert len(lying_chunks(source, sink, random.Random(seed))) == len(read)
    assert SAMPLE_MIN == len(set(read)) == len(read) < SAMPLE_MAX
    assert not any(100 <= chunk < 1000 for chunk in read)
    assert any(chunk >= 1000 for chunk in read)


def test_rereading_changes_only_what_was_unchanged() -> None:
    extents = [
        Extent(0, 3 * CHUNK, ExtentKind.UNCHANGED),
        Extent(3 * CHUNK, CHUNK, ExtentKind.ZERO),
        Extent(4 * CHUNK, 2 * CHUNK + 5, ExtentKind.UNCHANGED),
    ]
    source = Rereading(MemorySource(bytes(6 * CHUNK + 5), extents), {0, 3, 5, 6}, CHUNK)
    assert [(e.start, e.length, e.kind.name) for e in source.extents()] == [
        (0, CHUNK, "DATA"),
        (CHUNK, 2 * CHUNK, "UNCHANGED"),
        (3 * CHUNK, CHUNK, "ZERO"),
        (4 * CHUNK, CHUNK, "UNCHANGED"),
        (5 * CHUNK, CHUNK, "DATA"),
        (6 * CHUNK, 5, "DATA"),
    ]


# -- damage of the point that an incremental builds on


def pack_of(repository: Repository, kind: PackKind) -> str:
    """Key of the only pack of a kind."""
    (key,) = [
        pack_key(name)
        for info in repository.store.list(PACKS)
        if (name := pack_name(info.key)) is not None
        and read_footer(repository.store, name, info.size, repository.vault.context).kind is kind
    ]
    return key


@pytest.mark.parametrize("verified", [False, True], ids=["nobody knows", "verified"])
@pytest.mark.parametrize("change", [False, True], ids=["nothing changed", "changed"])
def test_a_damaged_map_is_replaced(
    repository: Repository, mock: MockHypervisor, tmp_path: Path, change: bool, verified: bool
) -> None:
    """The map says what is where: an incremental cannot go on from one that cannot be read."""
    first = back_up(repository, mock)
    before = disk(mock)
    FaultStore(repository.store).flip(pack_of(repository, PackKind.MAP), bit=8)
    if verified:
        assert not hypersdk.verify(repository).ok
    if change:
        write(mock, 2 * CHUNK, noise(CHUNK, seed=3))
    with hypersdk.open_repository(
        repository.url, key=identity(), cache=tmp_path / "other"
    ) as later:
        point = back_up(later, mock)
    assert not point.disks[0].incremental
    assert "cannot be read" in point.warnings[0]
    assert restored(repository, point, tmp_path) == disk(mock)
    if not change:  # the same map was stored again
        assert hypersdk.verify(repository).ok
        assert restored(repository, first, tmp_path) == before


@pytest.mark.parametrize("lost", [False, True])
def test_damaged_data_is_read_again_although_it_did_not_change(
    repository: Repository, mock: MockHypervisor, tmp_path: Path, lost: bool
) -> None:
    first = back_up(repository, mock)
    before = disk(mock)
    faults, key = FaultStore(repository.store), pack_of(repository, PackKind.DATA)
    if lost:
        faults.vanish(key)
    else:
        faults.flip(key, bit=8)
    assert not hypersdk.verify(repository).ok
    write(mock, SIZE - CHUNK, noise(100, seed=5))
    point = back_up(repository, mock)
    assert point.disks[0].incremental
    report = hypersdk.verify(repository)
    assert report.ok
    assert report.harmless
    assert restored(repository, point, tmp_path) == disk(mock)
    assert restored(repository, first, tmp_path) == before
