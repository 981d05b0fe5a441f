from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from blake3 import blake3
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hypersdk.repository.format import ID_SIZE, SEGMENT_CHUNKS, ZERO_ID
from hypersdk.repository.segments import (
    DiskMap,
    MapWriter,
    changed_chunks,
    chunk_count,
    differing,
    segment_chunks,
    segment_count,
)

CHUNK = 1 << 16


def identity(number: int) -> bytes:
    """The id number ``number``; 0 is the zero id."""
    return number.to_bytes(ID_SIZE, "big")


class Segments:
    """Where the segments of these tests are stored."""

    def __init__(self) -> None:
        self.stored: dict[bytes, bytes] = {}
        self.reads = 0

    def store(self, ids: bytes) -> bytes:
        key = blake3(ids).digest()
        self.stored[key] = ids
        return key

    def read(self, key: bytes) -> bytes:
        self.reads += 1
        return self.stored[key]

    def map(self, ids: Sequence[int]) -> DiskMap:
        """The map of a disk of whole chunks with these ids."""
        size = len(ids) * CHUNK
        segments = []
        for first in range(0, len(ids), SEGMENT_CHUNKS):
            part = b"".join(map(identity, ids[first : first + SEGMENT_CHUNKS]))
            segments.append(self.store(part) if any(part) else ZERO_ID)
        return DiskMap(size, CHUNK, segments, self.read)

    def ids(self, disk_map: DiskMap) -> list[int]:
        return [int.from_bytes(disk_map.id_at(n), "big") for n in range(disk_map.chunks)]


@pytest.mark.parametrize(
    ("size", "chunks", "segments"),
    [
        (0, 0, 0),
        (1, 1, 1),
        (CHUNK, 1, 1),
        (CHUNK + 1, 2, 1),
        (CHUNK * SEGMENT_CHUNKS, SEGMENT_CHUNKS, 1),
        (CHUNK * SEGMENT_CHUNKS + 1, SEGMENT_CHUNKS + 1, 2),
        (1 << 40, 1 << 24, 4096),
    ],
)
def test_counts(size: int, chunks: int, segments: int) -> None:
    assert chunk_count(size, CHUNK) == chunks
    assert segment_count(size, CHUNK) == segments
    assert sum(segment_chunks(chunks, number) for number in range(segments)) == chunks


# Disks of a little more than one segment are the smallest that have two.
sparse = st.dictionaries(st.integers(0, SEGMENT_CHUNKS + 9), st.integers(1, 5), max_size=12)
NEAR_THE_EDGE = {SEGMENT_CHUNKS - 1: 1, SEGMENT_CHUNKS: 2}


def ids_of(chunks: dict[int, int], count: int = SEGMENT_CHUNKS + 10) -> list[int]:
    return [chunks.get(number, 0) for number in range(count)]


writes = st.lists(
    st.tuples(
        st.integers(0, SEGMENT_CHUNKS + 9),
        st.integers(1, SEGMENT_CHUNKS + 10),
        st.integers(0, 5),
    ),
    max_size=12,
)


@settings(max_examples=60)
@given(base=st.none() | sparse, steps=writes)
@example(base=NEAR_THE_EDGE, steps=[(SEGMENT_CHUNKS - 1, 2, 0)])
@example(base=None, steps=[(0, SEGMENT_CHUNKS + 10, 0)])
@example(base={5: 1}, steps=[(5, 1, 0)])
def test_a_written_map_is_what_a_dictionary_would_hold(
    base: dict[int, int] | None, steps: list[tuple[int, int, int]]
) -> None:
    segments = Segments()
    model = ids_of(base or {})
    before = segments.map(model) if base is not None else None
    writer = MapWriter(len(model) * CHUNK, CHUNK, before)
    for first, length, value in steps:
        end = min(len(model), first + length)
        if value:
            writer.set(first, identity(value))
            model[first] = value
        else:
            writer.set_zero(first, end - first)
            model[first:end] = [0] * (end - first)
    written = writer.finish(segments.store)
    writer.close()
    after = DiskMap(len(model) * CHUNK, CHUNK, written, segments.read)
    assert segments.ids(after) == model
    # A map has one form: equal content gives equal segments.
    assert written == tuple(segments.map(model).segments)


def test_untouched_segments_are_not_read_nor_stored_again() -> None:
    segments = Segments()
    base = segments.map(ids_of({1: 1, SEGMENT_CHUNKS: 2}))
    writer = MapWriter(base.chunks * CHUNK, CHUNK, base)
    writer.set(SEGMENT_CHUNKS + 1, identity(3))
    segments.reads, stored = 0, []
    written = writer.finish(lambda ids: stored.append(ids) or b"n" * 32)  # type: ignore[func-returns-value]
    writer.close()
    assert written == (base.segments[0], b"n" * 32)
    assert len(stored) == 1
    assert segments.reads == 0


def test_zeroing_what_is_zero_touches_nothing() -> None:
    segments = Segments()
    writer = MapWriter(10 * SEGMENT_CHUNKS * CHUNK, CHUNK, None)
    writer.set_zero(0, 10 * SEGMENT_CHUNKS)
    assert writer.finish(segments.store) == (ZERO_ID,) * 10
    assert not segments.stored
    writer.close()


def test_a_writer_serves_many_threads() -> None:
    segments = Segments()
    count = 3 * SEGMENT_CHUNKS
    base = segments.map([7] * count)
    writer = MapWriter(count * CHUNK, CHUNK, base)

    def write(thread: int) -> None:
        for chunk in range(thread, count, 8 * 13):
            if thread % 2:
                writer.set_zero(chunk, 1)
            else:
                writer.set(chunk, identity(chunk + 1))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    written = writer.finish(segments.store)
    writer.close()
    expected = [7] * count
    for thread in range(8):
        for chunk in range(thread, count, 8 * 13):
            expected[chunk] = 0 if thread % 2 else chunk + 1
    assert segments.ids(DiskMap(count * CHUNK, CHUNK, written, segments.read)) == expected


lists_of_ids = st.lists(st.integers(0, 3), min_size=1, max_size=40)


@given(st.data(), lists_of_ids)
def test_differences_are_those_of_a_plain_comparison(data: st.DataObject, left: list[int]) -> None:
    right = data.draw(st.lists(st.integers(0, 3), min_size=len(left), max_size=len(left)))
    a, b = (b"".join(map(identity, ids)) for ids in (left, right))
    expected = [n for n, pair in enumerate(zip(left, right, strict=True)) if pair[0] != pair[1]]
    assert list(differing(a, b)) == expected
    assert list(differing(memoryview(a), b)) == expected
    assert list(differing(b"", b"")) == []


@settings(max_examples=40)
@given(old=st.none() | sparse, new=sparse, grown=st.integers(-12, 12))
@example(old=NEAR_THE_EDGE, new=NEAR_THE_EDGE, grown=-10)
@example(old={SEGMENT_CHUNKS + 9: 1}, new={}, grown=5)
def test_changed_chunks_of_disks_that_grow_and_shrink(
    old: dict[int, int] | None, new: dict[int, int], grown: int
) -> None:
    """``grown``: chunks by which the new disk is longer; what it lacks did not change."""
    segments = Segments()
    before = ids_of(old or {})
    after = ids_of(new, len(before) + grown)
    previous = segments.map(before) if old is not None else None
    padded = before + [0] * max(0, grown)
    expected = [n for n, value in enumerate(after) if value != padded[n]]
    assert list(changed_chunks(segments.map(after), previous)) == expected


def test_equal_segments_are_not_read() -> None:
    segments = Segments()
    one = segments.map([5] * (2 * SEGMENT_CHUNKS))
    assert list(changed_chunks(one, segments.map([5] * (2 * SEGMENT_CHUNKS)))) == []
    assert segments.reads == 0


@settings(max_examples=60)
@given(sparse, st.integers(0, SEGMENT_CHUNKS + 9), st.integers(0, SEGMENT_CHUNKS + 10))
def test_runs_cover_a_range_without_gaps(chunks: dict[int, int], first: int, count: int) -> None:
    segments = Segments()
    ids = ids_of(chunks)
    count = min(count, len(ids) - first)
    found = []
    for chunk, length, zero in segments.map(ids).runs(first, count):
        assert length > 0
        found += [(chunk + n, zero) for n in range(length)]
    assert found == [(n, ids[n] == 0) for n in range(first, first + count)]


def test_a_map_keeps_few_segments_in_memory() -> None:
    segments = Segments()
    count = 100
    disk_map = segments.map([1] * (count * SEGMENT_CHUNKS))
    for number in range(count):
        disk_map.segment(number)
    segments.reads = 0
    disk_map.segment(count - 1)
    assert segments.reads == 0
    disk_map.segment(0)
    assert segments.reads == 1
