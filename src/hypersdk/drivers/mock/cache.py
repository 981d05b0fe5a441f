"""Small files are read and understood once, until they change.

With a thousand instances and hundreds of threads, reading and decoding JSON at each look is what
takes the time. Looking whether a file has changed takes one call.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

#: Files after which all is forgotten: those of deleted instances would pile up.
_MOST = 50_000


class Cache:
    """By path. Any thread may use it; `replace_file` makes changes recognisable."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[tuple[int, int, int], Any]] = {}

    def read(self, path: str, decode: Callable[[bytes], T]) -> T:
        """The file as ``decode`` understands it. Raises OSError, and what ``decode`` raises."""
        kept = self._kept.get(path)
        if kept is not None and kept[0] == _stamp(os.stat(path)):
            return kept[1]  # type: ignore[no-any-return]
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            status = os.fstat(descriptor)
            content = b"".join(iter(lambda: os.read(descriptor, 1 << 20), b""))
        finally:
            os.close(descriptor)
        value = decode(content)
        if len(self._kept) > _MOST:
            self._kept.clear()
        self._kept[path] = (_stamp(status), value)
        return value


def _stamp(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_mtime_ns, status.st_size
