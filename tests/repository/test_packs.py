from __future__ import annotations

import mmap
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from blake3 import blake3

from hypersdk.model.errors import Damaged, StoreFull, StoreUnavailable
from hypersdk.repository import packs
from hypersdk.repository.format import PACK_TRAILER, PackKind
from hypersdk.repository.keys import KeyRing
from hypersdk.repository.layout import pack_key
from hypersdk.repository.packs import (
    PackWriter,
    StoredPack,
    parse_footer,
    read_footer,
)
from hypersdk.repository.reader import decode_blob, group_ciphers
from hypersdk.repository.store.memory import MemoryStore
from hypersdk.repository.store.ports import Store
from hypersdk.repository.vault import Vault
from tests.repository.examples import KIB, flip, keys_below, noise

RING = KeyRing.generate()
ENCRYPTED = Vault(b"r" * 16, RING, RING.public_key, encrypted=True)
WRITER = Vault(b"r" * 16, RING.for_writer(), RING.public_key, encrypted=True)
CLEAR = Vault(b"r" * 16, RING.for_writer(), b"", encrypted=False)


@pytest.fixture
def small_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packs of 256 KiB, so that a test fills many."""
    monkeypatch.setattr(packs, "PACK_TARGET", 256 * KIB)
    monkeypatch.setattr(packs, "PACK_BUFFER", 512 * KIB)


@contextmanager
def writing(
    store: Store, vault: Vault = ENCRYPTED, kind: PackKind = PackKind.DATA, uploads: int = 2
) -> Iterator[tuple[PackWriter, list[StoredPack]]]:
    """A writer, and the packs that it says are stored."""
    stored: list[StoredPack] = []
    writer = PackWriter(kind, vault, store, stored.append, uploads)
    try:
        yield writer, stored
    finally:
        writer.close()


def add(writer: PackWriter, vault: Vault, data: bytes) -> int:
    return writer.add(vault.chunk_id(data), data)


def blobs_in(store: Store, vault: Vault = ENCRYPTED) -> list[bytes]:
    """The raw bytes of every blob of every pack."""
    found = []
    for key in keys_below(store, ".hypersdk/packs"):
        data = store.get(key)
        assert key.endswith(blake3(data).hexdigest())
        footer = parse_footer(key, data, vault.context)
        ciphers = group_ciphers(vault, footer)
        for entry in footer.entries:
            blob = data[entry.offset : entry.offset + entry.stored_length]
            raw = decode_blob(vault, footer, entry, ciphers[entry.group], blob)
            assert raw is not None
            found.append(bytes(raw))
    return found


@pytest.mark.parametrize("vault", [ENCRYPTED, CLEAR], ids=["encrypted", "clear"])
@pytest.mark.parametrize("kind", PackKind)
def test_blobs_come_back(vault: Vault, kind: PackKind) -> None:
    store = MemoryStore()
    contents = [b"", b"x", b"text" * 1000, noise(64 * KIB)]
    with writing(store, vault, kind) as (writer, stored):
        lengths = [writer.add(vault.identify(kind, data), data) for data in contents]
        writer.finish()
    assert blobs_in(store, vault) == contents
    (pack,) = stored
    assert [entry.stored_length for entry in pack.entries] == lengths
    assert lengths == sorted(lengths)
    assert pack.size == store.stat(pack_key(pack.name)).size


def test_many_threads_fill_many_packs(small_packs: None) -> None:
    store = MemoryStore()
    contents = [noise(7000 + seed, seed) for seed in range(400)]
    with writing(store) as (writer, stored), ThreadPoolExecutor(8) as pool:
        lengths = list(pool.map(lambda data: add(writer, ENCRYPTED, data), contents))
        writer.finish()
    assert sorted(blobs_in(store)) == sorted(contents)
    assert len(stored) > 8
    assert sum(e.stored_length for pack in stored for e in pack.entries) == sum(lengths)
    for pack in stored:
        ordered = sorted(pack.entries, key=lambda entry: entry.offset)
        assert ordered[0].offset == 0
        for before, after in pairwise(ordered):
            assert after.offset == before.offset + before.stored_length


def test_no_key_is_used_twice_with_a_nonce(small_packs: None) -> None:
    store = MemoryStore()
    with writing(store) as (writer, _), ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda seed: add(writer, ENCRYPTED, noise(9000, seed)), range(200)))
        writer.finish()
    used = []
    for key in keys_below(store, ".hypersdk/packs"):
        footer = parse_footer(key, store.get(key), ENCRYPTED.context)
        assert len(footer.groups) == 1
        used += [(footer.groups[e.group].salt, e.ordinal) for e in footer.entries]
    assert len(set(used)) == len(used) == 200


def test_a_pack_is_closed_at_its_size_and_at_its_number_of_blobs(
    small_packs: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packs, "PACK_BLOBS", 16)
    # Two uploads may end in another order than they began.
    with writing(MemoryStore(), uploads=1) as (writer, stored):
        for seed in range(40):
            add(writer, ENCRYPTED, noise(10, seed))
        for seed in range(40, 50):
            add(writer, ENCRYPTED, noise(64 * KIB, seed))
        writer.finish()
    by_time = [len(pack.entries) for pack in stored]
    assert by_time[:2] == [16, 16]
    assert sum(by_time) == 50
    assert max(pack.size for pack in stored) < 256 * KIB + 64 * KIB + 8 * KIB


def test_finish_stores_what_is_open_and_may_be_called_again() -> None:
    store = MemoryStore()
    with writing(store) as (writer, stored):
        writer.finish()
        assert not stored
        for count in (1, 2):
            add(writer, ENCRYPTED, noise(100, count))
            writer.finish()
            writer.finish()
            assert len(stored) == count
    assert len(blobs_in(store)) == 2


def test_what_is_not_finished_is_not_stored() -> None:
    store = MemoryStore()
    with writing(store) as (writer, _):
        add(writer, ENCRYPTED, noise(100))
    assert not list(store.list())


class FailingStore(MemoryStore):
    """Refuses packs by their number of arrival."""

    def __init__(self, failures: dict[int, Exception]) -> None:
        super().__init__()
        self.failures = failures
        self.puts = 0

    def put_if_absent(self, key: str, data: bytes | bytearray | memoryview) -> None:
        self.puts += 1
        if self.puts in self.failures:
            raise self.failures[self.puts]
        super().put_if_absent(key, data)


def test_the_first_error_of_an_upload_is_raised_to_everyone(small_packs: None) -> None:
    first = StoreFull("no space left")
    store = FailingStore({2: first, 3: StoreUnavailable("later")})
    errors: list[BaseException] = []

    def work(thread: int) -> None:
        try:
            for seed in range(100):
                add(writer, ENCRYPTED, noise(9000, seed + 1000 * thread))
        except StoreFull as error:
            errors.append(error)

    with writing(store, uploads=1) as (writer, stored):
        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=10)
            assert not thread.is_alive(), "a thread waits for a buffer that never comes"
        with pytest.raises(StoreFull) as caught:
            writer.finish()
    assert caught.value is first
    assert errors == [first] * 4
    assert len(stored) == 1
    assert store.puts == 2, "nothing is uploaded after an error"


def test_an_error_of_the_listener_counts_as_well() -> None:
    def refuse(pack: StoredPack) -> None:
        raise StoreUnavailable("the index cannot be written")

    writer = PackWriter(PackKind.DATA, ENCRYPTED, MemoryStore(), refuse, 1)
    add(writer, ENCRYPTED, noise(100))
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            writer.finish()
    writer.close()


class SlowStore(MemoryStore):
    """Finishes no upload before it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()

    def put_if_absent(self, key: str, data: bytes | bytearray | memoryview) -> None:
        self.gate.wait(10)
        super().put_if_absent(key, data)


def test_a_slow_place_slows_writers_down_instead_of_filling_memory(
    small_packs: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    real = packs.pack_buffer

    def counted() -> mmap.mmap:
        buffer = real()
        made.append(len(buffer))
        return buffer

    monkeypatch.setattr(packs, "pack_buffer", counted)
    store, uploads, added = SlowStore(), 2, [0] * 4

    def work(thread: int) -> None:
        for seed in range(50):
            added[thread] += add(writer, ENCRYPTED, noise(32 * KIB, seed + 100 * thread))

    with writing(store, uploads=uploads) as (writer, _):
        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=0.1)
        assert all(thread.is_alive() for thread in threads)
        assert sum(added) <= (uploads + 1) * (256 + 33) * KIB
        store.gate.set()
        for thread in threads:
            thread.join(timeout=10)
        writer.finish()
    assert len(blobs_in(store)) == 200
    assert made == [512 * KIB] * (uploads + 1)


def test_a_pack_with_little_in_it_takes_little_memory() -> None:
    before = _resident()
    buffers = [packs.pack_buffer() for _ in range(8)]
    for buffer in buffers:
        assert len(buffer) == packs.PACK_BUFFER
        with memoryview(buffer) as view:
            view[: 64 * KIB] = noise(64 * KIB)
    assert _resident() - before < packs.PACK_BUFFER  # of one, where all eight are there
    for buffer in buffers:
        buffer.close()


def _resident() -> int:
    """Bytes of memory that this process takes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE


def test_bytes_that_change_in_memory_are_not_stored() -> None:
    store = MemoryStore()
    with writing(store) as (writer, _):
        add(writer, ENCRYPTED, noise(1000))
        pack = writer._pack
        assert pack is not None
        pack.buffer[500] ^= 1
        with pytest.raises(Damaged, match="changed in memory") as caught:
            writer.finish()
    assert "memory" in caught.value.hint
    assert not list(store.list())


def one_pack(vault: Vault, blobs: int = 3) -> tuple[MemoryStore, StoredPack]:
    store = MemoryStore()
    with writing(store, vault) as (writer, stored):
        for seed in range(blobs):
            add(writer, vault, noise(50, seed))
        writer.finish()
    return store, stored[0]


class CountingStore(MemoryStore):
    def __init__(self, inner: MemoryStore) -> None:
        super().__init__()
        self._objects = inner._objects
        self.reads: list[int | None] = []

    def get(self, key: str, offset: int = 0, length: int | None = None) -> bytes:
        self.reads.append(length)
        return super().get(key, offset, length)


@pytest.mark.parametrize(("blobs", "reads"), [(3, 1), (500, 2)])
def test_a_footer_costs_one_or_two_reads(blobs: int, reads: int) -> None:
    store, pack = one_pack(WRITER, blobs)
    counting = CountingStore(store)
    footer = read_footer(counting, pack.name, pack.size, WRITER.context)
    assert footer.entries == pack.entries
    assert footer.kind is PackKind.DATA
    assert len(counting.reads) == reads


@pytest.mark.parametrize("vault", [ENCRYPTED, CLEAR], ids=["encrypted", "clear"])
def test_every_flipped_bit_in_footer_and_trailer_is_named(vault: Vault) -> None:
    store, pack = one_pack(vault)
    key = pack_key(pack.name)
    data = store.get(key)
    first = pack.entries[-1].offset + pack.entries[-1].stored_length
    for position in range(first, len(data)):
        with pytest.raises(Damaged, match=key):
            parse_footer(key, flip(data, position), vault.context)


@pytest.mark.parametrize("length", [0, 1, PACK_TRAILER.size - 1, PACK_TRAILER.size, 100])
def test_a_pack_that_was_cut_short(length: int) -> None:
    store, pack = one_pack(ENCRYPTED)
    key = pack_key(pack.name)
    data = store.get(key)
    with pytest.raises(Damaged, match=key):
        parse_footer(key, data[:length], ENCRYPTED.context)
    with pytest.raises(Damaged, match="cut short"):
        parse_footer(key, data[-length or len(data) :], ENCRYPTED.context)
