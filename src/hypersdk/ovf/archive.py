"""OVA archives: an OVF package as one tar file (DSP0243, section 5.3), written in one pass.

Order: the descriptor, the manifest, then the files as the descriptor lists them. The first two
hold sizes and digests of what follows, so their room is reserved and filled in at the end: no disk
is written twice. Members of 8 GiB and more get their size in base 256, which GNU tar, Python, Go
(govc) and libarchive read.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
import time
from collections.abc import Callable, Sequence
from typing import BinaryIO, Self

from hypersdk.model.errors import ImageRefused, InvalidInput
from hypersdk.ovf import manifest

BLOCK = 512
#: tar files end on a multiple of this many bytes.
_RECORD = 20 * BLOCK
#: Longest name that fits into a plain header.
_LONGEST = 100
#: From here on a size has more octal digits than a plain header has room for.
_LARGE = 1 << 33


class OvaWriter:
    """Writes an archive into a seekable file. ::

        ova = OvaWriter(file, "web", ["web-disk1.vmdk"])
        with ova.member("web-disk1.vmdk") as output:
            write_stream_vmdk(source, output, name="web-disk1.vmdk")
        ova.finish(lambda sizes: write_ovf(…))

    Files come in the order in which they were announced.
    """

    def __init__(
        self,
        file: BinaryIO,
        name: str,
        files: Sequence[str],
        *,
        room: int = 1 << 16,
        written: Sequence[tuple[int, str]] = (),
    ) -> None:
        """``room``: bytes reserved for the descriptor, which is filled up with spaces.
        ``written``: size and sha256 of the first of the files, which an earlier writer with the
        same names and room has put into ``file`` already; what comes behind them goes."""
        self._descriptor, self._manifest = f"{name}.ovf", f"{name}.mf"
        for each in (self._descriptor, self._manifest, *files):
            checked_name(each)
        self._file = file
        self._room = room
        self._announced = tuple(files)
        self._sizes: dict[str, int] = {}
        self._digests: dict[str, str] = {}
        lines = manifest.written(dict.fromkeys((self._descriptor, *files), "0" * 64))
        self._manifest_room = len(lines.encode())
        begin = 2 * BLOCK + padded(room) + padded(self._manifest_room)
        if not written:
            file.write(bytes(begin))
            return
        for each, (size, digest) in zip(files, written, strict=False):
            self._written(each, size, digest)
            begin += BLOCK + padded(size)
        if file.seek(0, os.SEEK_END) < begin:
            raise InvalidInput("the archive is shorter than what was written to it")
        file.seek(begin)
        file.truncate()

    @property
    def position(self) -> int:
        """Where the next file's header is going to be."""
        return self._file.tell()

    def member(self, name: str) -> OvaMember:
        """The next announced file, to be written from front to back."""
        expected = self._announced[len(self._sizes)]
        if name != expected:
            raise InvalidInput(f"'{expected}' has to be written before '{name}'")
        return OvaMember(self._file, name, self._written)

    def written(self, name: str) -> tuple[int, str]:
        """Size and sha256 of a file that is complete."""
        return self._sizes[name], self._digests[name]

    def _written(self, name: str, size: int, digest: str) -> None:
        self._sizes[name] = size
        self._digests[name] = digest

    def finish(self, descriptor: Callable[[dict[str, int]], bytes]) -> int:
        """Fill in what was reserved; ``descriptor`` gets the sizes of the files. Returns the bytes
        of the archive. Raises InvalidInput when a file is missing or the room does not do."""
        if missing := self._announced[len(self._sizes) :]:
            raise InvalidInput(f"'{missing[0]}' was announced and not written")
        content = descriptor(dict(self._sizes))
        if len(content) > self._room:
            raise InvalidInput(
                f"the descriptor has {len(content)} bytes, {self._room} were reserved for it"
            )
        content = content.ljust(self._room, b" ")
        digests = {self._descriptor: hashlib.sha256(content).hexdigest(), **self._digests}
        file = self._file
        file.write(bytes(2 * BLOCK))
        file.write(bytes(-file.tell() % _RECORD))
        end = file.tell()
        file.seek(0)
        for name, data in (
            (self._descriptor, content),
            (self._manifest, manifest.written(digests).encode()),
        ):
            file.write(archive_header(name, len(data)) + data + bytes(-len(data) % BLOCK))
        file.seek(end)
        return end


class OvaMember:
    """One file of an archive that is being written; its header is filled in at its end."""

    def __init__(self, file: BinaryIO, name: str, done: Callable[[str, int, str], None]) -> None:
        self._file = file
        self._name = name
        self._done = done
        self._begin = file.tell()
        self._digest = hashlib.sha256()
        self._size = 0
        file.write(bytes(BLOCK))

    def write(self, data: bytes, /) -> int:
        self._file.write(data)
        self._digest.update(data)
        self._size += len(data)
        return len(data)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if error is not None:  # it may be written anew
            self._file.seek(self._begin)
            self._file.truncate()
            return
        self._file.write(bytes(-self._size % BLOCK))
        end = self._file.tell()
        self._file.seek(self._begin)
        self._file.write(archive_header(self._name, self._size))
        self._file.seek(end)
        self._done(self._name, self._size, self._digest.hexdigest())


def checked_name(name: str) -> str:
    """Raises ImageRefused for what is no plain name of a file."""
    hostile = name in {"", ".", ".."} or not name.isprintable() or "/" in name or "\\" in name
    if hostile or len(name.encode()) > _LONGEST:
        raise ImageRefused(f"an OVA cannot have a file called {name[:120]!r}")
    return name


def padded(count: int) -> int:
    """Up to the next block."""
    return count + -count % BLOCK


def archive_header(name: str, size: int) -> bytes:
    """The block before a file of ``size`` bytes."""
    header = tarfile.TarInfo(name)
    header.size = size
    header.mode = 0o644
    header.mtime = int(time.time())
    return header.tobuf(tarfile.GNU_FORMAT if size >= _LARGE else tarfile.USTAR_FORMAT)
