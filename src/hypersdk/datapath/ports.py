"""The two ports that everything with blocks speaks.

A *source* can be read, a *sink* can be written. An NBD export, a raw file, memory and a restore
point differ only behind these ports, so every flow is source → pipeline → sink.

Threads
    One handle belongs to one thread at a time. A thread that wants to work in parallel calls
    ``clone()`` and closes its clone. Clones share what may be shared (a process, a connection
    pool, a repository session) and nothing that has a position or a buffer. Closing the original
    while clones are open is an error of the caller.

Failure
    Methods raise ``DataPathError`` (or another ``HyperSDKError``); a short read or write is never
    reported as success. After an error a handle may only be closed.

Closing
    ``close()`` may be called several times and does not raise for what it could not tidy up
    other than data that was not written: a sink makes its bytes durable in ``flush()``, never in
    ``close()``.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Protocol, Self

from hypersdk.model.extents import Extent


class BlockSource(Protocol):
    """A disk that can be read at any offset."""

    @property
    def size(self) -> int:
        """Bytes. Fixed for the life of the handle."""
        ...

    def extents(self, start: int = 0, length: int | None = None) -> Iterator[Extent]:
        """What is known about ``length`` bytes from ``start`` (None: to the end of the disk).

        Extents come in order, without gaps and overlaps, clipped to the range; neighbours may be
        of the same kind. An area that was zeroed or discarded since the checkpoint is ``ZERO``,
        never ``UNCHANGED``: peers lose exactly these.
        """
        ...

    def readinto(self, offset: int, buffer: memoryview) -> None:
        """Fill the whole ``buffer`` with the bytes at ``offset``, or raise.

        Works for any area, also for one reported as ``ZERO`` or ``UNCHANGED``.
        Reading past ``size`` raises.
        """
        ...

    def clone(self) -> Self:
        """Another handle on the same disk, for another thread."""
        ...

    def close(self) -> None:
        """Give back what the handle holds."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class BlockSink(Protocol):
    """A disk that can be written at any offset. A fresh sink reads as zero everywhere."""

    @property
    def size(self) -> int:
        """Bytes. Fixed for the life of the handle."""
        ...

    @property
    def granularity(self) -> int:
        """Writes and zeroes start and end on multiples of this many bytes, or at ``size``.

        1 for files; the chunk size for a repository.
        """
        ...

    def write(self, offset: int, data: memoryview) -> None:
        """Put ``data`` at ``offset``. ``data`` may be reused by the caller on return."""
        ...

    def zero(self, offset: int, length: int) -> None:
        """Make an area read as zero, without storing zeroes where the sink can avoid it."""
        ...

    def flush(self) -> None:
        """Return when all that was written through this handle and its clones is durable."""
        ...

    def clone(self) -> Self:
        """Another handle on the same disk, for another thread."""
        ...

    def close(self) -> None:
        """Give back what the handle holds; flushes nothing."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...
