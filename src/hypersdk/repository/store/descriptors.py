"""Recently used files, kept open: a restore reads many chunks out of each pack."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

#: Files kept open. Far below the usual limit of 1024 per process, enough for the packs of one
#: restore's read-ahead.
OPEN_FILES_MAX = 64


class _Entry:
    """One open file; closed by whoever lets go of it last."""

    __slots__ = ("descriptor", "dropped", "users")

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.users = 0
        self.dropped = False


class Descriptors:
    """Open read-only descriptors by path, least recently used first out.

    A descriptor in use is never closed under its reader: eviction, ``drop`` and ``close`` only
    mark it, and the last reader closes it. (A number closed too early is given to the next file
    opened, and the reader would silently read from that one.)
    """

    def __init__(self, limit: int = OPEN_FILES_MAX) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._entries: OrderedDict[str, _Entry] = OrderedDict()

    @contextmanager
    def use(self, path: str) -> Iterator[int]:
        """A descriptor of ``path``, valid inside the block. Raises OSError when it cannot open."""
        entry = self._acquire(path)
        try:
            yield entry.descriptor
        finally:
            self._release(entry)

    def drop(self, path: str) -> None:
        """Forget one file, so that a deleted one gives its space back."""
        with self._lock:
            entry = self._entries.pop(path, None)
            if entry is not None:
                self._retire(entry)

    def close(self) -> None:
        """Forget all. May be called several times; later ``use`` opens again."""
        with self._lock:
            entries = list(self._entries.values())
            self._entries.clear()
            for entry in entries:
                self._retire(entry)

    def __len__(self) -> int:
        with self._lock:
            return len(self._entries)

    def _acquire(self, path: str) -> _Entry:
        with self._lock:
            entry = self._entries.get(path)
            if entry is not None and _exists(entry.descriptor):
                self._entries.move_to_end(path)
                entry.users += 1
                return entry
            if entry is not None:
                del self._entries[path]
                self._retire(entry)
        fresh = _Entry(os.open(path, os.O_RDONLY | os.O_NOFOLLOW))
        with self._lock:
            entry = self._entries.setdefault(path, fresh)
            entry.users += 1
            if entry is not fresh:  # another thread was faster
                os.close(fresh.descriptor)
            self._entries.move_to_end(path)
            while len(self._entries) > self._limit:
                self._retire(self._entries.popitem(last=False)[1])
        return entry

    def _release(self, entry: _Entry) -> None:
        with self._lock:
            entry.users -= 1
            if entry.dropped and entry.users == 0:
                os.close(entry.descriptor)

    @staticmethod
    def _retire(entry: _Entry) -> None:
        entry.dropped = True
        if entry.users == 0:
            os.close(entry.descriptor)


def _exists(descriptor: int) -> bool:
    """False when another process deleted the file, or a network server forgot it (ESTALE)."""
    try:
        return os.fstat(descriptor).st_nlink > 0
    except OSError:
        return False
