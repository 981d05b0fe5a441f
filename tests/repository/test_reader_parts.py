"""How blobs are fetched: neighbours together, other copies when one is bad, footers kept."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from hypersdk.model.errors import Damaged, Interrupted, KeyRequired, StoreUnavailable
from hypersdk.model.points import RestorePoint
from hypersdk.repository import reader as reader_module
from hypersdk.repository.format import PackKind
from hypersdk.repository.index import ChunkIndex
from hypersdk.repository.keys import WRITER, Key, Protect, generate_identity
from hypersdk.repository.layout import pack_key
from hypersdk.repository.reader import BlobReader, Wanted
from hypersdk.repository.repository import Repository
from hypersdk.repository.store.memory import MemoryStore
from tests.repository.examples import (
    CHUNK,
    back_up,
    chunks,
    content_of,
    encrypted_repository,
    flip,
    identity,
    new_repository,
    noise,
    replace_object,
)


class WatchedStore(MemoryStore):
    """Remembers every read of a pack: (key, offset, bytes)."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[tuple[str, int, int]] = []

    def get_into(self, key: str, offset: int, buffer: memoryview) -> None:
        self.reads.append((key, offset, len(buffer)))
        super().get_into(key, offset, buffer)


def data_packs(repository: Repository) -> list[bytes]:
    repository._index.refresh()
    records = repository._index.packs().values()
    return sorted(record.name for record in records if record.kind is PackKind.DATA)


def fresh_reader(repository: Repository) -> tuple[BlobReader, ChunkIndex]:
    index = repository._new_index()
    index.refresh()
    return BlobReader(repository.store, repository.vault, index), index


def read(repository: Repository, *contents: bytes) -> list[bytes]:
    """What the reader finds under the ids of these chunks, in one call."""
    reader, index = fresh_reader(repository)
    buffers = [bytearray(len(data)) for data in contents]
    reader.read_all(
        [
            Wanted(repository.vault.chunk_id(data), memoryview(buffer))
            for data, buffer in zip(contents, buffers, strict=True)
        ]
    )
    index.close()
    return [bytes(buffer) for buffer in buffers]


@pytest.fixture
def store() -> WatchedStore:
    return WatchedStore()


def test_neighbours_in_a_pack_are_one_read(store: WatchedStore, tmp_path: Path) -> None:
    with new_repository(tmp_path, store) as repository:
        back_up(repository, "web", chunks(1, 2, 3, 4))
        wanted = [noise(CHUNK, seed) for seed in (3, 1, 4, 2)]
        store.reads.clear()
        assert read(repository, *wanted) == wanted
        (pack,) = data_packs(repository)
        assert store.reads == [(pack_key(pack), 0, 4 * (CHUNK + 16))]


def test_a_large_gap_is_not_read_along(store: WatchedStore, tmp_path: Path) -> None:
    with new_repository(tmp_path, store) as repository:
        back_up(repository, "web", chunks(*range(1, 8)))
        wanted = [noise(CHUNK, seed) for seed in (1, 2, 4, 7)]
        store.reads.clear()
        assert read(repository, *wanted) == wanted
        blob = CHUNK + 16  # more than the gap that is worth reading
        assert [read[1:] for read in store.reads] == [
            (0, 2 * blob), (3 * blob, blob), (6 * blob, blob),
        ]  # fmt: skip


def test_a_small_gap_is_read_along(store: WatchedStore, tmp_path: Path) -> None:
    small = [noise(1000, seed) + bytes(CHUNK - 1000) for seed in range(5)]
    with new_repository(tmp_path, store) as repository:
        back_up(repository, "web", b"".join(small))
        store.reads.clear()
        assert read(repository, small[0], small[4]) == [small[0], small[4]]
        assert len(store.reads) == 1


def test_each_pack_is_read_on_its_own(store: WatchedStore, tmp_path: Path) -> None:
    with new_repository(tmp_path, store) as repository:
        back_up(repository, "web", chunks(1, 2))
        back_up(repository, "web", chunks(1, 3))
        wanted = [noise(CHUNK, seed) for seed in (1, 2, 3)]
        store.reads.clear()
        assert read(repository, *wanted) == wanted
        assert len(store.reads) == 2


def test_the_same_chunk_wanted_twice(store: WatchedStore, tmp_path: Path) -> None:
    with new_repository(tmp_path, store) as repository:
        point = back_up(repository, "web", chunks(1, 1, 2, 1))
        assert content_of(repository, point) == chunks(1, 1, 2, 1)


def test_any_piece_of_a_disk(tmp_path: Path) -> None:
    disk = chunks(1, None, 2, 3) + noise(777)
    with new_repository(tmp_path) as repository:
        point = back_up(repository, "web", disk)
        with repository.source(point, "disk0") as source:
            for start, end in [
                (0, 1), (5, CHUNK + 5), (CHUNK - 1, CHUNK + 1), (CHUNK, 2 * CHUNK),
                (CHUNK + 7, 4 * CHUNK + 700), (len(disk) - 1, len(disk)), (9, 9),
            ]:  # fmt: skip
                buffer = bytearray(end - start)
                source.readinto(start, memoryview(buffer))
                assert buffer == disk[start:end]


# -- copies


def two_copies(tmp_path: Path, store: MemoryStore) -> tuple[Repository, RestorePoint, list[bytes]]:
    """A repository with the same chunks in two packs, as two writers at once leave it."""
    repository = new_repository(tmp_path, store)
    with suppress(Interrupted), repository.write() as one, repository.write() as other:
        for session in (one, other):
            for seed in (1, 2):
                session.store_chunk(noise(CHUNK, seed))
        raise Interrupted("both keep what they stored")
    point = back_up(repository, "web", chunks(1, 2))
    packs = data_packs(repository)
    assert len(packs) == 2
    return repository, point, packs


def spoil(store: MemoryStore, pack: bytes, how: str) -> None:
    key = pack_key(pack)
    data = store.get(key)
    if how == "missing":
        store.delete(key)
    else:
        spoiled = {
            "flipped": flip(data, 100),
            "cut": data[:50],
            "empty": b"",
            "no footer": flip(data, len(data) - 60),
            "other blob": data[CHUNK:] + data[:CHUNK],
        }
        replace_object(store, key, spoiled[how])


HARM = ["flipped", "missing", "cut", "empty", "no footer", "other blob"]


@pytest.mark.parametrize("how", HARM)
@pytest.mark.parametrize("number", [0, 1])
def test_another_copy_is_used(how: str, number: int, tmp_path: Path) -> None:
    store = MemoryStore()
    repository, point, packs = two_copies(tmp_path, store)
    with repository:
        spoil(store, packs[number], how)
        assert content_of(repository, point) == chunks(1, 2)


@pytest.mark.parametrize("how", HARM)
def test_when_no_copy_is_good_every_place_is_named(how: str, tmp_path: Path) -> None:
    store = MemoryStore()
    repository, point, packs = two_copies(tmp_path, store)
    with repository:
        for pack in packs:
            spoil(store, pack, how)
        with pytest.raises(Damaged) as caught:
            content_of(repository, point)
        for pack in packs:
            assert pack_key(pack) in caught.value.message
        assert "verify" in caught.value.hint


def test_a_place_that_does_not_answer_is_no_damage(tmp_path: Path) -> None:
    class Deaf(MemoryStore):
        deaf = False

        def get_into(self, key: str, offset: int, buffer: memoryview) -> None:
            if self.deaf:
                raise StoreUnavailable("no answer")
            super().get_into(key, offset, buffer)

    store = Deaf()
    with new_repository(tmp_path, store) as repository:
        point = back_up(repository, "web", chunks(1))
        store.deaf = True
        with pytest.raises(StoreUnavailable):
            content_of(repository, point)


def test_an_id_that_is_in_no_pack(tmp_path: Path) -> None:
    with new_repository(tmp_path) as repository:
        reader, index = fresh_reader(repository)
        with pytest.raises(Damaged, match="in no pack of the index") as caught:
            reader.read(bytes(31) + b"x")
        assert "recover" in caught.value.hint
        index.close()


def test_a_reader_finds_what_was_stored_after_it_looked(tmp_path: Path) -> None:
    with new_repository(tmp_path) as repository:
        reader, index = fresh_reader(repository)
        back_up(repository, "web", chunks(1))
        assert reader.read(repository.vault.chunk_id(noise(CHUNK, 1))) == noise(CHUNK, 1)
        index.close()


def test_a_chunk_of_another_length_than_its_disk_expects(tmp_path: Path) -> None:
    with new_repository(tmp_path) as repository:
        back_up(repository, "web", chunks(1))
        reader, index = fresh_reader(repository)
        wanted = Wanted(repository.vault.chunk_id(noise(CHUNK, 1)), memoryview(bytearray(5)))
        with pytest.raises(Damaged, match="its disk expects 5"):
            reader.read_all([wanted])
        index.close()


# -- keys


def test_a_writer_reads_maps_and_nothing_else(tmp_path: Path) -> None:
    store = MemoryStore()
    with encrypted_repository(tmp_path, store) as repository:
        own, recipient = generate_identity()
        repository.add_key(Protect.recipient(recipient), role=WRITER)
        point = back_up(repository, "web", chunks(1))
    with Repository.open(store, Key.identity(own), cache=tmp_path / "w") as writer:
        reader, index = fresh_reader(writer)
        (segment,) = point.disks[0].segments
        chunk = writer.vault.chunk_id(noise(CHUNK, 1))
        assert reader.read(segment) == chunk
        with pytest.raises(KeyRequired):
            reader.read(chunk)
        index.close()
    with Repository.open(store, identity(), cache=tmp_path / "r") as everything:
        assert content_of(everything, point) == chunks(1)


# -- footers


def test_footers_are_kept(store: WatchedStore, tmp_path: Path) -> None:
    gets: list[str] = []
    real = store.get

    def get(key: str, offset: int = 0, length: int | None = None) -> bytes:
        gets.append(key)
        return real(key, offset, length)

    with new_repository(tmp_path, store) as repository:
        back_up(repository, "web", chunks(*range(1, 9)))
        reader, index = fresh_reader(repository)
        store.get = get  # type: ignore[method-assign]
        for seed in range(1, 9):
            reader.read(repository.vault.chunk_id(noise(CHUNK, seed)))
        assert len(gets) == 1
        index.close()


def test_footers_are_dropped_when_they_are_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader_module, "_KEPT_ENTRIES", 5)
    with new_repository(tmp_path) as repository:
        for generation in range(4):
            back_up(repository, "web", chunks(*range(1 + 2 * generation, 3 + 2 * generation)))
        reader, index = fresh_reader(repository)
        for seed in range(1, 9):
            assert reader.read(repository.vault.chunk_id(noise(CHUNK, seed))) == noise(CHUNK, seed)
            assert reader._kept == sum(len(f.by_offset) for f in reader._footers.values()) <= 5
        index.close()


def test_threads_that_open_a_footer_at_once_count_it_once(tmp_path: Path) -> None:
    class Gated(MemoryStore):
        barrier: threading.Barrier | None = None

        def get(self, key: str, offset: int = 0, length: int | None = None) -> bytes:
            if self.barrier is not None:
                self.barrier.wait(5)
            return super().get(key, offset, length)

    store = Gated()
    with new_repository(tmp_path, store) as repository:
        back_up(repository, "web", chunks(1, 2, 3))
        reader, index = fresh_reader(repository)
        store.barrier = threading.Barrier(3)
        with ThreadPoolExecutor(3) as pool:
            ids = [repository.vault.chunk_id(noise(CHUNK, seed)) for seed in (1, 2, 3)]
            assert list(pool.map(reader.read, ids)) == [noise(CHUNK, seed) for seed in (1, 2, 3)]
        store.barrier = None
        assert reader._kept == 3
        index.close()


def test_many_threads_read_at_once(tmp_path: Path) -> None:
    disk = chunks(*range(1, 40))
    with new_repository(tmp_path) as repository:
        point = back_up(repository, "web", disk)
        source = repository.source(point, "disk0")

        def piece(start: int) -> bytes:
            buffer = bytearray(min(100_000, len(disk) - start))
            source.readinto(start, memoryview(buffer))
            return bytes(buffer)

        with ThreadPoolExecutor(8) as pool:
            assert b"".join(pool.map(piece, range(0, len(disk), 100_000))) == disk
