"""The port to a place where a repository lives.

A store keeps named byte strings and knows nothing of what they mean. Keys are relative paths with
``/`` between parts, of any printable characters except ``\\``; no part is empty, ``.`` or ``..``;
``keys`` has the limits. No key is also a folder of another key.

Rules every store obeys (and ``tests/repository/store/suite.py`` proves)
    * An object is written once, whole, and is visible either completely or not at all.
    * ``put_if_absent`` returns only when the object survives a power cut.
    * ``put_if_absent`` never replaces: of two racing callers exactly one succeeds.
    * After ``put_if_absent`` returns, ``get``, ``list`` and ``stat`` see the object, from anywhere.
    * ``modified`` is the storage's clock, never the client's; two objects' times can be compared.
    * All methods may be called from many threads at once, and again after a failure.

Failure
    ``ObjectMissing``, ``ObjectExists``, ``StoreDenied``, ``StoreFull``, ``StoreUnavailable`` (the
    only retryable one) or ``StoreError``. A short read MUST raise, never return less.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What a store says about one object."""

    key: str
    #: Bytes.
    size: int
    #: Last modification by the storage's clock, timezone aware.
    modified: datetime


class Store(Protocol):
    """A place. ``url`` names it for a person and holds no secret."""

    @property
    def url(self) -> str: ...

    @property
    def latency_bound(self) -> bool:
        """True when many requests in flight pay off (object storage), False for a local disk."""
        ...

    def put_if_absent(self, key: str, data: bytes | bytearray | memoryview) -> None:
        """Store ``data`` under ``key``. Raises ObjectExists when the key is taken."""
        ...

    def get(self, key: str, offset: int = 0, length: int | None = None) -> bytes:
        """The bytes of an object, or exactly ``length`` bytes of it from ``offset``.

        Raises ObjectMissing; raises StoreError when the range reaches behind the end.
        """
        ...

    def get_into(self, key: str, offset: int, buffer: memoryview) -> None:
        """Fill the whole ``buffer`` from ``offset`` of an object. Raises as ``get``."""
        ...

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Every object below the folder ``prefix`` (recursively), in no particular order.

        ``prefix`` is a whole folder, without a closing slash; ``""`` is the root. A missing
        folder yields nothing. Unfinished writes are never listed.
        """
        ...

    def folders(self, prefix: str = "") -> tuple[str, ...]:
        """Names of the folders directly below ``prefix``, sorted; a missing folder has none.

        In an object store, the common prefixes. A folder whose last object was deleted may
        still be named.
        """
        ...

    def stat(self, key: str) -> ObjectInfo:
        """Size and time of one object. Raises ObjectMissing."""
        ...

    def delete(self, key: str) -> None:
        """Remove an object. Succeeds when it is already gone."""
        ...

    def close(self) -> None:
        """Give back connections. May be called several times."""
        ...
