"""A VMDK stream gives the disk it was made from, or an error; never a part that looks whole."""

from __future__ import annotations

import io
import struct
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypersdk.datapath.memory import MemorySink, MemorySource
from hypersdk.datapath.pipeline import copy
from hypersdk.datapath.streamvmdk import (
    END_OF_STREAM,
    FOOTER,
    GRAIN_TABLE,
    HEADER,
    MARKER,
    MARKER_TYPE,
    SECTOR,
    StreamVmdkSource,
)
from hypersdk.datapath.streamvmdkwriter import GRAIN, write_stream_vmdk
from hypersdk.model.errors import DataPathError, HyperSDKError, ImageRefused
from hypersdk.model.extents import ExtentKind
from tests.components import require
from tests.datapath.suite import CONTENT, KIB, MIB

#: Where the body begins in what our writer makes.
BODY = 128 * SECTOR


def stream_of(content: bytes = CONTENT) -> bytes:
    output = io.BytesIO()
    write_stream_vmdk(MemorySource(content), output, name="disk.vmdk")
    return output.getvalue()


WHOLE = stream_of()


#: Bytes of a disk that a test keeps in memory.
_LARGEST = 64 << 20


def read(stream: bytes) -> bytes:
    source = StreamVmdkSource(io.BytesIO(stream))
    sink = MemorySink(source.size)
    copy(source, sink)
    assert source.finished
    return sink.content


def markers(stream: bytes) -> Iterator[tuple[int, int, int]]:
    """Place, value and content length (or minus the type) of each marker."""
    at = BODY
    while True:
        value, length = MARKER.unpack_from(stream, at)
        kind = MARKER_TYPE.unpack_from(stream, at + MARKER.size)[0]
        yield at, value, length or -kind
        if length == 0 and kind == END_OF_STREAM:
            return
        inside = MARKER.size + length if length else SECTOR + value * SECTOR
        at += inside + -inside % SECTOR


def changed(at: int, new: bytes, stream: bytes = WHOLE) -> bytes:
    return stream[:at] + new + stream[at + len(new) :]


def grains(stream: bytes = WHOLE) -> list[tuple[int, int, int]]:
    return [(at, value, length) for at, value, length in markers(stream) if length > 0]


def test_it_holds_the_disk() -> None:
    assert read(WHOLE) == CONTENT


def test_what_qemu_writes_is_read(tmp_path: Path) -> None:
    require("qemu-img")
    (tmp_path / "disk.raw").write_bytes(CONTENT)
    convert = ["qemu-img", "convert", "-f", "raw", "-O", "vmdk", "-o", "subformat=streamOptimized"]
    subprocess.run([*convert, tmp_path / "disk.raw", tmp_path / "disk.vmdk"], check=True)
    assert read((tmp_path / "disk.vmdk").read_bytes()) == CONTENT


def test_absent_grains_are_zero_without_being_read() -> None:
    source = StreamVmdkSource(io.BytesIO(WHOLE))
    extents = list(source.extents())
    assert sum(extent.length for extent in extents) == len(CONTENT)
    data = [extent.start for extent in extents if extent.kind is ExtentKind.DATA]
    assert data == [0, 2 * MIB, 2 * MIB + GRAIN, 2 * MIB + 2 * GRAIN, 3 * MIB]


def test_memory_is_what_waits_in_the_queue() -> None:
    """96 MiB of data pass through; at no time more than a part of it is kept."""
    content = bytes(range(256)) * (96 * MIB // 256)
    source = StreamVmdkSource(io.BytesIO(stream_of(content)))
    most = 0

    class Watching(MemorySink):
        def write(self, offset: int, data: memoryview) -> None:
            nonlocal most
            most = max(most, len(source._pass._kept))
            super().write(offset, data)

    sink = Watching(source.size)
    copy(source, sink)
    assert sink.content == content
    assert most * GRAIN <= 40 * MIB
    assert not source._pass._kept


def test_it_comes_once() -> None:
    source = StreamVmdkSource(io.BytesIO(WHOLE))
    list(source.extents())
    with pytest.raises(DataPathError, match="only once"):
        list(source.extents())


def test_what_did_not_come_yet_is_not_taken_for_zero() -> None:
    source = StreamVmdkSource(io.BytesIO(WHOLE))
    next(source.extents())
    with pytest.raises(DataPathError, match="not come as far"):
        source.readinto(MIB * 2, memoryview(bytearray(512)))


@pytest.mark.parametrize("cut", [at for at, _, _ in markers(WHOLE)] + [len(WHOLE) - SECTOR])
def test_a_cut_between_markers_is_no_end(cut: int) -> None:
    with pytest.raises(ImageRefused, match="fetch it again"):
        read(WHOLE[:cut])


@given(st.integers(0, len(WHOLE) - 1))
def test_a_cut_anywhere_is_no_end(cut: int) -> None:
    with pytest.raises(ImageRefused):
        read(WHOLE[:cut])


@given(st.integers(0, len(WHOLE) - 4), st.binary(min_size=1, max_size=4))
def test_changed_bytes_give_the_disk_or_an_error(at: int, new: bytes) -> None:
    """Deflate has a checksum; what is outside of it may be of no meaning."""
    stream = changed(at, new)
    try:
        if StreamVmdkSource(io.BytesIO(stream)).size > _LARGEST:
            return  # a legal stream of another disk, too large for a sink in memory
        content = read(stream)
    except HyperSDKError:
        return
    if content == CONTENT:
        return
    # A marker that names another place or a smaller disk is a legal stream of another disk.
    assert at < BODY or any(place <= at + 3 and at < place + MARKER.size + 4
                            for place, _, _ in markers(WHOLE))  # fmt: skip


@given(st.binary(max_size=2 * SECTOR))
def test_garbage_is_refused(garbage: bytes) -> None:
    with pytest.raises(ImageRefused):
        read(garbage)


def test_a_grain_must_inflate_to_its_size() -> None:
    at, _, length = grains()[0]
    small = zlib.compress(b"x" * 100).ljust(length, b"\0")
    with pytest.raises(ImageRefused, match="grain of 100 bytes"):
        read(changed(at + MARKER.size, small))


def test_a_grain_that_inflates_without_end_is_stopped() -> None:
    at, value, _ = grains()[0]
    bomb = zlib.compress(bytes(64 * MIB))
    marked = MARKER.pack(value, len(bomb)) + bomb
    with pytest.raises(ImageRefused):
        read(WHOLE[:at] + marked + bytes(-len(marked) % SECTOR) + WHOLE[at:])


def test_a_damaged_grain_names_its_place() -> None:
    at, value, _ = grains()[1]
    with pytest.raises(ImageRefused, match=f"at {value * SECTOR} bytes"):
        read(changed(at + MARKER.size + 40, b"\xff" * 64))


@pytest.mark.parametrize("value", [1, 1 << 40, 127])
def test_a_grain_outside_or_between_places_is_refused(value: int) -> None:
    at, _, length = grains()[0]
    with pytest.raises(ImageRefused, match="impossible grain"):
        read(changed(at, MARKER.pack(value, length)))


def test_a_grain_comes_once_and_in_order() -> None:
    (_, first, _), (at, _, length) = grains()[:2]
    with pytest.raises(ImageRefused, match="twice, or out of order"):
        read(changed(at, MARKER.pack(first, length)))


def test_a_grain_that_claims_gigabytes_costs_no_memory() -> None:
    at, value, _ = grains()[0]
    with pytest.raises(ImageRefused, match="impossible grain"):
        read(changed(at, MARKER.pack(value, 0xFFFFFFFF)))


def test_the_footer_must_agree() -> None:
    at = next(at for at, _, kind in markers(WHOLE) if kind == -FOOTER)
    smaller = struct.pack("<Q", 8)
    with pytest.raises(ImageRefused, match="contradicts"):
        read(changed(at + SECTOR + 12, smaller))


def test_an_unknown_marker_is_refused() -> None:
    at = next(at for at, _, kind in markers(WHOLE) if kind == -GRAIN_TABLE)
    with pytest.raises(ImageRefused, match="unknown marker"):
        read(changed(at + MARKER.size, MARKER_TYPE.pack(9)))


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        (0, b"QFI\xfb", "no VMDK"),
        (1, 9, "another kind"),
        (2, 3, "another kind"),
        (3, 0, "claims a disk of 0"),
        (3, 1 << 60, "claims a disk"),
        (4, 3, "grains of 3"),
        (4, 1 << 40, "grains of"),
        (5, 1 << 50, "impossible place"),
        (10, 0, "claims to begin"),
        (10, 1 << 40, "claims to begin"),
        (12, b"\n \n\n", "transfer as text"),
        (13, 7, "packed by 7"),
    ],
)
def test_a_hostile_header_is_refused(field: int, value: object, words: str) -> None:
    fields = list(HEADER.unpack_from(WHOLE))
    fields[field] = value
    with pytest.raises(ImageRefused, match=words):
        read(changed(0, HEADER.pack(*fields)))


def test_the_descriptor_is_readable() -> None:
    text = StreamVmdkSource(io.BytesIO(WHOLE)).header.descriptor
    assert 'createType="streamOptimized"' in text
    assert f'RW {len(CONTENT) // SECTOR} SPARSE "disk.vmdk"' in text


def test_short_reads_are_no_ends() -> None:
    class Dripping(io.BytesIO):
        def read(self, count: int | None = -1, /) -> bytes:
            return super().read(min(count or 0, 7 * KIB + 1))

    source = StreamVmdkSource(Dripping(WHOLE))
    sink = MemorySink(source.size)
    copy(source, sink)
    assert sink.content == CONTENT


def test_a_record_is_the_stream_byte_by_byte() -> None:
    source, kept = StreamVmdkSource(io.BytesIO(WHOLE)), io.BytesIO()
    source.record(kept)
    sink = MemorySink(source.size)
    copy(source, sink)
    assert kept.getvalue() == WHOLE
    assert sink.content == CONTENT


def test_a_record_begins_before_the_walk() -> None:
    source = StreamVmdkSource(io.BytesIO(WHOLE))
    next(iter(source.extents()))
    with pytest.raises(DataPathError, match="cannot be recorded"):
        source.record(io.BytesIO())
