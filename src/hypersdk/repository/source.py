"""A restore point as a disk that can be read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

from hypersdk.datapath.handle import Handle
from hypersdk.model.errors import InvalidInput
from hypersdk.model.extents import Extent, ExtentKind
from hypersdk.model.points import PointDisk
from hypersdk.repository.format import ZERO_ID
from hypersdk.repository.reader import BlobReader, Wanted
from hypersdk.repository.segments import DiskMap


class PointSource(Handle):
    """``BlockSource`` of one disk of a restore point; all handles share one reader and map."""

    def __init__(self, disk: PointDisk, reader: BlobReader) -> None:
        self.disk = disk
        self._reader = reader
        self._map = DiskMap(disk.size, disk.chunk_size, disk.segments, reader.read)

    @property
    def size(self) -> int:
        return self.disk.size

    @property
    def map(self) -> DiskMap:
        return self._map

    def extents(self, start: int = 0, length: int | None = None) -> Iterator[Extent]:
        end = self.size if length is None else start + length
        if start >= end:
            return
        chunk_size = self.disk.chunk_size
        first, last = start // chunk_size, -(-end // chunk_size)
        for chunk, count, zero in self._map.runs(first, last - first):
            low = max(start, chunk * chunk_size)
            high = min(end, (chunk + count) * chunk_size)
            yield Extent(low, high - low, ExtentKind.ZERO if zero else ExtentKind.DATA)

    def holds(self, offset: int, data: memoryview) -> bool:
        """Whether the whole chunk at ``offset`` has this content, by its id: nothing is fetched."""
        return self._reader.is_content(self._map.id_at(offset // self.disk.chunk_size), data)

    def readinto(self, offset: int, buffer: memoryview) -> None:
        end = offset + len(buffer)
        if offset < 0 or end > self.size:
            raise InvalidInput(f"bytes {offset} to {end} are behind the disk's {self.size}")
        chunk_size = self.disk.chunk_size
        wanted: list[Wanted] = []
        partial: list[tuple[Wanted, int, memoryview]] = []
        for chunk in range(offset // chunk_size, -(-end // chunk_size)):
            chunk_start = chunk * chunk_size
            chunk_end = min(chunk_start + chunk_size, self.size)
            low, high = max(offset, chunk_start), min(end, chunk_end)
            out = buffer[low - offset : high - offset]
            identity = self._map.id_at(chunk)
            if identity == ZERO_ID:
                out[:] = bytes(high - low)
            elif (low, high) == (chunk_start, chunk_end):
                wanted.append(Wanted(identity, out))
            else:
                whole = Wanted(identity, memoryview(bytearray(chunk_end - chunk_start)))
                partial.append((whole, low - chunk_start, out))
        self._reader.read_all([*wanted, *(whole for whole, _, _ in partial)])
        for whole, begin, out in partial:
            out[:] = whole.out[begin : begin + len(out)]

    def clone(self) -> Self:
        return self  # nothing in a handle has a position

    def close(self) -> None:
        """Nothing to give back: the repository owns reader and store."""
