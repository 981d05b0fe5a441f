from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from hypersdk.model.errors import Damaged, RepositoryError, StoreUnavailable
from hypersdk.repository import index as index_module
from hypersdk.repository.ciphers import aes_cipher
from hypersdk.repository.format import Context, PackKind, Protection
from hypersdk.repository.index import (
    ChunkIndex,
    PackRecord,
    RunEntry,
    merge_runs,
    read_run,
    write_runs,
)
from hypersdk.repository.layout import INDEX
from hypersdk.repository.leases import WRITE, Lease
from hypersdk.repository.packs import PackEntry, StoredPack
from hypersdk.repository.store.local import LocalStore
from hypersdk.repository.store.memory import MemoryStore
from hypersdk.repository.store.ports import Store
from tests.repository.examples import MIB, flip, keys_below, replace_object

CONTEXT = Context(b"r" * 16, aes_cipher(bytes(32)), Protection.METADATA)


def name(number: int) -> bytes:
    """An id or a pack's name. Ids are random: only their first bytes are in the cache."""
    return number.to_bytes(4, "big") * 8


def pack(number: int, blobs: Sequence[int], kind: PackKind = PackKind.DATA) -> StoredPack:
    entries = [PackEntry(name(blob), 0, n, n * 100, 100, 200, 0) for n, blob in enumerate(blobs)]
    return StoredPack(name(number), 100 * len(blobs) + 500, kind, entries)


@contextmanager
def indexing(store: Store, cache: Path) -> Iterator[ChunkIndex]:
    index = ChunkIndex(store, CONTEXT, cache)
    try:
        index.refresh()
        yield index
    finally:
        index.close()


def held(store: Store) -> Lease:
    lease = Lease(store, CONTEXT, WRITE)
    lease.renew()
    return lease


def publish_waiting(index: ChunkIndex) -> None:
    """As a writer does that holds a lease."""
    index.publish(held(index._store))


def merge(store: Store, without: set[bytes]) -> None:
    merge_runs(store, CONTEXT, held(store), without)


def publish(store: Store, cache: Path, *packs: StoredPack) -> None:
    with indexing(store, cache) as index:
        for stored in packs:
            index.add(stored)
        publish_waiting(index)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "index.sqlite"


def test_own_packs_are_found_before_others_learn_of_them(cache: Path, tmp_path: Path) -> None:
    store = MemoryStore()
    with indexing(store, cache) as writer, indexing(store, tmp_path / "other") as other:
        writer.add(pack(1, [10, 11]))
        assert writer.unpublished == 1
        assert writer.holds(name(11))
        assert writer.find(name(11)) == [(name(1), 100, 100)]
        assert writer.pack_size(name(1)) == 700
        other.refresh()
        assert not other.holds(name(11))
        assert writer.count() == (0, 0)  # what is published
        publish_waiting(writer)
        assert writer.unpublished == 0
        other.refresh()
        for index in (writer, other):
            assert index.find(name(11)) == [(name(1), 100, 100)]
            assert index.count() == (2, 200)
            assert index.packs() == {name(1): PackRecord(name(1), 700, PackKind.DATA)}
            assert index.pack_size(name(1)) == 700
            assert index.chunks_in(name(1)) == [(name(10)[:20], 0, 100), (name(11)[:20], 100, 100)]


def test_what_is_not_known(cache: Path) -> None:
    with indexing(MemoryStore(), cache) as index:
        assert index.find(name(1)) == []
        assert not index.holds(name(1))
        assert index.pack_size(name(1)) is None
        assert index.chunks_in(name(1)) == []
        assert index.packs() == {}
        publish_waiting(index)  # nothing
        assert list(index._store.list(INDEX)) == []


def test_a_second_writer_with_the_same_cache_does_not_see_what_is_pending(cache: Path) -> None:
    store = MemoryStore()
    with indexing(store, cache) as one, indexing(store, cache) as two:
        one.add(pack(1, [10]))
        two.add(pack(2, [20]))
        assert not two.holds(name(10))
        publish_waiting(one)
        two.refresh()
        assert two.holds(name(10))
        publish_waiting(two)
        one.refresh()
        assert one.count() == two.count() == (2, 200)


def test_several_copies_trustworthy_first(cache: Path) -> None:
    store = MemoryStore()
    publish(store, cache, pack(1, [10]), pack(2, [10, 20]))
    with indexing(store, cache) as index:
        for distrusted, expected in [(1, [2, 1]), (2, [1, 2])]:
            index.distrust([name(distrusted)], [])
            assert [place.pack for place in index.find(name(10))] == [name(p) for p in expected]
            assert index.holds(name(10))
        assert not index.holds(name(20))
        assert index.distrusted() == {name(10)[:20], name(20)[:20]}


def test_damage_of_chunks_and_of_whole_packs(cache: Path) -> None:
    store = MemoryStore()
    publish(store, cache, pack(1, [10, 11]), pack(2, [20, 21]))
    with indexing(store, cache) as index:
        index.distrust([], [(name(1), name(10)), (name(2), b"")])
        assert [index.holds(name(n)) for n in (10, 11, 20, 21)] == [False, True, False, False]
        assert index.distrusted() == {name(n)[:20] for n in (10, 20, 21)}
        index.distrust([], [])
        assert index.holds(name(10))
        assert index.distrusted() == frozenset()


def test_a_failed_publication_is_made_up_for(cache: Path, tmp_path: Path) -> None:
    class Failing(MemoryStore):
        broken = True

        def put_if_absent(self, key: str, data: bytes | bytearray | memoryview) -> None:
            if self.broken:
                raise StoreUnavailable("gone for a moment")
            super().put_if_absent(key, data)

    store = Failing()
    with indexing(store, cache) as index:
        index.add(pack(1, [10]))
        with pytest.raises(StoreUnavailable):
            publish_waiting(index)
        assert index.holds(name(10))
        store.broken = False
        publish_waiting(index)
    with indexing(store, tmp_path / "other") as other:
        assert other.holds(name(10))


def test_runs_are_cut_and_sorted(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_module, "RUN_ENTRIES", 4)
    store = MemoryStore()
    publish(store, cache, pack(1, [7, 3, 9]), pack(2, [1, 8, 2, 5]))
    found = []
    for key in keys_below(store, INDEX):
        packs, entries = read_run(store, key.rsplit("/", 1)[-1], CONTEXT)
        rows = [(row[0], packs[row[1]].name) for row in entries]
        assert rows == sorted(rows)
        assert len(rows) <= 4
        found += rows
    assert sorted(found) == sorted(
        [(name(blob), name(1)) for blob in (3, 7, 9)]
        + [(name(blob), name(2)) for blob in (1, 2, 5, 8)]
    )


# -- the cache


def torn(cache: Path) -> None:
    """As a power cut leaves it: the first page is fine, others are not."""
    size = cache.stat().st_size
    assert size > 3 * 4096
    with cache.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(size - 4096))


def of_another_version(cache: Path) -> None:
    with sqlite3.connect(cache) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()


@pytest.mark.parametrize(
    "harm",
    [
        Path.unlink,
        lambda cache: cache.write_bytes(b""),
        lambda cache: cache.write_bytes(b"no database at all" * 1000),
        lambda cache: cache.write_bytes(cache.read_bytes()[:5000]),
        torn,
        of_another_version,
    ],
    ids=["deleted", "empty", "garbage", "cut", "torn", "version"],
)
def test_the_cache_may_be_harmed_in_any_way(harm: Callable[[Path], None], cache: Path) -> None:
    store = MemoryStore()
    publish(store, cache, *(pack(n, range(n * 100, n * 100 + 50)) for n in range(10)))
    harm(cache)
    with indexing(store, cache) as index:
        assert index.count()[0] == 500
        assert all(index.holds(name(n * 100 + 49)) for n in range(10))


def test_a_cache_of_a_place_that_was_put_back(cache: Path) -> None:
    """Somebody restores the storage from an older copy: what came later is not there any more."""
    store = MemoryStore()
    publish(store, cache, pack(1, [10]))
    before = dict(store._objects)
    publish(store, cache, pack(2, [20]))
    store._objects = before
    with indexing(store, cache) as index:
        assert index.holds(name(10))
        assert not index.holds(name(20))
        assert index.packs().keys() == {name(1)}


def test_the_cache_is_for_its_user_only(cache: Path) -> None:
    publish(MemoryStore(), cache, pack(1, [10]))
    assert stat.S_IMODE(cache.stat().st_mode) == 0o600
    assert stat.S_IMODE(cache.parent.stat().st_mode) == 0o700


def test_a_cache_folder_that_cannot_be_used_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(RepositoryError, match="index cache") as caught:
        ChunkIndex(MemoryStore(), CONTEXT, tmp_path / "file" / "index.sqlite")
    assert "HYPERSDK_CACHE_DIR" in caught.value.hint


def test_an_index_of_a_million_chunks_takes_less_than_60_mib(cache: Path) -> None:
    """Measured with 100 000; a B-tree needs no more for each chunk when it is larger."""
    store, count = MemoryStore(), 100_000
    rows = []
    for _ in range(count // 32):
        record = PackRecord(os.urandom(32), 33 * MIB, PackKind.DATA)
        rows += [RunEntry(os.urandom(32), record, n * MIB, MIB) for n in range(32)]
    write_runs(store, CONTEXT, sorted(rows))
    with indexing(store, cache) as index:
        assert index.count()[0] == count
        assert index.cache_size() * 1_000_000 / count < 60 * MIB
        assert index.cache_size() == cache.stat().st_size


OTHER_PROCESS = """
import sys
from pathlib import Path
from hypersdk.repository.store.local import LocalStore
from tests.repository.test_index import indexing, name, pack, publish_waiting
with indexing(LocalStore(Path(sys.argv[1])), Path(sys.argv[2])) as index:
    assert index.holds(name(10)), "what was published before"
    index.add(pack(2, [20]))
    publish_waiting(index)
"""


def test_another_process_shares_the_cache(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "place").mkdir()
    store = LocalStore(tmp_path / "place")
    publish(store, cache, pack(1, [10]))
    with indexing(store, cache) as index:
        command = [sys.executable, "-c", OTHER_PROCESS, str(tmp_path / "place"), str(cache)]
        subprocess.run(command, check=True, cwd=Path(__file__).parents[2])
        # The other one put the run into the cache already; it is seen with and without a refresh.
        assert index.holds(name(20))
        index.refresh()
        assert index.find(name(20)) == [(name(2), 0, 100)]


# -- merging


def test_entries_of_swept_packs_are_left_out(cache: Path, tmp_path: Path) -> None:
    store = MemoryStore()
    for number in range(3):
        publish(store, cache, pack(number, [number, 100]))
    untouched = set(keys_below(store, INDEX))
    with indexing(store, tmp_path / "other") as reader:
        merge(store, without={name(1)})
        assert len(untouched & set(keys_below(store, INDEX))) == 2
        reader.refresh()
        assert reader.packs().keys() == {name(0), name(2)}
        assert not reader.holds(name(1))
        assert len(reader.find(name(100))) == 2


def test_many_runs_become_few(cache: Path, tmp_path: Path) -> None:
    store = MemoryStore()
    for number in range(index_module.MANY_RUNS + 1):
        publish(store, cache, pack(number, [number]))
    publish(store, cache, pack(0, [0]))  # the same again: kept once
    merge(store, without=set())
    assert len(keys_below(store, INDEX)) == 1
    with indexing(store, tmp_path / "other") as index:
        assert index.count()[0] == index_module.MANY_RUNS + 1
    merge(store, without={name(n) for n in range(index_module.MANY_RUNS + 1)})
    assert keys_below(store, INDEX) == []
    with indexing(store, cache) as index:
        assert index.count() == (0, 0)
        assert not index.holds(name(1))


def test_a_reader_follows_a_merge_with_its_pending_packs(cache: Path) -> None:
    store = MemoryStore()
    publish(store, cache, pack(1, [10]), pack(2, [20]))
    with indexing(store, cache) as writer:
        writer.add(pack(3, [30]))
        merge(store, without={name(1)})
        writer.refresh()
        assert [writer.holds(name(n)) for n in (10, 20, 30)] == [False, True, True]
        publish_waiting(writer)
        assert writer.find(name(30)) == [(name(3), 0, 100)]
        assert writer.find(name(20)) == [(name(2), 0, 100)]


# -- damage


@pytest.mark.parametrize("position", [0, 40, 100, -1])
def test_a_damaged_run_is_named_and_changes_nothing(
    position: int, cache: Path, tmp_path: Path
) -> None:
    store = MemoryStore()
    publish(store, cache, pack(1, [10]))
    (good,) = keys_below(store, INDEX)
    publish(store, cache, pack(2, [20]))
    (bad,) = set(keys_below(store, INDEX)) - {good}
    replace_object(store, bad, flip(store.get(bad), position))
    index = ChunkIndex(store, CONTEXT, tmp_path / "other")
    for _ in range(2):
        with pytest.raises(Damaged, match=bad) as caught:
            index.refresh()
        assert "recover" in caught.value.hint
        assert index.count() == (0, 0)
    index.close()
    with indexing(store, cache) as known:  # who read it before does not need it again
        assert known.holds(name(20))


def test_a_run_of_another_repository_is_refused(cache: Path) -> None:
    store = MemoryStore()
    elsewhere = Context(b"s" * 16, aes_cipher(bytes(32)), Protection.METADATA)
    write_runs(store, elsewhere, [RunEntry(name(1), PackRecord(name(2), 5, PackKind.MAP), 0, 5)])
    with pytest.raises(Damaged), indexing(store, cache):
        pass
