"""Raw images and block devices, without any program in between.

Reads and writes carry their own offset, so all clones share one descriptor.
"""

from __future__ import annotations

import copy
import ctypes
import errno
import functools
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from hypersdk.datapath.direct import PastCache
from hypersdk.datapath.failures import from_os
from hypersdk.datapath.handle import Handle, Shared, check_range
from hypersdk.datapath.publish import check_target, partial_name, publish
from hypersdk.model.errors import DataPathError
from hypersdk.model.extents import Extent, ExtentKind

#: What the kernel answers where holes can be neither found nor made.
_UNSUPPORTED = (errno.EINVAL, errno.EOPNOTSUPP, errno.ENODEV, errno.ENOSYS)
#: linux/falloc.h: FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
_PUNCH_HOLE = 0x02 | 0x01
_ZEROES = bytes(1 << 20)


class RawSource(Handle):
    """A raw image file or block device. Holes of a file are ``ZERO``, all else is ``DATA``.

    The size is the one at opening; a file that shrinks afterwards makes reads raise.
    Raises NotFound, DataPathError.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        descriptor, self._size, self._device = _opened(self.path, os.O_RDONLY)
        self._shared = Shared(descriptor, os.close)
        self._closed = False

    @property
    def size(self) -> int:
        return self._size

    def extents(self, start: int = 0, length: int | None = None) -> Iterator[Extent]:
        length = self._size - start if length is None else length
        check_range(self._size, start, length, str(self.path))
        if self._device:
            # A block device knows no holes: lseek(SEEK_DATA) answers EINVAL there.
            return iter([Extent(start, length, ExtentKind.DATA)] if length else [])
        return _holes_and_data(self._shared.value, self.path, start, start + length)

    def readinto(self, offset: int, buffer: memoryview) -> None:
        check_range(self._size, offset, len(buffer), str(self.path))
        try:
            count = os.preadv(self._shared.value, [buffer], offset)
            while count < len(buffer):
                more = os.preadv(self._shared.value, [buffer[count:]], offset + count)
                if not more:
                    raise DataPathError(
                        f"{self.path} ends at {offset + count}, it had {self._size} bytes",
                        hint="It shrank while it was read: read a snapshot of it instead.",
                    )
                count += more
        except OSError as error:
            raise from_os(error, self.path, "read") from error

    def clone(self) -> Self:
        self._shared.hold()
        return copy.copy(self)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._shared.release()


@dataclass
class _Target:
    """What all handles on one written file share; ``temporary`` is None once nothing is left."""

    descriptor: int
    path: Path
    overwrite: bool = False
    temporary: Path | None = None

    def __post_init__(self) -> None:
        self.past_cache = PastCache(self.descriptor)

    def give_back(self) -> None:
        self.past_cache.close()
        os.close(self.descriptor)
        if self.temporary is not None:
            self.temporary.unlink(missing_ok=True)


class RawSink(Handle):
    """A raw image that is being written, sparse where it is zero.

    Made by `create` (a new file, complete under its name only after `commit`) or by
    `open_existing` (a device or file written in place).
    """

    def __init__(self, target: _Target, size: int) -> None:
        self._shared = Shared(target, _Target.give_back)
        self._size = size
        self._closed = False

    @classmethod
    def create(cls, path: str | os.PathLike[str], size: int, overwrite: bool = False) -> Self:
        """Start a new file of ``size`` bytes beside its final name, readable by its owner only.

        Raises AlreadyExists when ``path`` exists and ``overwrite`` is not set.
        """
        target = Path(path)
        check_target(target, overwrite)
        temporary = partial_name(target)
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            descriptor = os.open(temporary, flags, 0o600)
        except OSError as error:
            raise from_os(error, target, "create") from error
        sink = cls(_Target(descriptor, target, overwrite, temporary), size)
        try:
            os.ftruncate(descriptor, size)
        except OSError as error:
            sink.close()
            raise from_os(error, target, "create") from error
        return sink

    @classmethod
    def open_existing(cls, path: str | os.PathLike[str]) -> Self:
        """Write a block device or an existing file in place; what it held is not zero.

        A device that is mounted or otherwise held is refused. `commit` is then just `flush`.
        """
        target = Path(path)
        descriptor, size, _ = _opened(target, os.O_RDWR)
        return cls(_Target(descriptor, target), size)

    @property
    def path(self) -> Path:
        """The final name."""
        return self._shared.value.path

    @property
    def size(self) -> int:
        return self._size

    @property
    def granularity(self) -> int:
        return 1

    def write(self, offset: int, data: memoryview) -> None:
        check_range(self._size, offset, len(data), str(self.path))
        target = self._shared.value
        try:
            count = target.past_cache.write(data, offset)
            while count < len(data):
                count += os.pwrite(target.descriptor, data[count:], offset + count)
        except OSError as error:
            raise from_os(error, self.path, "write") from error

    def zero(self, offset: int, length: int) -> None:
        check_range(self._size, offset, length, str(self.path))
        if not length:
            return
        try:
            if not _punched(self._shared.value.descriptor, offset, length):
                self._write_zeroes(offset, offset + length)
        except OSError as error:
            raise from_os(error, self.path, "write") from error

    def _write_zeroes(self, offset: int, end: int) -> None:
        # Only where there is data: a fresh file stays sparse where holes cannot be punched.
        for extent in _holes_and_data(self._shared.value.descriptor, self.path, offset, end):
            if extent.kind is ExtentKind.DATA:
                for at in range(extent.start, extent.end, len(_ZEROES)):
                    self.write(at, memoryview(_ZEROES)[: min(len(_ZEROES), extent.end - at)])

    def flush(self) -> None:
        try:
            os.fsync(self._shared.value.descriptor)
        except OSError as error:
            raise from_os(error, self.path, "write") from error

    def commit(self) -> None:
        """Make the file durable and give it its final name. Clones must be closed before."""
        self.flush()
        target = self._shared.value
        if target.temporary is not None:
            publish(target.temporary, target.path, target.overwrite)
            target.temporary = None

    def clone(self) -> Self:
        self._shared.hold()
        return copy.copy(self)

    def close(self) -> None:
        """Give back what the handle holds; without `commit` the last one removes the new file."""
        if not self._closed:
            self._closed = True
            self._shared.release()


def _opened(path: Path, mode: int) -> tuple[int, int, bool]:
    """Descriptor, size in bytes, and whether ``path`` is a block device."""
    try:
        kind = path.stat().st_mode
        device = stat.S_ISBLK(kind)
        if not device and not stat.S_ISREG(kind):
            raise DataPathError(f"{path} is neither a file nor a block device")
        # O_EXCL without O_CREAT makes the kernel refuse a device that is mounted (open(2)).
        exclusive = os.O_EXCL if device and mode != os.O_RDONLY else 0
        descriptor = os.open(path, mode | exclusive | os.O_CLOEXEC)
        try:
            return descriptor, os.lseek(descriptor, 0, os.SEEK_END), device
        except OSError:
            os.close(descriptor)
            raise
    except OSError as error:
        raise from_os(error, path, "open") from error


def _holes_and_data(descriptor: int, path: Path, start: int, end: int) -> Iterator[Extent]:
    while start < end:
        try:
            data = min(os.lseek(descriptor, start, os.SEEK_DATA), end)
            hole = min(os.lseek(descriptor, data, os.SEEK_HOLE), end) if data < end else end
        except OSError as error:
            if error.errno == errno.ENXIO:  # no data behind `start`
                data = hole = end
            elif error.errno in _UNSUPPORTED:
                data, hole = start, end
            else:
                raise from_os(error, path, "read") from error
        if data > start:
            yield Extent(start, data - start, ExtentKind.ZERO)
        if hole > data:
            yield Extent(data, hole - data, ExtentKind.DATA)
        start = hole


def _punched(descriptor: int, offset: int, length: int) -> bool:
    """Deallocate an area so that it reads as zero; False where that is not supported."""
    if _fallocate()(descriptor, _PUNCH_HOLE, offset, length) == 0:
        return True
    number = ctypes.get_errno()
    if number in _UNSUPPORTED:
        return False
    raise OSError(number, os.strerror(number))


@functools.cache
def _fallocate() -> Callable[[int, int, int, int], int]:
    """fallocate(2) of the C library; Python has only posix_fallocate, which cannot punch."""
    library = ctypes.CDLL(None, use_errno=True)
    # glibc: 64-bit offsets on every architecture; musl has only the plain name, always 64-bit.
    function = library.fallocate64 if hasattr(library, "fallocate64") else library.fallocate
    function.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    function.restype = ctypes.c_int
    call: Callable[[int, int, int, int], int] = function
    return call
