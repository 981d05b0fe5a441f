"""Wrappers of the ports that change nothing: what throttle, cancel and observation build on."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Self

from hypersdk.datapath.handle import Handle
from hypersdk.datapath.ports import BlockSink, BlockSource
from hypersdk.model.extents import Extent


class WrappedSource(Handle):
    """Passes everything on to ``inner``, which it owns: closing the wrapper closes it."""

    def __init__(self, inner: BlockSource) -> None:
        self.inner = inner

    @property
    def size(self) -> int:
        return self.inner.size

    def extents(self, start: int = 0, length: int | None = None) -> Iterator[Extent]:
        return self.inner.extents(start, length)

    def readinto(self, offset: int, buffer: memoryview) -> None:
        self.inner.readinto(offset, buffer)

    def clone(self) -> Self:
        twin = copy.copy(self)
        twin.inner = self.inner.clone()
        return twin

    def close(self) -> None:
        self.inner.close()


class WrappedSink(Handle):
    """Passes everything on to ``inner``, which it owns: closing the wrapper closes it."""

    def __init__(self, inner: BlockSink) -> None:
        self.inner = inner

    @property
    def size(self) -> int:
        return self.inner.size

    @property
    def granularity(self) -> int:
        return self.inner.granularity

    def write(self, offset: int, data: memoryview) -> None:
        self.inner.write(offset, data)

    def zero(self, offset: int, length: int) -> None:
        self.inner.zero(offset, length)

    def flush(self) -> None:
        self.inner.flush()

    def clone(self) -> Self:
        twin = copy.copy(self)
        twin.inner = self.inner.clone()
        return twin

    def close(self) -> None:
        self.inner.close()
