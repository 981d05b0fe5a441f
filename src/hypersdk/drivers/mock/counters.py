"""What a guest has read and written since its instance was started.

::

    counters/<disk id>    six numbers of 8 bytes, little-endian: read bytes, requests, nanoseconds,
                          then the same of writes; shorter: zero

Changed under the lock of the instance; an instance that starts cuts them to nothing.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path

_NUMBERS = struct.Struct("<6Q")


@dataclass(frozen=True, slots=True)
class Counted:
    """Of one disk."""

    read_bytes: int = 0
    read_requests: int = 0
    read_nanoseconds: int = 0
    write_bytes: int = 0
    write_requests: int = 0
    write_nanoseconds: int = 0


class Counters:
    """Of one disk, open for adding to them."""

    def __init__(self, folder: Path, disk_id: str) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)  # instances of format 1 have none
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        self._file = os.open(folder / disk_id, flags, 0o600)

    def count_read(self, length: int, nanoseconds: int) -> None:
        self._add(0, length, nanoseconds)

    def count_write(self, length: int, nanoseconds: int) -> None:
        self._add(3, length, nanoseconds)

    def _add(self, first: int, length: int, nanoseconds: int) -> None:
        numbers = list(_unpacked(os.pread(self._file, _NUMBERS.size, 0)))
        for place, added in enumerate((length, 1, nanoseconds), first):
            numbers[place] += added
        os.pwrite(self._file, _NUMBERS.pack(*numbers), 0)

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def counted(folder: Path, disk_id: str) -> Counted:
    """What was counted so far; nothing when the guest has not touched the disk."""
    try:
        return Counted(*_unpacked((folder / disk_id).read_bytes()))
    except FileNotFoundError:
        return Counted()


def _unpacked(content: bytes) -> tuple[int, ...]:
    return _NUMBERS.unpack(content[: _NUMBERS.size].ljust(_NUMBERS.size, b"\0"))
