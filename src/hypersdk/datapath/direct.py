"""Large writes past the page cache.

What is written once and not read again soon only pushes other things out of memory, and each fresh
page costs processor time that compression and encryption need: on a virtual machine a GiB written
through the cache took 2.4 s of it, past the cache 0.1 s (`scripts/bench`, docs/benchmarks.md).

The kernel wants memory, place and length in whole blocks for that (open(2), O_DIRECT). The rest of
a write, and everything on file systems that cannot, goes through the cache as usual; both see the
same file.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import threading
from pathlib import Path

#: Bytes. Of all devices in use; those with blocks of 512 bytes take it as well.
BLOCK = 4096
#: Bytes. A shorter write is not worth the wait for the device.
LEAST = 128 << 10
#: Bytes written at once from memory that had to be copied into whole pages.
_STEP = 1 << 20

_rooms = threading.local()


class PastCache:
    """The way past the cache into one open file. May be used by any number of threads."""

    def __init__(self, descriptor: int) -> None:
        """``descriptor`` stays the caller's, and open until ``close``."""
        try:
            # A description of its own: the flag must not change how the caller's own writes go.
            self._descriptor = os.open(
                f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_DIRECT | os.O_CLOEXEC
            )
        except OSError:  # the file system cannot, or there is no /proc
            self._descriptor = -1

    def write(self, data: memoryview, offset: int) -> int:
        """Write as much from the beginning of ``data`` as can go past the cache; how many bytes
        that was. The caller writes the rest. Raises OSError."""
        length = len(data) - len(data) % BLOCK
        if self._descriptor < 0 or length < LEAST or offset % BLOCK:
            return 0
        done = 0
        while done < length:
            part = data[done : done + _STEP if not _aligned(data) else length]
            part = part[: length - done]
            try:
                count = os.pwrite(self._descriptor, _in_pages(part), offset + done)
            except OSError as error:
                if error.errno == errno.EINVAL:
                    break
                raise
            done += count - count % BLOCK
            if count % BLOCK:  # cut short within a block, as by a full disk
                break
        return done

    def close(self) -> None:
        """May be called several times."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def possible(path: Path) -> bool:
    """Whether a file can be written past the cache where ``path`` is, or is to be."""
    try:
        if path.exists():
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECT | os.O_CLOEXEC)
        else:
            flags = os.O_TMPFILE | os.O_WRONLY | os.O_DIRECT | os.O_CLOEXEC
            descriptor = os.open(path.parent, flags, 0o600)
    except OSError:
        return False
    os.close(descriptor)
    return True


def _aligned(data: memoryview) -> bool:
    if data.readonly:
        return False
    return ctypes.addressof(ctypes.c_char.from_buffer(data)) % BLOCK == 0


def _in_pages(data: memoryview) -> memoryview:
    """The same bytes in memory that begins on a page."""
    if _aligned(data):
        return data
    room: memoryview | None = getattr(_rooms, "room", None)
    if room is None:
        room = _rooms.room = memoryview(mmap.mmap(-1, _STEP))
    room[: len(data)] = data
    return room[: len(data)]
