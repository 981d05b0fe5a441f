"""Append-only records of disk areas: what changed since a checkpoint, what a view has saved.

Areas are counted in granules of 64 KiB, as QEMU's dirty bitmaps do by default. A list of areas
costs as much as there are changes, however large the disk is, which a bitmap does not.

A file is one header and any number of runs; all numbers little-endian::

    header   8 magic  8 disk size, bytes  8 count of runs  4 CRC-32 of the 24 bytes before
    run      8 first granule  8 granule behind the last  4 CRC-32 of the 16 bytes before

The count in the header is what makes a truncated file detectable. Writers hold the lock of the
instance. ``Follower`` needs no lock: it goes by the length of the file, which grows only when a
whole run is in place.
"""

from __future__ import annotations

import os
import struct
import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hypersdk.drivers.mock.sparse import write_all

#: Bytes of disk per granule.
GRANULE = 64 << 10

_MAGIC = b"hsdkmjr1"
_HEADER = struct.Struct("<8sQQI")
_RUN = struct.Struct("<QQI")
#: Runs in a file before writers try to merge those that overlap.
_MERGE_AT = 1 << 16

Run = tuple[int, int]


class RunSet:
    """Granule numbers, kept as ordered half-open runs that neither overlap nor touch."""

    def __init__(self, runs: Iterable[Run] = ()) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        for start, end in sorted(runs):
            if self._ends and start <= self._ends[-1]:
                self._ends[-1] = max(end, self._ends[-1])
            else:
                self._starts.append(start)
                self._ends.append(end)

    def __iter__(self) -> Iterator[Run]:
        return iter(list(zip(self._starts, self._ends, strict=True)))

    def add(self, start: int, end: int) -> None:
        """Add granules ``start`` … ``end - 1``."""
        first = bisect_left(self._ends, start)
        behind = bisect_right(self._starts, end)
        if first < behind:
            start = min(start, self._starts[first])
            end = max(end, self._ends[behind - 1])
        self._starts[first:behind] = [start]
        self._ends[first:behind] = [end]

    def split(self, start: int, end: int) -> Iterator[tuple[int, int, bool]]:
        """The range in order as ``(start, end, in the set)``. The set must not change meanwhile."""
        index = bisect_right(self._ends, start)
        while start < end:
            if index == len(self._starts) or self._starts[index] >= end:
                yield start, end, False
                return
            if self._starts[index] > start:
                yield start, self._starts[index], False
                start = self._starts[index]
            stop = min(self._ends[index], end)
            yield start, stop, True
            start = stop
            index += 1


def granules(offset: int, length: int) -> Run:
    """The granules that ``length`` bytes from ``offset`` touch."""
    return offset // GRANULE, -(-(offset + length) // GRANULE)


def split_bytes(runs: RunSet, start: int, end: int) -> Iterator[tuple[int, int, bool]]:
    """``RunSet.split`` for a range in bytes."""
    first, behind = granules(start, end - start)
    for begin, stop, inside in runs.split(first, behind):
        yield max(begin * GRANULE, start), min(stop * GRANULE, end), inside


@dataclass(frozen=True, slots=True)
class Recorded:
    """Content of a journal file."""

    #: Bytes of the disk when the record began.
    disk_size: int
    runs: list[Run]


def create(path: Path, disk_size: int) -> None:
    """Begin an empty record."""
    with path.open("xb") as file:
        file.write(_header(disk_size, 0))


def append(path: Path, runs: Iterable[Run]) -> int:
    """Add runs; returns how many there are now.

    A file with a damaged header is left as it is, so that its readers notice.
    """
    added = b"".join(_encode(run) for run in runs)
    file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        head = os.pread(file, _HEADER.size, 0)
        if len(head) < _HEADER.size:
            return 0
        size: int
        count: int
        _, size, count, _ = _HEADER.unpack(head)
        if head != _header(size, count):
            return 0
        # A killed writer may have left whole runs that the header does not count yet.
        present = (os.fstat(file).st_size - _HEADER.size) // _RUN.size
        count = max(count, present)
        write_all(file, _HEADER.size + count * _RUN.size, added)
        count += len(added) // _RUN.size
        write_all(file, 0, _header(size, count))
        return count
    finally:
        os.close(file)


def merge(path: Path, count: int) -> None:
    """Rewrite a long record without overlaps: a guest that rewrites one block would fill it.

    Called after an append of one run. Looks only at powers of two, and rewrites only when that
    halves the file, so the cost per append stays constant. Never for a file that is followed.
    """
    if count < _MERGE_AT or count & (count - 1):
        return
    recorded = read(path)
    if isinstance(recorded, str):
        return
    merged = list(RunSet(recorded.runs))
    if len(merged) > count // 2:
        return
    temporary = path.with_suffix(".merging")
    body = b"".join(_encode(run) for run in merged)
    temporary.write_bytes(_header(recorded.disk_size, len(merged)) + body)
    temporary.replace(path)


def read(path: Path) -> Recorded | str:
    """What the file records, or in words why it cannot be relied on."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return "is missing"
    if len(content) < _HEADER.size:
        return "is truncated"
    magic, disk_size, count, _ = _HEADER.unpack_from(content)
    if magic != _MAGIC or content[: _HEADER.size] != _header(disk_size, count):
        return "has a damaged header"
    body = memoryview(content)[_HEADER.size :]
    if len(body) < count * _RUN.size:
        return f"is truncated: {len(body) // _RUN.size} of {count} entries"
    runs = list(_decode(body))
    if any(run is None for run in runs):
        return "has a damaged entry"
    return Recorded(disk_size, [run for run in runs if run is not None])


class Follower:
    """Reads a record that others may be appending to."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._seen = 0
        self.runs = RunSet()

    def refresh(self) -> RunSet:
        """All runs that were in place when this was called."""
        present = (os.fstat(self._file).st_size - _HEADER.size) // _RUN.size
        if present > self._seen:
            offset = _HEADER.size + self._seen * _RUN.size
            fresh = os.pread(self._file, (present - self._seen) * _RUN.size, offset)
            for run in _decode(memoryview(fresh)):
                if run is None:
                    raise OSError(f"damaged entry in the record of descriptor {self._file}")
                self.runs.add(*run)
            self._seen = present
        return self.runs

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _header(disk_size: int, count: int) -> bytes:
    start = _HEADER.pack(_MAGIC, disk_size, count, 0)[:-4]
    return start + zlib.crc32(start).to_bytes(4, "little")


def _encode(run: Run) -> bytes:
    start = _RUN.pack(*run, 0)[:-4]
    return start + zlib.crc32(start).to_bytes(4, "little")


def _decode(body: memoryview) -> Iterator[Run | None]:
    """Whole runs of a file's body; None for one that fails its checksum."""
    whole = len(body) - len(body) % _RUN.size
    for offset in range(0, whole, _RUN.size):
        start, end, checksum = _RUN.unpack_from(body, offset)
        intact = zlib.crc32(body[offset : offset + 16]) == checksum and start < end
        yield (start, end) if intact else None
