"""A store in memory, for tests, documentation and trying things out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from hypersdk.model.errors import ObjectExists, ObjectMissing
from hypersdk.repository.store.keys import check_key, check_prefix
from hypersdk.repository.store.ports import ObjectInfo
from hypersdk.repository.store.ranges import check_range


def utc_now() -> datetime:
    """The time of this machine, timezone aware."""
    return datetime.now(UTC)


class MemoryStore:
    """Objects in a dictionary. Survives nothing, which is its point.

    ``clock`` is the storage's clock: a test moves it to make objects old.
    """

    def __init__(self, name: str = "", *, clock: Callable[[], datetime] = utc_now) -> None:
        self.url = f"memory:{name}"
        self.latency_bound = False
        self._clock = clock
        self._lock = threading.Lock()
        self._objects: dict[str, tuple[bytes, datetime]] = {}

    def put_if_absent(self, key: str, data: bytes | bytearray | memoryview) -> None:
        check_key(key)
        kept = bytes(data)
        with self._lock:
            if key in self._objects:
                raise ObjectExists(f"{key} is already in {self.url}")
            self._objects[key] = (kept, self._clock())

    def get(self, key: str, offset: int = 0, length: int | None = None) -> bytes:
        data, _ = self._find(key)
        start, end = check_range(key, len(data), offset, length)
        return data[start:end]

    def get_into(self, key: str, offset: int, buffer: memoryview) -> None:
        data, _ = self._find(key)
        start, end = check_range(key, len(data), offset, buffer.nbytes)
        buffer.cast("B")[:] = memoryview(data)[start:end]

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        folder = check_prefix(prefix) + "/" if prefix else ""
        with self._lock:
            found = [
                ObjectInfo(key, len(data), modified)
                for key, (data, modified) in self._objects.items()
                if key.startswith(folder)
            ]
        yield from found

    def folders(self, prefix: str = "") -> tuple[str, ...]:
        folder = check_prefix(prefix) + "/" if prefix else ""
        with self._lock:
            below = [key[len(folder) :] for key in self._objects if key.startswith(folder)]
        return tuple(sorted({key.split("/", 1)[0] for key in below if "/" in key}))

    def stat(self, key: str) -> ObjectInfo:
        data, modified = self._find(key)
        return ObjectInfo(key, len(data), modified)

    def delete(self, key: str) -> None:
        check_key(key)
        with self._lock:
            self._objects.pop(key, None)

    def close(self) -> None:
        """Nothing to give back; the objects stay."""

    def _find(self, key: str) -> tuple[bytes, datetime]:
        check_key(key)
        with self._lock:
            found = self._objects.get(key)
        if found is None:
            raise ObjectMissing(f"{key} is not in {self.url}")
        return found
