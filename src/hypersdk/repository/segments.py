"""The map of a disk: which chunk lies where.

A map is cut into segments of 4096 ids. A restore point lists the ids of its segments, so two maps
that share a segment share its id, and whoever compares, collects or copies skips it unread.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence

from hypersdk.repository.format import ID_SIZE, SEGMENT_CHUNKS, SEGMENT_SIZE, ZERO_ID

#: Returns the ids in a stored segment.
SegmentReader = Callable[[bytes], bytes]

_KEPT_SEGMENTS = 32


def chunk_count(size: int, chunk_size: int) -> int:
    """Chunks of a disk; the last one may be short."""
    return -(-size // chunk_size)


def segment_count(size: int, chunk_size: int) -> int:
    """Segments of a disk's map; the last one may be short."""
    return -(-chunk_count(size, chunk_size) // SEGMENT_CHUNKS)


def segment_chunks(chunks: int, segment: int) -> int:
    """Ids in one segment of a map of ``chunks`` ids."""
    return min(SEGMENT_CHUNKS, chunks - segment * SEGMENT_CHUNKS)


def differing(left: bytes | memoryview, right: bytes | memoryview) -> Iterator[int]:
    """Positions at which two lists of ids differ, in order. Both have the same length.

    Halves are compared as memory, so a few differences in a segment cost a few microseconds.
    """
    stack = [(0, len(left) // ID_SIZE)]
    a, b = memoryview(left), memoryview(right)
    while stack:
        first, count = stack.pop()
        low, high = first * ID_SIZE, (first + count) * ID_SIZE
        if a[low:high] == b[low:high]:
            continue
        if count == 1:
            yield first
            continue
        half = count // 2
        stack.append((first + half, count - half))
        stack.append((first, half))


class DiskMap:
    """Reads a stored map. Safe for many threads."""

    def __init__(
        self, size: int, chunk_size: int, segments: Sequence[bytes], read: SegmentReader
    ) -> None:
        self.chunks = chunk_count(size, chunk_size)
        self.segments = segments
        self._read = read
        self._kept: OrderedDict[int, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def segment(self, number: int) -> bytes:
        """The ids of one segment, zero ids for areas that are zero."""
        identity = self.segments[number]
        if identity == ZERO_ID:
            return bytes(segment_chunks(self.chunks, number) * ID_SIZE)
        with self._lock:
            ids = self._kept.get(number)
            if ids is None:
                ids = self._kept[number] = self._read(identity)
                if len(self._kept) > _KEPT_SEGMENTS:
                    self._kept.popitem(last=False)
            return ids

    def id_at(self, chunk: int) -> bytes:
        """Id of one chunk; ZERO_ID when it is all zero."""
        number, position = divmod(chunk, SEGMENT_CHUNKS)
        return self.segment(number)[position * ID_SIZE : (position + 1) * ID_SIZE]

    def runs(self, first: int, count: int) -> Iterator[tuple[int, int, bool]]:
        """(first chunk, chunks, is zero) for a range of chunks, in order and without gaps."""
        chunk, end = first, first + count
        while chunk < end:
            number, position = divmod(chunk, SEGMENT_CHUNKS)
            stop = min(end, (number + 1) * SEGMENT_CHUNKS)
            if self.segments[number] == ZERO_ID:
                yield chunk, stop - chunk, True
                chunk = stop
                continue
            ids = self.segment(number)
            while chunk < stop:
                position = chunk % SEGMENT_CHUNKS
                length = self._run_length(ids, position, position + stop - chunk)
                yield chunk, length, self._is_zero(ids, position)
                chunk += length

    @staticmethod
    def _is_zero(ids: bytes, position: int) -> bool:
        return ids[position * ID_SIZE : (position + 1) * ID_SIZE] == ZERO_ID

    def _run_length(self, ids: bytes, position: int, stop: int) -> int:
        zero = self._is_zero(ids, position)
        end = position + 1
        while end < stop and self._is_zero(ids, end) == zero:
            end += 1
        return end - position


class MapWriter:
    """A new map, begun as a copy of another or all zero. Safe for many threads.

    Ids wait in a temporary file, so that the map of a disk of any size costs no memory.
    """

    def __init__(self, size: int, chunk_size: int, base: DiskMap | None) -> None:
        """``base``: map of the same size and chunk size; None begins with zeroes."""
        self.chunks = chunk_count(size, chunk_size)
        self._base = base
        self._count = segment_count(size, chunk_size)
        self._touched: set[int] = set()
        self._lock = threading.Lock()
        self._file = tempfile.TemporaryFile(prefix="hypersdk-map-")  # noqa: SIM115 - closed below

    def close(self) -> None:
        self._file.close()

    def set(self, chunk: int, identity: bytes) -> None:
        """Chunk number ``chunk`` has this id."""
        number = chunk // SEGMENT_CHUNKS
        if number not in self._touched:
            self._touch(number)
        os.pwrite(self._file.fileno(), identity, chunk * ID_SIZE)

    def set_zero(self, first: int, count: int) -> None:
        """These chunks are zero."""
        chunk, end = first, first + count
        while chunk < end:
            number = chunk // SEGMENT_CHUNKS
            stop = min(end, (number + 1) * SEGMENT_CHUNKS)
            if number in self._touched or self._base_segment(number) != ZERO_ID:
                self._touch(number)
                zeroes = bytes((stop - chunk) * ID_SIZE)
                os.pwrite(self._file.fileno(), zeroes, chunk * ID_SIZE)
            chunk = stop

    def finish(self, store: Callable[[bytes], bytes]) -> tuple[bytes, ...]:
        """Hand every touched segment to ``store``, which returns its id; all segment ids."""
        segments: list[bytes] = []
        for number in range(self._count):
            if number not in self._touched:
                segments.append(self._base_segment(number))
                continue
            length = segment_chunks(self.chunks, number) * ID_SIZE
            ids = os.pread(self._file.fileno(), length, number * SEGMENT_SIZE)
            ids += bytes(length - len(ids))
            segments.append(store(ids) if any(ids) else ZERO_ID)
        return tuple(segments)

    def _base_segment(self, number: int) -> bytes:
        return ZERO_ID if self._base is None else self._base.segments[number]

    def _touch(self, number: int) -> None:
        with self._lock:
            if number in self._touched:
                return
            if self._base is not None and self._base.segments[number] != ZERO_ID:
                ids = self._base.segment(number)
                os.pwrite(self._file.fileno(), ids, number * SEGMENT_SIZE)
            self._touched.add(number)


def changed_chunks(new: DiskMap, old: DiskMap | None) -> Iterator[int]:
    """Chunks of ``new`` whose content differs from ``old`` (None: from an all-zero disk)."""
    for number in range(len(new.segments)):
        previous = old.segments[number] if old and number < len(old.segments) else ZERO_ID
        if new.segments[number] == previous:
            continue
        ids = new.segment(number)
        before = old.segment(number) if old and number < len(old.segments) else b""
        before = before[: len(ids)] + bytes(max(0, len(ids) - len(before)))
        for position in differing(ids, before):
            yield number * SEGMENT_CHUNKS + position
