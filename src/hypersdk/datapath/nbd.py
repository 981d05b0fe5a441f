"""Any NBD export as a source or a sink: QEMU, nbdkit, a hypervisor's pull-mode backup.

URIs follow the NBD URI specification: ``nbd://host[:port]/export``, ``nbds://`` with TLS,
``nbd+unix:///export?socket=/path``.

Clones have their own connection where the server allows several (multi-conn). Where it does not,
they share one and take turns: some servers let a second client wait forever.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Self

from hypersdk.datapath.areas import clipped, joined
from hypersdk.datapath.handle import Handle, Shared, check_range
from hypersdk.datapath.libnbd import BASE_ALLOCATION, DIRTY_BITMAP, STATE_DIRTY, STATE_ZERO
from hypersdk.datapath.nbdconnection import Connection, Endpoint, public_uri
from hypersdk.model.errors import DataPathError
from hypersdk.model.extents import Extent, ExtentKind

_URI = re.compile(r"nbds?(\+(unix|vsock))?://")
#: Bytes asked about in one block status request; the protocol's field has 32 bits.
_STATUS_STEP = 2 << 30


def is_nbd_uri(text: str) -> bool:
    """Whether ``text`` names an NBD export rather than a file."""
    return _URI.match(text) is not None


class _NbdHandle(Handle):
    """What source and sink share: a connection, held by one or by all clones."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._shared = Shared(Connection(endpoint), Connection.close)
        self._connection = self._shared.value
        self._closed = False

    @property
    def size(self) -> int:
        return self._connection.size

    def clone(self) -> Self:
        if not self._connection.multi_conn:
            self._shared.hold()
            return copy.copy(self)
        twin = copy.copy(self)
        twin._shared = self._another()  # noqa: SLF001 - a twin of this very class
        twin._connection = twin._shared.value  # noqa: SLF001
        return twin

    def _another(self) -> Shared[Connection]:
        connection = Connection(self._connection.endpoint)
        if connection.size != self.size:
            connection.close()
            raise DataPathError(f"{connection.endpoint.name} changed its size while it was open")
        return Shared(connection, Connection.close)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._shared.release()

    def _check(self, offset: int, length: int) -> None:
        check_range(self.size, offset, length, self._connection.endpoint.name)


class NbdSource(_NbdHandle):
    """An export that is read.

    With ``bitmap``, the name of a QEMU dirty bitmap, areas that it does not mark are
    ``UNCHANGED``. A dirty area that reads as zero is ``ZERO``. A server without block status is
    all ``DATA``. ``timeout`` is the seconds of silence after which EndpointTimeout is raised;
    ``name`` stands for the URI in messages.
    """

    def __init__(
        self,
        uri: str,
        bitmap: str | None = None,
        *,
        timeout: float = 60.0,
        name: str | None = None,
    ) -> None:
        super().__init__(Endpoint(uri, name or public_uri(uri), bitmap, timeout))

    def extents(self, start: int = 0, length: int | None = None) -> Iterator[Extent]:
        length = self.size - start if length is None else length
        self._check(start, length)
        if not (self._connection.knows_status or self._connection.endpoint.bitmap):
            return iter([Extent(start, length, ExtentKind.DATA)] if length else [])
        return clipped(joined(self._described(start, start + length)), start, start + length)

    def _described(self, start: int, end: int) -> Iterator[Extent]:
        minimum = self._connection.minimum
        at = start - start % minimum
        end = min(end + -end % minimum, self.size)
        while at < end:
            asked = min(end - at, _STATUS_STEP)
            described = 0
            for extent in self._status(at, asked):
                described += extent.length
                yield extent
            if not described:
                raise DataPathError(f"{self._connection.endpoint.name} described no area at {at}")
            at += described

    def _status(self, at: int, asked: int) -> list[Extent]:
        """What one block status request says about an area from ``at``, at most ``asked`` bytes."""
        bitmap = self._connection.endpoint.bitmap
        entries = self._connection.block_status(at, asked)
        found = []
        for length, base, dirty in _merged(
            entries.get(BASE_ALLOCATION),
            None if bitmap is None else entries.get(DIRTY_BITMAP + bitmap, []),
            asked,
        ):
            kind = ExtentKind.ZERO if base & STATE_ZERO else ExtentKind.DATA
            if not dirty & STATE_DIRTY:
                kind = ExtentKind.UNCHANGED
            found.append(Extent(at, length, kind))
            at += length
        return found

    def readinto(self, offset: int, buffer: memoryview) -> None:
        self._check(offset, len(buffer))
        minimum = self._connection.minimum
        if offset % minimum == 0 and len(buffer) % minimum == 0:
            self._connection.read(offset, buffer)
            return
        first = offset - offset % minimum
        behind = offset + len(buffer)
        whole = memoryview(bytearray(behind + -behind % minimum - first))
        self._connection.read(first, whole)
        buffer[:] = whole[offset - first : behind - first]


class NbdSink(_NbdHandle):
    """An export that is written in place. What it held before is not zero.

    Raises DataPathError for a read-only export.
    """

    def __init__(self, uri: str, *, timeout: float = 60.0, name: str | None = None) -> None:
        super().__init__(Endpoint(uri, name or public_uri(uri), None, timeout))
        if self._connection.read_only:
            self.close()
            raise DataPathError(
                f"{self._connection.endpoint.name} is read-only",
                hint="Start its server without the read-only option.",
            )

    @property
    def granularity(self) -> int:
        return self._connection.minimum

    def write(self, offset: int, data: memoryview) -> None:
        self._check(offset, len(data))
        self._connection.write(offset, data)

    def zero(self, offset: int, length: int) -> None:
        self._check(offset, length)
        self._connection.zero(offset, length)

    def flush(self) -> None:
        self._connection.flush()


def _merged(
    base: list[int] | None, dirty: list[int] | None, limit: int
) -> Iterator[tuple[int, int, int]]:
    """Join two flat lists ``length, flags, …`` into (length, base flags, dirty flags).

    A context that was not asked for is None: no flag of base, everything dirty. Ends where the
    shorter description ends, or at ``limit``.
    """
    first = [limit, 0] if base is None else base
    second = [limit, STATE_DIRTY] if dirty is None else dirty
    i = j = at = 0
    i_end = first[0] if first else 0
    j_end = second[0] if second else 0
    while i + 1 < len(first) and j + 1 < len(second) and at < limit:
        end = min(i_end, j_end, limit)
        if end > at:
            yield end - at, first[i + 1], second[j + 1]
            at = end
        if i_end <= at:
            i += 2
            i_end += first[i] if i < len(first) else 0
        if j_end <= at:
            j += 2
            j_end += second[j] if j < len(second) else 0
