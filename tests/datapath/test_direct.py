"""Writes past the page cache, and what goes the usual way."""

from __future__ import annotations

import io
import mmap
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from hypersdk.datapath import direct
from hypersdk.datapath.direct import BLOCK, BUFFER, LEAST, PastCache, PastCacheFile
from hypersdk.model.units import MIB


@pytest.fixture
def descriptor(tmp_path: Path) -> Iterator[int]:
    made = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT, 0o600)
    yield made
    os.close(made)


@pytest.fixture
def past_cache(descriptor: int, tmp_path: Path) -> Iterator[PastCache]:
    if not direct.possible(tmp_path / "file"):
        pytest.skip("the file system of the tests has no way past the page cache")
    made = PastCache(descriptor)
    yield made
    made.close()


def content(length: int) -> bytes:
    return os.urandom(1 << 16) * (length // (1 << 16)) + os.urandom(length % (1 << 16))


@pytest.mark.parametrize("length", [LEAST, 3 * MIB, 3 * MIB + BLOCK, 3 * MIB + 17])
def test_whole_blocks_are_written(past_cache: PastCache, descriptor: int, length: int) -> None:
    data = content(length)
    assert past_cache.write(memoryview(data), 2 * BLOCK) == length - length % BLOCK
    assert (
        os.pread(descriptor, length - length % BLOCK, 2 * BLOCK) == data[: length - length % BLOCK]
    )


def test_memory_that_begins_on_a_page(past_cache: PastCache, descriptor: int) -> None:
    room = mmap.mmap(-1, 2 * MIB)
    room[:] = data = content(2 * MIB)
    assert past_cache.write(memoryview(room), 0) == 2 * MIB
    assert os.pread(descriptor, 2 * MIB, 0) == data


def test_memory_that_does_not(past_cache: PastCache, descriptor: int) -> None:
    data = content(2 * MIB + 1)
    assert past_cache.write(memoryview(bytearray(data))[1:], 0) == 2 * MIB
    assert os.pread(descriptor, 2 * MIB, 0) == data[1:]


@pytest.mark.parametrize(("length", "offset"), [(LEAST - BLOCK, 0), (MIB, 512), (0, 0)])
def test_the_rest_is_left_to_the_caller(past_cache: PastCache, length: int, offset: int) -> None:
    assert past_cache.write(memoryview(bytes(length)), offset) == 0


def test_both_ways_see_the_same_file(past_cache: PastCache, descriptor: int) -> None:
    os.pwrite(descriptor, b"a" * (4 * BLOCK), 0)
    data = content(MIB)
    assert past_cache.write(memoryview(data), 2 * BLOCK) == MIB
    assert os.pread(descriptor, 3 * BLOCK, 0) == b"a" * (2 * BLOCK) + data[:BLOCK]


def test_what_cannot_goes_the_usual_way() -> None:
    """A pipe has no cache to go past."""
    reading, writing = os.pipe()
    with os.fdopen(reading), os.fdopen(writing):
        past_cache = PastCache(writing)
        assert past_cache.write(memoryview(bytes(MIB)), 0) == 0
        past_cache.close()
        past_cache.close()


def test_a_file_system_that_cannot(tmp_path: Path) -> None:
    assert not direct.possible(Path("/proc/nothing"))
    assert not direct.possible(tmp_path / "missing" / "file")


def test_a_file_below_a_buffer(tmp_path: Path) -> None:
    """Small and large writes, a step back, reading, and an end within a block."""
    path = tmp_path / "file"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    data = content(9 * MIB + 77)
    with io.BufferedRandom(PastCacheFile(descriptor), BUFFER) as file:
        file.write(bytes(1000))
        for at in range(0, 5 * MIB, 70_000):
            file.write(data[at : min(at + 70_000, 5 * MIB)])
        file.write(data[5 * MIB :])
        end = file.tell()
        file.seek(0)
        file.write(b"b" * 1000)
        assert file.read(8) == data[:8]
        file.seek(end)
        file.write(b"the end")
        file.flush()
        assert file.truncate(end + 3) == end + 3
    assert path.read_bytes() == b"b" * 1000 + data + b"the"


def test_a_full_device(tmp_path: Path) -> None:
    """What cannot be written is said, not lost."""
    descriptor = os.open("/dev/full", os.O_RDWR)
    file = PastCacheFile(descriptor)
    with pytest.raises(OSError, match="No space left"):
        file.write(bytes(MIB))
    file.close()
    file.close()
