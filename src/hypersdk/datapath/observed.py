"""Counting what passes, for progress and reports."""

from __future__ import annotations

from collections.abc import Iterator

from hypersdk.datapath.areas import aligned
from hypersdk.datapath.ports import BlockSink, BlockSource
from hypersdk.datapath.wrapping import WrappedSink, WrappedSource
from hypersdk.model.extents import Extent, ExtentKind
from hypersdk.observe.progress import Counters


class Observed(WrappedSource):
    """A source that adds what is read, zero and unchanged to ``counters``, as it is met.

    ``granularity`` is the sink's: a granule of mixed kinds is read whole, and only a source that
    knows this can count each byte once. Reads beside the copy (an audit) belong on the inner
    source, or they count a second time.
    """

    def __init__(self, inner: BlockSource, counters: Counters, granularity: int = 1) -> None:
        super().__init__(inner)
        self._counters = counters
        self._granularity = granularity

    def extents(self, start: int = 0, length: int | None = None) -> Iterator[Extent]:
        end = self.size if length is None else start + length
        # Aligned to absolute offsets; a range that starts inside a granule keeps its start.
        for extent in aligned(self.inner.extents(start, length), self._granularity, end):
            if extent.kind is ExtentKind.ZERO:
                self._counters.add(zero=extent.length)
            elif extent.kind is ExtentKind.UNCHANGED:
                self._counters.add(unchanged=extent.length)
            yield extent

    def readinto(self, offset: int, buffer: memoryview) -> None:
        self.inner.readinto(offset, buffer)
        self._counters.add(read=len(buffer))


class ObservedSink(WrappedSink):
    """A sink that adds the bytes written to ``counters.stored``; for targets that store as is."""

    def __init__(self, inner: BlockSink, counters: Counters) -> None:
        super().__init__(inner)
        self._counters = counters

    def write(self, offset: int, data: memoryview) -> None:
        self.inner.write(offset, data)
        self._counters.add(stored=len(data))
