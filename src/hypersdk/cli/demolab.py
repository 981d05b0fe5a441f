"""The instances of the demonstration: a mock hypervisor whose disks hold files of this machine."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Protocol

from hypersdk.model.units import KIB, MIB

#: Where real data is: programs, libraries, documentation.
_FOLDERS = ("/usr/lib", "/usr/share", "/usr/bin")
#: Files above it would make the disks all alike.
_FILE_MAX = 32 * MIB
_BLOCK = 4 * KIB


class Guest(Protocol):
    """A disk as its guest writes it."""

    def write(self, offset: int, data: bytes) -> None: ...

    def discard(self, offset: int, length: int) -> None: ...


def file_data() -> Iterator[bytes]:
    """Endless blocks of 1 MiB of files as a filesystem would lay them out, always in one order.

    A machine with few files gets random bytes behind them.
    """
    block = bytearray()
    for path in _files():
        try:
            block += path.read_bytes()
        except OSError:
            continue
        block += bytes(-len(block) % _BLOCK)
        while len(block) >= MIB:
            yield bytes(block[:MIB])
            del block[:MIB]
    while True:
        yield os.urandom(MIB)


def _files() -> Iterator[Path]:
    for folder in _FOLDERS:
        for parent, folders, names in os.walk(folder):
            folders.sort()
            for name in sorted(names):
                path = Path(parent, name)
                if path.is_file() and not path.is_symlink() and path.stat().st_size <= _FILE_MAX:
                    yield path


def taken(first: Iterator[bytes], amount: int, then: Iterator[bytes]) -> Iterator[bytes]:
    """``amount`` bytes of one stream, then another one."""
    return chain(islice(first, amount // MIB), then)


def install(guest: Guest, size: int, data: Iterator[bytes], amount: int) -> None:
    """Fill a new disk with ``amount`` bytes in stretches of 32 MiB, with holes between them."""
    stretches = -(-amount // (32 * MIB))
    for stretch in range(stretches):
        offset = stretch * size // stretches // MIB * MIB
        length = min(32 * MIB, amount - stretch * 32 * MIB)
        for block in islice(data, length // MIB):
            guest.write(offset, block)
            offset += MIB


def work(guest: Guest, size: int, writes: int, dice: random.Random) -> None:
    """Scattered writes of 64 KiB, in the first half of the disk."""
    for _ in range(writes):
        offset = dice.randrange(size // (128 * KIB)) * 64 * KIB
        guest.write(offset, dice.randbytes(64 * KIB))


def delete(guest: Guest, size: int) -> None:
    """Discard the last three eighths of the disk, as a filesystem does with deleted files."""
    guest.discard(size * 5 // 8 // MIB * MIB, size - size * 5 // 8 // MIB * MIB)


def identical(one: Path, other: Path) -> bool:
    """Compare two files byte by byte; areas that are holes in both need not be read."""
    with one.open("rb") as left, other.open("rb") as right:
        size = os.fstat(left.fileno()).st_size
        if size != os.fstat(right.fileno()).st_size:
            return False
        position = 0
        while (
            position := min(
                _data_from(left.fileno(), position, size),
                _data_from(right.fileno(), position, size),
            )
        ) < size:
            if os.pread(left.fileno(), MIB, position) != os.pread(right.fileno(), MIB, position):
                return False
            position += MIB
    return True


def _data_from(descriptor: int, position: int, size: int) -> int:
    """First byte at or behind ``position`` that is not in a hole."""
    if position >= size:
        return size
    try:
        return os.lseek(descriptor, position, os.SEEK_DATA)
    except OSError:  # ENXIO: only a hole is left
        return size
