"""Holes in files: find them, make them."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator

from hypersdk.datapath.cancel import token_in_force

_KEEP_SIZE = 0x01  # FALLOC_FL_KEEP_SIZE, linux/falloc.h
_PUNCH_HOLE = 0x02  # FALLOC_FL_PUNCH_HOLE
#: Bytes copied or written at once.
_STEP = 1 << 20
#: Bytes of disk, holes or not, copied between two looks at whether that is still wanted.
_LOOK_AT_TOKEN = 1 << 30

_libc = ctypes.CDLL(None, use_errno=True)
_libc.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)


def pieces(file: int, start: int, end: int) -> Iterator[tuple[int, int, bool]]:
    """``(start, end, has_data)`` for the range, in order; behind the end of the file is a hole.

    Each piece is true at the moment when it is yielded, also while others write to the file.
    """
    while start < end:
        data = min(_seek(file, start, os.SEEK_DATA, end), end)
        if data > start:
            yield start, data, False
            start = data
            continue
        hole = min(_seek(file, start, os.SEEK_HOLE, start), end)
        # A hole made between the two calls leaves an empty piece: look again.
        if hole > start:
            yield start, hole, True
            start = hole


def _seek(file: int, offset: int, whence: int, otherwise: int) -> int:
    try:
        return os.lseek(file, offset, whence)
    except OSError as error:
        if error.errno == errno.ENXIO:  # nothing of the kind up to the end of the file
            return otherwise
        raise


def punch(file: int, offset: int, length: int) -> None:
    """Make an area read as zero and give its blocks back, where the filesystem can."""
    if length == 0:
        return
    if _libc.fallocate(file, _PUNCH_HOLE | _KEEP_SIZE, offset, length) == 0:
        return
    number = ctypes.get_errno()
    if number not in (errno.EOPNOTSUPP, errno.ENOSYS):
        raise OSError(number, os.strerror(number))
    for begin, end, has_data in pieces(file, offset, offset + length):
        if has_data:
            write_all(file, begin, bytes(end - begin))


def copy_data(source: int, target: int, start: int, end: int) -> None:
    """Copy what has data in the range to the same place in ``target``; holes stay holes."""
    for begin, stop, has_data in pieces(source, start, end):
        if not has_data:
            continue
        for offset in range(begin, stop, _STEP):
            write_all(target, offset, os.pread(source, min(_STEP, stop - offset), offset))


def write_all(file: int, offset: int, data: bytes | memoryview) -> None:
    """``pwrite`` until nothing is left."""
    rest = memoryview(data)
    while rest:
        written = os.pwrite(file, rest, offset)
        rest, offset = rest[written:], offset + written


def read_up_to_end(file: int, offset: int, buffer: memoryview) -> int:
    """Fill ``buffer`` as far as the file reaches; returns how many bytes that was."""
    done = 0
    while done < len(buffer):
        got = os.preadv(file, [buffer[done:]], offset + done)
        if got == 0:
            break
        done += got
    return done


def copy_file(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
    """Make ``target``, which exists, the same as ``source``, holes included. Raises Interrupted."""
    reading = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        writing = os.open(target, os.O_RDWR | os.O_CLOEXEC)
        try:
            size = os.fstat(reading).st_size
            os.ftruncate(writing, 0)
            os.ftruncate(writing, size)
            for start in range(0, size, _LOOK_AT_TOKEN):
                token_in_force().check()
                copy_data(reading, writing, start, min(start + _LOOK_AT_TOKEN, size))
        finally:
            os.close(writing)
    finally:
        os.close(reading)
