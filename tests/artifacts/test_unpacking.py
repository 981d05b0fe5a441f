"""Hostile and broken streams are errors; memory stays small."""

from __future__ import annotations

import gzip
import io
import random
import tracemalloc
from collections.abc import Callable

import lz4.frame
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from hypersdk.artifacts.compression import LEVELS, Compression
from hypersdk.artifacts.unpacking import Bounds, UnpackedStream, unpacked
from hypersdk.model.errors import Damaged, HyperSDKError, ImageRefused
from hypersdk.model.units import GIB, MIB

CONTENT = random.Random(2).randbytes(200_000) + b"text " * 50_000
PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": zstandard.ZstdCompressor(write_checksum=True).compress,
    "lz4": lambda data: lz4.frame.compress(data, content_checksum=True),
}
CODECS = tuple(LEVELS)


def read(data: bytes, codec: str, bounds: Bounds | None = None) -> bytes:
    stream = UnpackedStream(io.BytesIO(data), codec, bounds or Bounds(GIB))
    return b"".join(iter(lambda: stream.read(1 << 20), b""))


def read_away(data: bytes, codec: str, bounds: Bounds) -> None:
    stream = UnpackedStream(io.BytesIO(data), codec, bounds)
    while stream.read(MIB):
        pass


@pytest.mark.parametrize("codec", CODECS)
def test_several_frames_are_one_stream(codec: str) -> None:
    empty = PACK[codec](b"")
    data = PACK[codec](b"one ") + empty + PACK[codec](b"two") + empty
    assert read(data, codec) == b"one two"


@pytest.mark.parametrize("codec", CODECS)
def test_a_cut_anywhere_is_damage(codec: str) -> None:
    data = PACK[codec](CONTENT)
    cuts = [0, 1, 3, 5, 7, 11, len(data) // 2, *range(len(data) - 12, len(data))]
    for cut in cuts:
        with pytest.raises(Damaged) as caught:
            read(data[:cut], codec)
        assert caught.value.hint


@pytest.mark.parametrize("codec", CODECS)
@given(st.data())
def test_changed_bytes_give_the_content_or_an_error(codec: str, data: st.DataObject) -> None:
    packed = bytearray(PACK[codec](CONTENT[190_000:215_000]))
    at = data.draw(st.integers(0, len(packed) - 1))
    packed[at] ^= data.draw(st.integers(1, 255))
    try:
        found = read(bytes(packed), codec, Bounds(MIB))
    except HyperSDKError:
        return
    assert found == CONTENT[190_000:215_000]


@pytest.mark.parametrize("codec", CODECS)
@given(st.binary(max_size=300))
def test_any_bytes_give_an_error_or_little(codec: str, data: bytes) -> None:
    try:
        assert len(read(data, codec, Bounds(MIB))) <= MIB
    except HyperSDKError:
        return


@pytest.mark.parametrize("codec", CODECS)
def test_bombs_are_refused_with_little_memory(codec: str) -> None:
    bomb = io.BytesIO()
    with Compression(codec).output(bomb) as output:
        for _ in range(256):
            output.write(bytes(MIB))
    tracemalloc.start()
    try:
        with pytest.raises(ImageRefused, match=r"more than 100\.0 MiB"):
            read_away(bomb.getvalue(), codec, Bounds(100 * MIB))
        with pytest.raises(ImageRefused, match="50 times its size"):
            read_away(bomb.getvalue(), codec, Bounds(GIB, ratio=50))
        assert tracemalloc.get_traced_memory()[1] < 24 * MIB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("codec", CODECS)
def test_what_packs_well_is_no_bomb_while_it_is_small(codec: str) -> None:
    assert read(PACK[codec](bytes(8 * MIB)), codec, Bounds(GIB, ratio=10)) == bytes(8 * MIB)


def test_padding_of_tapes_is_passed_over() -> None:
    assert read(gzip.compress(b"a") + bytes(700_000), "gzip") == b"a"


@pytest.mark.parametrize("codec", CODECS)
def test_what_follows_the_end_is_no_content(codec: str) -> None:
    with pytest.raises(Damaged):
        read(PACK[codec](b"a") + b"something else", codec)


def test_skippable_frames_are_skipped() -> None:
    extra = (0x184D2A53).to_bytes(4, "little") + (400_000).to_bytes(4, "little") + bytes(400_000)
    assert read(extra + PACK["zstd"](b"a") + extra, "zstd") == b"a"
    with pytest.raises(Damaged):
        read(extra[:-1], "zstd")


def test_huge_windows_are_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=28, enable_ldm=True)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    with pytest.raises(Damaged, match="memory"):
        read(packer.compress(CONTENT) + packer.flush(), "zstd")


def test_the_name_decides_whether_it_is_unpacked() -> None:
    packed = PACK["zstd"](b"disk")
    assert unpacked(io.BytesIO(packed), "a.raw.zst", Bounds(10)).read(10) == b"disk"
    assert unpacked(io.BytesIO(packed), "a.raw", Bounds(10)).read(99) == packed
