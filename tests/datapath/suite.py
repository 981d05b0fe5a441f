"""What every source and every sink must do; each kind runs it by overriding one fixture."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from hypersdk.datapath.ports import BlockSink, BlockSource
from hypersdk.model.errors import DataPathError
from hypersdk.model.extents import ExtentKind

KIB, MIB = 1 << 10, 1 << 20


def sample_content() -> bytes:
    """3 MiB + 4 KiB: data, a long zero area, data in its middle, zero, data at the very end."""
    content = bytearray(3 * MIB + 4 * KIB)
    noise = random.Random(7)
    for start, length in ((0, 64 * KIB), (2 * MIB, 192 * KIB), (3 * MIB, 4 * KIB)):
        content[start : start + length] = noise.randbytes(length)
    return bytes(content)


CONTENT = sample_content()


def read_all(source: BlockSource) -> bytes:
    """Every byte, also of areas said to be zero."""
    whole = bytearray(source.size)
    step = 700 * KIB
    for at in range(0, source.size, step):
        source.readinto(at, memoryview(whole)[at : at + step])
    return bytes(whole)


class SourceSuite:
    """Override `source` with one that holds CONTENT (a format may pad it with zeroes)."""

    @pytest.fixture
    def source(self) -> Iterator[BlockSource]:
        raise NotImplementedError

    def test_holds_the_bytes(self, source: BlockSource) -> None:
        assert source.size >= len(CONTENT)
        assert read_all(source) == CONTENT.ljust(source.size, b"\0")

    def test_extents_cover_the_disk_in_order(self, source: BlockSource) -> None:
        at = 0
        for extent in source.extents():
            assert extent.start == at
            assert extent.length > 0
            at = extent.end
        assert at == source.size

    def test_what_is_said_to_be_zero_is_zero(self, source: BlockSource) -> None:
        content = CONTENT.ljust(source.size, b"\0")
        for extent in source.extents():
            if extent.kind is ExtentKind.ZERO:
                assert not any(content[extent.start : extent.end])

    @pytest.mark.parametrize(
        ("start", "length"), [(0, 1), (1000, 3 * MIB), (2 * MIB - 1, 2), (3 * MIB, None), (5, 0)]
    )
    def test_extents_are_clipped(self, source: BlockSource, start: int, length: int | None) -> None:
        extents = list(source.extents(start, length))
        end = source.size if length is None else start + length
        if start == end:
            assert extents == []
            return
        assert extents[0].start == start
        assert extents[-1].end == end

    @pytest.mark.parametrize("start", [-1, 1 << 40])
    def test_extents_outside_raise(self, source: BlockSource, start: int) -> None:
        with pytest.raises(DataPathError):
            list(source.extents(start, 1))

    @pytest.mark.parametrize(
        ("offset", "length"), [(0, 0), (1, 1), (65_535, 2), (2 * MIB - 3, 100_001), (3 * MIB, 4096)]
    )
    def test_reads_any_area(self, source: BlockSource, offset: int, length: int) -> None:
        buffer = bytearray(b"\xee" * (length + 2))
        source.readinto(offset, memoryview(buffer)[1:-1])
        assert buffer == b"\xee" + CONTENT[offset : offset + length] + b"\xee"

    def test_reading_past_the_end_raises(self, source: BlockSource) -> None:
        with pytest.raises(DataPathError):
            source.readinto(source.size - 1, memoryview(bytearray(2)))

    def test_clones_work_side_by_side(self, source: BlockSource) -> None:
        def work(clone: BlockSource) -> bytes:
            with clone:
                return read_all(clone)

        clones = [source.clone() for _ in range(3)]
        with ThreadPoolExecutor(3) as threads:
            for content in threads.map(work, clones):
                assert content[: len(CONTENT)] == CONTENT
        assert read_all(source)[: len(CONTENT)] == CONTENT

    def test_closes_twice(self, source: BlockSource) -> None:
        clone = source.clone()
        clone.close()
        clone.close()
        source.close()
        source.close()


class SinkSuite:
    """Override `sink` with a fresh one of SIZE bytes, and `read_back` with what reads it."""

    SIZE = 3 * MIB + 4 * KIB

    @pytest.fixture
    def sink(self) -> Iterator[BlockSink]:
        raise NotImplementedError

    @pytest.fixture
    def read_back(self, sink: BlockSink) -> Callable[[], bytes]:
        """Called once, after the last write."""
        raise NotImplementedError

    def test_keeps_what_is_written(self, sink: BlockSink, read_back: Callable[[], bytes]) -> None:
        assert sink.size == self.SIZE
        for at in range(0, self.SIZE, 256 * KIB):
            sink.write(at, memoryview(CONTENT)[at : at + 256 * KIB])
        sink.flush()
        assert read_back() == CONTENT

    def test_is_zero_where_nothing_was_written(
        self, sink: BlockSink, read_back: Callable[[], bytes]
    ) -> None:
        sink.write(MIB, memoryview(b"x" * 4096))
        sink.flush()
        expected = bytearray(self.SIZE)
        expected[MIB : MIB + 4096] = b"x" * 4096
        assert read_back() == expected

    def test_zero_erases(self, sink: BlockSink, read_back: Callable[[], bytes]) -> None:
        sink.write(0, memoryview(b"\xff" * self.SIZE))
        sink.zero(MIB - 4096, MIB)
        sink.zero(self.SIZE - 4096, 4096)
        sink.zero(0, 0)
        sink.flush()
        expected = bytearray(b"\xff" * self.SIZE)
        expected[MIB - 4096 : 2 * MIB - 4096] = bytes(MIB)
        expected[-4096:] = bytes(4096)
        assert read_back() == expected

    def test_data_may_be_reused(self, sink: BlockSink, read_back: Callable[[], bytes]) -> None:
        buffer = bytearray(b"a" * 4096)
        sink.write(0, memoryview(buffer))
        buffer[:] = b"b" * 4096
        sink.write(4096, memoryview(buffer))
        buffer[:] = b"c" * 4096
        sink.flush()
        assert read_back()[:8192] == b"a" * 4096 + b"b" * 4096

    def test_refuses_what_lies_outside(self, sink: BlockSink) -> None:
        with pytest.raises(DataPathError):
            sink.write(self.SIZE - 4096, memoryview(bytes(8192)))
        with pytest.raises(DataPathError):
            sink.zero(self.SIZE, 4096)

    def test_clones_write_side_by_side(
        self, sink: BlockSink, read_back: Callable[[], bytes]
    ) -> None:
        def work(clone: BlockSink, first: int) -> None:
            with clone:
                for at in range(first * 64 * KIB, self.SIZE, 3 * 64 * KIB):
                    clone.write(at, memoryview(CONTENT)[at : at + 64 * KIB])

        threads = [
            threading.Thread(target=work, args=(sink.clone(), number)) for number in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        sink.flush()
        assert read_back() == CONTENT

    def test_closes_twice(self, sink: BlockSink) -> None:
        clone = sink.clone()
        clone.close()
        clone.close()
        sink.close()
        sink.close()
