"""Read OVA archives in one pass, whoever made them: order and flavour of tar may differ from ours.

What is read may be hostile. Members must be plain files with plain names, come once, and be as
long as they say; nothing is ever extracted under a name that the archive chose.
"""

from __future__ import annotations

import hashlib
import re
import tarfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from hypersdk.model.errors import Damaged, ImageRefused
from hypersdk.ovf import manifest
from hypersdk.ovf.archive import BLOCK, checked_name

_STEP = 1 << 20
#: Files that are taken; a package of more is an attack.
_MOST_FILES = 4096
#: Bytes of an extended header: names and sizes need a fraction of it.
_MOST_EXTENDED = 64 << 10
#: pax: length, key, value, line break.
_RECORD = re.compile(rb"(\d{1,6}) ([^=]{1,64})=")


class MemberStream:
    """The content of one file, hashed as it is read."""

    def __init__(self, file: BinaryIO, size: int, name: str, algorithms: Collection[str]) -> None:
        self._file = file
        self._left = size
        self._name = name
        self._digests = {each: hashlib.new(each, usedforsecurity=False) for each in algorithms}

    def read(self, count: int = -1, /) -> bytes:
        wanted = self._left if count < 0 else min(count, self._left)
        data = self._file.read(wanted)
        if wanted and not data:
            raise _cut(self._name)
        self._left -= len(data)
        for digest in self._digests.values():
            digest.update(data)
        return data

    def drain(self) -> None:
        """Read what is left."""
        while self._left:
            self.read(_STEP)

    def digest(self, algorithm: str) -> str:
        """In hex, of what was read."""
        return self._digests[algorithm].hexdigest()


@dataclass(frozen=True, slots=True)
class Member:
    """One file of an archive. Its content is read before the next one is asked for."""

    name: str
    #: Bytes.
    size: int
    content: MemberStream


def read_ova(file: BinaryIO) -> Iterator[Member]:
    """The files of an archive, as they come, without its manifest.

    At the end every digest of the manifest has been compared: Damaged is raised otherwise. Raises
    ImageRefused for links, folders, devices, names that lead elsewhere, a name that comes twice,
    and an archive that is cut.
    """
    wanted: dict[str, tuple[str, str]] = {}
    seen: dict[str, MemberStream] = {}
    for name, size in _headers(file):
        if name in seen:
            raise ImageRefused(f"the archive has two files called {name!r}")
        # A manifest that comes last names algorithms that nobody knows before.
        needed = {wanted[name][0]} if name in wanted else () if wanted else manifest.ALGORITHMS
        stream = MemberStream(file, size, name, needed)
        seen[name] = stream
        if name.endswith(".mf"):
            if wanted:
                raise ImageRefused("the archive has two manifests")
            wanted = manifest.read(_text(stream, size, name))
        else:
            yield Member(name, size, stream)
        stream.drain()
        _exactly(file, -size % BLOCK, name)
    for name, (algorithm, expected) in wanted.items():
        if name not in seen:
            raise Damaged(f"the manifest names {name}, which the archive lacks")
        manifest.compare(name, algorithm, expected, seen[name].digest(algorithm))


def _headers(file: BinaryIO) -> Iterator[tuple[str, int]]:
    """Name and size of each plain file; its content is left to the caller."""
    extended: dict[str, str] = {}
    for _ in range(2 * _MOST_FILES):
        block = _exactly(file, BLOCK, "a header")
        if not any(block):
            return
        try:
            header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError as error:
            raise ImageRefused(f"this is no OVA archive: {error}") from error
        if header.type in (tarfile.XHDTYPE, tarfile.XGLTYPE):
            records = _extended(file, header.size)
            extended = records if header.type == tarfile.XHDTYPE else extended
            continue
        # A sparse file of GNU tar is a plain one for tarfile, with its map in place of its content.
        if not header.isreg() or header.type == tarfile.GNUTYPE_SPARSE:
            raise ImageRefused(
                f"the archive has {header.name[:120]!r}, which is no plain file",
                hint="Links, folders and devices have no place in an OVA.",
            )
        name, size = extended.get("path", header.name), extended.get("size", str(header.size))
        extended = {}
        if not (size.isascii() and size.isdigit() and len(size) < 19):
            raise ImageRefused(f"the archive has a file of {size[:40]!r} bytes")
        yield checked_name(name.removeprefix("./")), int(size)
    raise ImageRefused(f"the archive has more than {_MOST_FILES} files")


def _extended(file: BinaryIO, size: int) -> dict[str, str]:
    """Records of a pax header."""
    if not 0 <= size <= _MOST_EXTENDED:
        raise ImageRefused(f"the archive has an extended header of {size} bytes")
    content = _exactly(file, size + -size % BLOCK, "an extended header")[:size]
    records: dict[str, str] = {}
    at = 0
    while match := _RECORD.match(content, at):
        end = at + int(match[1])
        if end > len(content) or end <= match.end():
            break
        records[match[2].decode("utf-8", "replace")] = content[match.end() : end - 1].decode(
            "utf-8", "surrogateescape"
        )
        at = end
    return records


def _text(stream: MemberStream, size: int, name: str) -> str:
    if size > manifest.MOST:
        raise ImageRefused(f"{name} has {size} bytes, too many for a manifest")
    parts = []
    while data := stream.read(_STEP):
        parts.append(data)
    return b"".join(parts).decode("utf-8", "replace")


def _exactly(file: BinaryIO, count: int, what: str) -> bytes:
    data = file.read(count)
    while len(data) < count:
        more = file.read(count - len(data))
        if not more:
            raise _cut(what)
        data += more
    return data


def _cut(what: str) -> ImageRefused:
    return ImageRefused(
        f"the archive ends within {what}", hint="It was cut on its way: fetch it again."
    )
