"""Large writes past the page cache.

What is written once and not read again soon only pushes other things out of memory, and each fresh
page costs processor time that compression and encryption need: on a virtual machine, restoring a
GiB to a raw image took 2.4 s of it in the kernel through the cache, 0.2 s past it (medians of
three).

The kernel wants memory, place and length in whole blocks for that (open(2), O_DIRECT). The rest of
a write, and everything on file systems that cannot, goes through the cache as usual; both see the
same file.
"""

from __future__ import annotations

import ctypes
import errno
import io
import mmap
import os
import threading
from pathlib import Path
from typing import Any

#: Bytes. Of all devices in use; those with blocks of 512 bytes take it as well.
BLOCK = 4096
#: Bytes. A shorter write is not worth the wait for the device.
LEAST = 128 << 10
#: Bytes written at once from memory that had to be copied into whole pages.
_STEP = 1 << 20

#: Bytes of a buffer above a `PastCacheFile`: whole blocks, and worth the way to the device.
BUFFER = 4 << 20

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


class PastCacheFile(io.RawIOBase):
    """An open file whose large writes go past the cache, below one of Python's buffers::

        file = io.BufferedWriter(PastCacheFile(descriptor), BUFFER)

    Owns the descriptor. Raises OSError.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._past_cache = PastCache(descriptor)

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return os.lseek(self._descriptor, offset, whence)

    def truncate(self, size: int | None = None) -> int:
        length = self.tell() if size is None else size
        os.ftruncate(self._descriptor, length)
        return length

    def readinto(self, buffer: Any) -> int:
        return os.readv(self._descriptor, [buffer])

    def write(self, data: Any) -> int:
        """As much of it as suits; the buffer above brings the rest again."""
        view = memoryview(data).cast("B")
        at = self.tell()
        if rest := -at % BLOCK:  # up to the next whole block
            return os.write(self._descriptor, view[:rest])
        count = self._past_cache.write(view, at)
        if not count:
            return os.write(self._descriptor, view)
        os.lseek(self._descriptor, at + count, os.SEEK_SET)
        return count

    def close(self) -> None:
        if not self.closed:
            self._past_cache.close()
            os.close(self._descriptor)
        super().close()


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
