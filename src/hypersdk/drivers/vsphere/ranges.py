"""Disks by ranges of their flat file, and what is known of any disk that can be read anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

from hypersdk.datapath.handle import Handle, check_range
from hypersdk.datapath.ports import BlockSource
from hypersdk.datapath.wrapping import WrappedSource
from hypersdk.drivers.vsphere.changedareas import Areas, extents
from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.drivers.vsphere.flatfiles import SILENCE_SECONDS, DatastoreFile
from hypersdk.model.extents import Extent, ExtentKind

#: Bytes that are rather read than asked around.
_GAP = 256 << 10


class RangeSource(Handle):
    """A flat file on a datastore. Each clone has a connection of its own, made when it first
    reads: as many requests are under way as there are threads that read."""

    def __init__(
        self,
        connection: Connection,
        url: str,
        size: int,
        name: str,
        *,
        silence: float = SILENCE_SECONDS,
    ) -> None:
        """``size``: bytes. ``name``: for messages."""
        self._connection, self._url, self._size, self._name = connection, url, size, name
        self._silence = silence
        self._file = DatastoreFile(connection, url, name, silence=silence)

    @property
    def size(self) -> int:
        return self._size

    def extents(self, start: int = 0, length: int | None = None) -> Iterator[Extent]:
        length = self._size - start if length is None else length
        check_range(self._size, start, length, self._name)
        return iter([Extent(start, length, ExtentKind.DATA)] if length else [])

    def readinto(self, offset: int, buffer: memoryview) -> None:
        check_range(self._size, offset, len(buffer), self._name)
        if len(buffer):
            self._file.read(offset, buffer)

    def clone(self) -> Self:
        return type(self)(
            self._connection, self._url, self._size, self._name, silence=self._silence
        )

    def close(self) -> None:
        self._file.close()


class KnownSource(WrappedSource):
    """A disk of which vSphere told what changed and what is allocated. What is not allocated is
    zero without being read."""

    def __init__(
        self, inner: BlockSource, *, changed: Areas | None, allocated: Areas | None
    ) -> None:
        """``changed`` None: all of it did. ``allocated`` None: all of it may hold data."""
        super().__init__(inner)
        self._changed, self._allocated = changed, allocated

    def extents(self, start: int = 0, length: int | None = None) -> Iterator[Extent]:
        length = self.size - start if length is None else length
        check_range(self.size, start, length, "a disk")
        return self._described(start, start + length)

    def _described(self, start: int, end: int) -> Iterator[Extent]:
        """Where the areas know no better, the inner source tells (an NBD server knows holes)."""
        known = extents(start, end, changed=self._changed, allocated=self._allocated)
        for extent in known:
            if extent.kind is ExtentKind.DATA:
                yield from self.inner.extents(extent.start, extent.length)
            else:
                yield extent

    def readinto(self, offset: int, buffer: memoryview) -> None:
        check_range(self.size, offset, len(buffer), "a disk")
        if self._allocated is None:
            self.inner.readinto(offset, buffer)
            return
        at = 0
        for start, end in _near(self._allocated, offset, offset + len(buffer)):
            buffer[at : start - offset] = bytes(start - offset - at)
            at = end - offset
            self.inner.readinto(start, buffer[start - offset : at])
        buffer[at:] = bytes(len(buffer) - at)


def _near(areas: Areas, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The areas within ``[start, end)``; those with little between them as one."""
    begun = stop = -1
    for first, last, inside in areas.runs(start, end):
        if not inside:
            continue
        if begun >= 0 and first - stop > _GAP:
            yield begun, stop
            begun = -1
        begun, stop = (first if begun < 0 else begun), last
    if begun >= 0:
        yield begun, stop
