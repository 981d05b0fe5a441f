"""streamOptimized VMDK, read in one forward pass: what vSphere exports and OVAs hold.

The layout is that of VMware's "Virtual Disk Format 5.0", section "Stream-Optimized Compressed
Sparse Extents". A header sector; the descriptor text; then, each beginning on a sector, markers:
of a *grain* (where it goes, its length, its deflated content) or of metadata (tables that a
forward reader has no use for, a footer, the end of the stream). A grain that does not come is zero.

``extents()`` walks the stream and keeps the deflated grains; ``readinto()`` inflates them in the
threads of whoever copies, so decoding uses all processors. A grain is given back once it was read:
memory is what the copy has in its queue, for any size of disk.

A stream that is cut, repeats a grain, or promises what it does not keep raises ImageRefused. The
end of the connection alone is no end: peers have taken cut downloads for whole disks.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, Self, cast, runtime_checkable

from isal import isal_zlib

from hypersdk.datapath.areas import clipped
from hypersdk.datapath.handle import Handle, check_range
from hypersdk.model.errors import DataPathError, ImageRefused
from hypersdk.model.extents import Extent, ExtentKind

SECTOR = 512
MAGIC = b"KDMV"
#: magic, version, flags, capacity, grain size, descriptor offset and size, grain tables per
#: directory entry, redundant directory, directory, overhead (all in sectors), unclean shutdown,
#: four characters that a text transfer would change, compression.
HEADER = struct.Struct("<4sIIQQQQIQQQB4sH")
#: Sector of the disk and length of the content for a grain; sectors and 0 for metadata.
MARKER = struct.Struct("<QI")
#: Behind a marker whose length is 0.
MARKER_TYPE = struct.Struct("<I")
LINE_ENDS = b"\n \r\n"
COMPRESSED, MARKERS = 1 << 16, 1 << 17
DEFLATE = 1
#: The directory's place is in the footer.
AT_END = (1 << 64) - 1
END_OF_STREAM, GRAIN_TABLE, GRAIN_DIRECTORY, FOOTER = range(4)

#: Sectors. VMware writes 128; others are legal, and larger ones would cost memory.
_GRAIN_SECTORS = range(8, 2049)
#: What the decoder raises; its type hints do not say that it is an exception.
_DAMAGED = cast("type[Exception]", isal_zlib.error)
#: 62 TiB is the largest virtual disk of vSphere.
_MOST_SECTORS = (64 << 40) // SECTOR
#: Bytes that a descriptor may have; VMware's have less than 2 KiB.
_MOST_DESCRIPTOR = 1 << 20
#: Bytes before the first marker. VMware and QEMU write 64 KiB.
_MOST_OVERHEAD = 16 << 20
#: Sectors of a table: one grain directory of the largest disk.
_MOST_TABLE = 1 << 16


class Stream(Protocol):
    """Bytes that come once: a file, a pipe, an HTTP response."""

    def read(self, count: int, /) -> bytes:
        """At most ``count`` bytes, empty at the end."""
        ...


class Record(Protocol):
    """Where a copy of a stream goes."""

    def write(self, data: bytes, /) -> object: ...


@runtime_checkable
class Digesting(Protocol):
    """A `Record` that digests what it takes, so that nobody needs to do it once more."""

    def digesting(self, algorithm: str) -> Hash | None:
        """The digest of all that is going to be written, as it grows. None when it is not made, or
        something was written before. Nobody else updates it; it may be copied."""
        ...


class Hash(Protocol):
    """As of hashlib."""

    def update(self, data: bytes, /) -> object: ...

    def hexdigest(self) -> str: ...

    def copy(self) -> Self: ...


@dataclass(frozen=True, slots=True)
class StreamHeader:
    """What the first sectors say. Bytes."""

    capacity: int
    grain: int
    descriptor: str

    @classmethod
    def read(cls, stream: ExactStream) -> StreamHeader:
        """Raises ImageRefused for anything but a streamOptimized extent."""
        head = stream.take(SECTOR, "the header")
        fields = HEADER.unpack_from(head)
        magic, version, flags, capacity, grain, at, length = fields[:7]
        overhead, _, ends, method = fields[10:]
        if magic != MAGIC:
            raise ImageRefused(f"{stream.name} is no VMDK extent")
        if ends != LINE_ENDS:
            raise ImageRefused(
                f"{stream.name} was changed by a transfer as text",
                hint="Fetch it again in binary mode.",
            )
        if version not in (1, 2, 3) or not flags & MARKERS or not flags & COMPRESSED:
            raise ImageRefused(
                f"{stream.name} is a VMDK of another kind than streamOptimized",
                hint="Convert it with qemu-img, or open the file itself instead of a stream.",
            )
        if method != DEFLATE or grain not in _GRAIN_SECTORS or grain & (grain - 1):
            raise ImageRefused(f"{stream.name} has grains of {grain} sectors, packed by {method}")
        if not 0 < capacity <= _MOST_SECTORS:
            raise ImageRefused(f"{stream.name} claims a disk of {capacity} sectors")
        descriptor = b""
        if length:
            if at < 1 or (at + length) * SECTOR > _MOST_DESCRIPTOR:
                raise ImageRefused(f"{stream.name} has its descriptor at an impossible place")
            stream.skip((at - 1) * SECTOR, "the descriptor")
            descriptor = stream.take(length * SECTOR, "the descriptor").rstrip(b"\0")
        if not stream.position <= overhead * SECTOR <= _MOST_OVERHEAD:
            raise ImageRefused(f"{stream.name} claims to begin at sector {overhead}")
        stream.skip(overhead * SECTOR - stream.position, "the header")
        return cls(capacity * SECTOR, grain * SECTOR, descriptor.decode("utf-8", "replace"))


class ExactStream:
    """A stream of which exact amounts are taken. ``name`` is for messages."""

    def __init__(self, stream: Stream, name: str) -> None:
        self._stream = stream
        self.name = name
        #: Bytes taken so far.
        self.position = 0
        self._record: Record | None = None
        #: What was taken before it is known whether it is recorded: the header.
        self._taken: list[bytes] | None = []

    def take(self, count: int, what: str) -> bytes:
        """Exactly ``count`` bytes. Raises ImageRefused when the stream ends before."""
        data = self._stream.read(count)
        if len(data) < count:
            parts = [data]
            missing = count - len(data)
            while missing and (data := self._stream.read(missing)):
                parts.append(data)
                missing -= len(data)
            data = b"".join(parts)
        self.position += len(data)
        if len(data) < count:
            raise ImageRefused(
                f"{self.name} ends after {self.position} bytes, within {what}",
                hint="It was cut on its way: fetch it again.",
            )
        if self._record is not None:
            self._record.write(data)
        elif self._taken is not None:
            self._taken.append(data)
        return data

    def record(self, output: Record) -> None:
        """Write all that was taken so far and all that is going to be taken to ``output``."""
        if self._taken is None:
            raise DataPathError(f"{self.name} was walked already and cannot be recorded any more")
        for data in self._taken:
            output.write(data)
        self._taken, self._record = None, output

    def forget(self) -> None:
        """Nobody is going to record it: what was kept for that goes."""
        self._taken = None

    def skip(self, count: int, what: str) -> None:
        """Take and forget."""
        while count > 0:
            count -= len(self.take(min(count, 1 << 20), what))


class StreamVmdkSource(Handle):
    """A disk that comes as a stream, once.

    ``extents()`` may be walked once and from the beginning; what it has described can be read
    from any thread, each byte once. ``finished`` tells whether the end of the stream was seen.
    The stream is closed by whoever opened it.
    """

    def __init__(self, stream: Stream, name: str = "the stream") -> None:
        """Reads the header. Raises ImageRefused."""
        self._pass = _Pass(ExactStream(stream, name))

    @property
    def size(self) -> int:
        return self._pass.header.capacity

    @property
    def header(self) -> StreamHeader:
        return self._pass.header

    @property
    def finished(self) -> bool:
        """True once the marker of the end was read and everything before it was right."""
        return self._pass.finished

    def record(self, output: Record) -> None:
        """Write every byte of the stream, its header included, to ``output`` as it is walked: a
        copy of what was packed elsewhere costs no packing. Before ``extents()`` only."""
        self._pass.record(output)

    def extents(self, start: int = 0, length: int | None = None) -> Iterator[Extent]:
        length = self.size - start if length is None else length
        check_range(self.size, start, length, self._pass.name)
        return clipped(self._pass.walk(), start, start + length)

    def readinto(self, offset: int, buffer: memoryview) -> None:
        check_range(self.size, offset, len(buffer), self._pass.name)
        self._pass.readinto(offset, buffer)

    def clone(self) -> Self:
        """The same pass: what one handle has described, another may read."""
        twin = object.__new__(type(self))
        twin._pass = self._pass
        return twin

    def close(self) -> None:
        """Nothing to give back."""


class _Pass:
    """The one walk through a stream, and the grains that were seen and not yet read."""

    def __init__(self, stream: ExactStream) -> None:
        self._stream = stream
        self.name = stream.name
        self.header = StreamHeader.read(stream)
        self.finished = False
        self._begun = threading.Lock()
        #: Number of a grain → its deflated content. Filled by the walk, emptied by readers.
        self._kept: dict[int, bytes] = {}
        #: Grains before this number were described.
        self._described = 0

    def record(self, output: Record) -> None:
        self._stream.record(output)

    def walk(self) -> Iterator[Extent]:
        if not self._begun.acquire(blocking=False):
            raise DataPathError(f"{self.name} can be read only once, from its beginning")
        self._stream.forget()
        size, grain = self.header.capacity, self.header.grain
        at = 0
        for number, content in self._grains():
            begin = number * grain
            if begin > at:
                self._described = number
                yield Extent(at, begin - at, ExtentKind.ZERO)
            self._kept[number] = content
            self._described = number + 1
            at = min(begin + grain, size)
            yield Extent(begin, at - begin, ExtentKind.DATA)
        self._described = -(-size // grain)
        if at < size:
            yield Extent(at, size - at, ExtentKind.ZERO)

    def _grains(self) -> Iterator[tuple[int, bytes]]:
        """Number and deflated content of each grain up to the end of the stream."""
        stream, grain = self._stream, self.header.grain
        sectors = grain // SECTOR
        limit = -(-self.header.capacity // grain)
        # Deflate grows what it cannot shrink by 5 bytes in 16 KiB, and has a frame of 6.
        most = grain + grain // 1024 + 64
        before = -1
        while True:
            first = stream.take(SECTOR, "a marker")
            value, length = MARKER.unpack_from(first)
            if length == 0:
                if self._metadata(value, MARKER_TYPE.unpack_from(first, MARKER.size)[0]):
                    return
                continue
            number = value // sectors
            if value % sectors or number >= limit or length > most:
                raise ImageRefused(f"{self.name} has an impossible grain at sector {value}")
            if number <= before:
                raise ImageRefused(
                    f"{self.name} has the grain at sector {value} twice, or out of order"
                )
            before = number
            have = first[MARKER.size : MARKER.size + length]
            rest = length - len(have)
            if rest > 0:
                have += stream.take(rest + -(MARKER.size + length) % SECTOR, "a grain")[:rest]
            yield number, have

    def _metadata(self, sectors: int, kind: int) -> bool:
        """Pass over tables; True at the end of the stream."""
        if kind == END_OF_STREAM:
            self.finished = True
            return True
        if kind not in (GRAIN_TABLE, GRAIN_DIRECTORY, FOOTER) or sectors > _MOST_TABLE:
            raise ImageRefused(f"{self.name} has an unknown marker of type {kind}")
        if kind != FOOTER:
            self._stream.skip(sectors * SECTOR, "a table")
            return False
        footer = HEADER.unpack_from(self._stream.take(SECTOR, "the footer"))
        self._stream.skip((sectors - 1) * SECTOR, "the footer")
        capacity, grain = footer[3] * SECTOR, footer[4] * SECTOR
        if footer[0] != MAGIC or (capacity, grain) != (self.header.capacity, self.header.grain):
            raise ImageRefused(f"the footer of {self.name} contradicts its header")
        return False

    def readinto(self, offset: int, buffer: memoryview) -> None:
        grain = self.header.grain
        end = offset + len(buffer)
        at = offset
        while at < end:
            number = at // grain
            begin = number * grain
            stop = min(begin + grain, end)
            if number >= self._described:
                raise DataPathError(f"{self.name} has not come as far as {at} bytes yet")
            whole = at == begin and stop - begin == min(grain, self.header.capacity - begin)
            content = self._kept.pop(number, None) if whole else self._kept.get(number)
            part = buffer[at - offset : stop - offset]
            if content is None:
                part[:] = bytes(len(part))
            else:
                data = self._inflated(content, number)
                part[:] = data if len(data) == len(part) else data[at - begin : stop - begin]
            at = stop

    def _inflated(self, content: bytes, number: int) -> bytes:
        """A whole grain. The last of a disk may be shorter on disks that end within one."""
        grain = self.header.grain
        inflater = isal_zlib.decompressobj()
        try:
            data = inflater.decompress(content, grain + 1)
        except _DAMAGED as error:
            raise ImageRefused(
                f"{self.name} has a damaged grain at {number * grain} bytes: {error}",
                hint="It was damaged on its way or at its origin: fetch it again.",
            ) from error
        short = self.header.capacity - number * grain
        if not inflater.eof or len(data) not in (grain, short):
            raise ImageRefused(
                f"{self.name} has a grain of {len(data)} bytes at {number * grain}, not {grain}"
            )
        return data
