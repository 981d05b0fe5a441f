"""Hostile VMDK streams are errors of ours: no crash, no more memory than a few grains."""

from __future__ import annotations

import io
import struct
import time
import tracemalloc
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypersdk.datapath.memory import MemorySink
from hypersdk.datapath.pipeline import copy
from hypersdk.datapath.streamvmdk import (
    AT_END,
    COMPRESSED,
    DEFLATE,
    END_OF_STREAM,
    FOOTER,
    GRAIN_TABLE,
    HEADER,
    LINE_ENDS,
    MAGIC,
    MARKER,
    MARKER_TYPE,
    MARKERS,
    SECTOR,
    StreamVmdkSource,
)
from hypersdk.model.errors import HyperSDKError, ImageRefused

MIB = 1 << 20
GRAIN_SECTORS = 128
EDGES = st.sampled_from([0, 1, 2, 127, 128, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1])
WIDE = st.one_of(EDGES, st.integers(0, 2**64 - 1))
NARROW = st.one_of(EDGES.filter(lambda n: n < 2**32), st.integers(0, 2**32 - 1))


def header(
    capacity: int = 16 * GRAIN_SECTORS,
    grain: int = GRAIN_SECTORS,
    overhead: int = 1,
    at: int = 0,
    length: int = 0,
) -> bytes:
    flags = COMPRESSED | MARKERS | 1
    packed = HEADER.pack(
        MAGIC, 3, flags, capacity, grain, at, length, 512, 0, AT_END, overhead, 0,
        LINE_ENDS, DEFLATE,
    )  # fmt: skip
    return packed.ljust(SECTOR, b"\0")


def grain(sector: int, content: bytes) -> bytes:
    packed = MARKER.pack(sector, len(content)) + content
    return packed + bytes(-len(packed) % SECTOR)


def metadata(kind: int, sectors: int, content: bytes = b"") -> bytes:
    marker = MARKER.pack(sectors, 0) + MARKER_TYPE.pack(kind)
    return marker.ljust(SECTOR, b"\0") + content


END = metadata(END_OF_STREAM, 0)


def read(stream: bytes) -> StreamVmdkSource:
    """Walk and inflate everything, into one buffer of a grain."""
    source = StreamVmdkSource(io.BytesIO(stream))
    for extent in source.extents():
        at = extent.start
        end = min(extent.end, at + 4 * MIB)
        while at < end:
            step = min(source.header.grain, end - at)
            source.readinto(at, memoryview(bytearray(step)))
            at += step
    return source


def survived(stream: bytes) -> None:
    try:
        read(stream)
    except HyperSDKError:
        return


@given(
    st.tuples(NARROW, NARROW, WIDE, WIDE, WIDE, WIDE, NARROW, WIDE, WIDE, WIDE,
              st.integers(0, 255), st.integers(0, 65535)),
    st.binary(max_size=64),
)  # fmt: skip
def test_any_header(fields: tuple[int, ...], rest: bytes) -> None:
    """Most are refused by their flags; so each field is also tried in an otherwise good one."""
    (
        version,
        flags,
        capacity,
        size,
        at,
        length,
        tables,
        redundant,
        place,
        overhead,
        unclean,
        method,
    ) = fields
    survived(
        HEADER.pack(MAGIC, version, flags, capacity, size, at, length, tables, redundant, place,
                    overhead, unclean, LINE_ENDS, method) + rest
    )  # fmt: skip
    survived(header(capacity=capacity) + END)
    survived(header(grain=size) + END)
    survived(header(overhead=overhead) + END)
    survived(header(at=at, length=length) + END)


@given(st.lists(st.tuples(WIDE, NARROW, NARROW, st.binary(max_size=600)), max_size=6))
def test_any_markers(markers: list[tuple[int, int, int, bytes]]) -> None:
    body = b""
    for value, length, kind, content in markers:
        body += (MARKER.pack(value, length) + MARKER_TYPE.pack(kind)).ljust(SECTOR, b"\0")
        body += content.ljust(-(-len(content) // SECTOR) * SECTOR, b"\0")
    survived(header() + body)
    survived(header() + body + END)


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 20), st.binary(max_size=200), st.booleans()), max_size=6))
def test_any_grains(grains: list[tuple[int, bytes, bool]]) -> None:
    body = b"".join(
        grain(number * GRAIN_SECTORS, zlib.compress(content * 400) if packed else content)
        for number, content, packed in grains
    )
    survived(header() + body + END)


@given(st.binary(max_size=2000))
def test_any_bytes(stream: bytes) -> None:
    survived(stream)
    survived(header() + stream)


@pytest.mark.parametrize(
    "stream",
    [
        header(capacity=(64 << 40) // SECTOR) + END,
        header(capacity=(64 << 40) // SECTOR, grain=2048) + grain(2048, b"x" * 100) + END,
        header(at=1, length=(1 << 20) // SECTOR - 1, overhead=2048),
        header(overhead=(16 << 20) // SECTOR),
        header() + metadata(GRAIN_TABLE, 1 << 16),
        header() + MARKER.pack(0, (1 << 32) - 1).ljust(SECTOR, b"\0") + END,
        header() + metadata(FOOTER, 0, header()) + END,
        header() + metadata(FOOTER, (1 << 64) - 1, header()) + END,
    ],
    ids=["empty-64T", "grain", "descriptor", "overhead", "table", "length", "footer0", "footer"],
)
def test_what_is_promised_is_not_allocated(stream: bytes) -> None:
    tracemalloc.start()
    try:
        survived(stream)
        assert tracemalloc.get_traced_memory()[1] < 40 * MIB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("size", [GRAIN_SECTORS * SECTOR + 1, 64 * MIB])
def test_a_grain_that_grows_is_refused(size: int) -> None:
    """A few KiB that inflate to 64 MiB."""
    bomb = zlib.compress(bytes(size), 9)
    tracemalloc.start()
    try:
        with pytest.raises(ImageRefused):
            read(header() + grain(0, bomb) + END)
        assert tracemalloc.get_traced_memory()[1] < 4 * MIB
    finally:
        tracemalloc.stop()


def test_a_grain_that_is_too_short_is_refused() -> None:
    for content in (b"", b"x", bytes(GRAIN_SECTORS * SECTOR - 1)):
        with pytest.raises(ImageRefused):
            read(header() + grain(0, zlib.compress(content)) + END)


def test_a_preset_dictionary_is_refused() -> None:
    packer = zlib.compressobj(zdict=b"dictionary")
    content = packer.compress(bytes(GRAIN_SECTORS * SECTOR)) + packer.flush()
    with pytest.raises(ImageRefused):
        read(header() + grain(0, content) + END)


def test_endless_metadata_costs_no_memory() -> None:
    class Endless:
        left = 20_000

        def __init__(self) -> None:
            self._begin = header()

        def read(self, count: int) -> bytes:
            if self._begin:
                data, self._begin = self._begin[:count], self._begin[count:]
                return data
            self.left -= 1
            return metadata(GRAIN_TABLE, 0) if self.left > 0 else b""

    tracemalloc.start()
    began = time.process_time()
    try:
        with pytest.raises(ImageRefused, match="ends after"):
            list(StreamVmdkSource(Endless()).extents())
        assert tracemalloc.get_traced_memory()[1] < 2 * MIB
        assert time.process_time() - began < 30
    finally:
        tracemalloc.stop()


def test_a_copy_of_a_hostile_stream_leaves_no_thread() -> None:
    import threading  # noqa: PLC0415

    before = threading.active_count()
    for body in (grain(0, b"\0" * 100), grain(0, zlib.compress(b"x")), b""):
        source = StreamVmdkSource(io.BytesIO(header() + body + struct.pack("<Q", 1) * 64))
        with pytest.raises(HyperSDKError):
            copy(source, MemorySink(source.size))
    assert threading.active_count() == before
