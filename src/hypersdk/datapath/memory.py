"""Disks in memory: the first to pass the suite of the ports, and the peer of every test."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Self

from hypersdk.datapath.areas import clipped
from hypersdk.datapath.handle import Handle, check_range
from hypersdk.model.errors import DataPathError, InvalidInput
from hypersdk.model.extents import Extent, ExtentKind


class MemorySource(Handle):
    """``content`` as a disk; ``extents`` says what is known about it (default: all DATA).

    Raises InvalidInput when the extents have gaps, overlaps, or another length than the content.
    """

    def __init__(
        self, content: bytes | bytearray | memoryview, extents: Sequence[Extent] | None = None
    ) -> None:
        self._content = memoryview(content)
        whole = [Extent(0, len(content), ExtentKind.DATA)] if len(content) else []
        self._extents = whole if extents is None else list(extents)
        at = 0
        for extent in self._extents:
            if extent.start != at or extent.length < 0:
                raise InvalidInput(f"an extent starts at {extent.start}, expected {at}")
            at = extent.end
        if at != len(content):
            raise InvalidInput(f"extents end at {at}, the content has {len(content)} bytes")

    @property
    def size(self) -> int:
        return len(self._content)

    def extents(self, start: int = 0, length: int | None = None) -> Iterator[Extent]:
        length = self.size - start if length is None else length
        check_range(self.size, start, length, "memory")
        return clipped(self._extents, start, start + length)

    def readinto(self, offset: int, buffer: memoryview) -> None:
        check_range(self.size, offset, len(buffer), "memory")
        buffer[:] = self._content[offset : offset + len(buffer)]

    def clone(self) -> Self:
        return copy.copy(self)

    def close(self) -> None:
        """Nothing to give back."""


class MemorySink(Handle):
    """A disk of ``size`` bytes in memory, zero at first or ``initial``.

    Strict on purpose: a write or zero that breaks ``granularity`` raises DataPathError, so tests
    with it catch what a repository would refuse.
    """

    def __init__(self, size: int, granularity: int = 1, initial: bytes | None = None) -> None:
        if initial is not None and len(initial) != size:
            raise InvalidInput(f"initial content has {len(initial)} bytes, the disk {size}")
        self._content = bytearray(size) if initial is None else bytearray(initial)
        self._granularity = granularity

    @property
    def content(self) -> bytes:
        """A copy of all bytes."""
        return bytes(self._content)

    @property
    def size(self) -> int:
        return len(self._content)

    @property
    def granularity(self) -> int:
        return self._granularity

    def write(self, offset: int, data: memoryview) -> None:
        self._check(offset, len(data))
        self._content[offset : offset + len(data)] = data

    def zero(self, offset: int, length: int) -> None:
        self._check(offset, length)
        self._content[offset : offset + length] = bytes(length)

    def _check(self, offset: int, length: int) -> None:
        check_range(self.size, offset, length, "memory")
        end = offset + length
        if offset % self._granularity or (end % self._granularity and end != self.size):
            raise DataPathError(f"[{offset}, {end}) does not keep to {self._granularity} bytes")

    def flush(self) -> None:
        """Memory is as durable as it gets."""

    def clone(self) -> Self:
        return copy.copy(self)

    def close(self) -> None:
        """Nothing to give back."""
