"""Changed-block records have lied before (Broadcom KB 317933, 2090639): trust, but look.

Every incremental reads a random sample of areas that are said to be unchanged and compares them
with what the last restore point recorded. With a share ``d`` of wrong chunks and ``n`` samples the
chance to notice is ``1 - (1 - d)**n``; a full read from time to time closes the rest.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from collections.abc import Set as AbstractSet

from hypersdk.datapath.ports import BlockSource
from hypersdk.datapath.wrapping import WrappedSource
from hypersdk.model.extents import Extent, ExtentKind
from hypersdk.repository.session import DiskSink

#: Chunks per run: one in a thousand, within these bounds.
SAMPLE_MIN, SAMPLE_MAX, SAMPLE_SHARE = 64, 256, 0.001


def lying_chunks(source: BlockSource, sink: DiskSink, dice: random.Random) -> list[int]:
    """Sampled chunks that are said to be unchanged but are not; empty when all is well."""
    ranges = list(_unchanged_chunks(source, sink.granularity))
    buffer = memoryview(bytearray(sink.granularity))
    return [
        chunk
        for chunk in sorted(_sample(ranges, dice))
        if not _matches(source, sink, chunk, buffer)
    ]


def _matches(source: BlockSource, sink: DiskSink, chunk: int, buffer: memoryview) -> bool:
    start = chunk * sink.granularity
    part = buffer[: min(sink.granularity, source.size - start)]
    source.readinto(start, part)
    return sink.matches_previous(chunk, part)


def _unchanged_chunks(source: BlockSource, chunk_size: int) -> Iterator[range]:
    """Chunks that lie wholly in an unchanged area."""
    for extent in source.extents():
        if extent.kind is ExtentKind.UNCHANGED:
            end = extent.end if extent.end == source.size else extent.end - extent.end % chunk_size
            chunks = range(-(-extent.start // chunk_size), -(-end // chunk_size))
            if chunks:
                yield chunks


def _sample(ranges: list[range], dice: random.Random) -> AbstractSet[int]:
    total = sum(map(len, ranges))
    count = min(total, SAMPLE_MAX, max(SAMPLE_MIN, int(total * SAMPLE_SHARE)))
    picks = sorted(dice.sample(range(total), count))
    chosen: set[int] = set()
    passed, position = 0, 0
    for chunks in ranges:
        while position < count and picks[position] < passed + len(chunks):
            chosen.add(chunks[picks[position] - passed])
            position += 1
        passed += len(chunks)
    return chosen


class Rereading(WrappedSource):
    """A source that reports some unchanged chunks as data: their stored copies are not usable."""

    def __init__(self, inner: BlockSource, chunks: AbstractSet[int], chunk_size: int) -> None:
        super().__init__(inner)
        self._chunks = sorted(chunks)
        self._chunk_size = chunk_size

    def extents(self, start: int = 0, length: int | None = None) -> Iterator[Extent]:
        for extent in self.inner.extents(start, length):
            if extent.kind is ExtentKind.UNCHANGED:
                yield from self._split(extent)
            else:
                yield extent

    def _split(self, extent: Extent) -> Iterator[Extent]:
        at = extent.start
        for chunk in self._chunks:
            low = max(at, chunk * self._chunk_size)
            high = min(extent.end, (chunk + 1) * self._chunk_size)
            if low < high:
                if at < low:
                    yield Extent(at, low - at, ExtentKind.UNCHANGED)
                yield Extent(low, high - low, ExtentKind.DATA)
                at = high
        if at < extent.end:
            yield Extent(at, extent.end - at, ExtentKind.UNCHANGED)
