"""Tar archives laid out so that they deduplicate in chunks of a fixed size.

In a plain tar stream one file more moves all that follows, and no chunk behind it is what it was.
Here the stream's entries stay as they are and in their order, but begin at places that do not
depend on what came long before:

* The content of a file of at least `BLOCK` bytes begins on a multiple of `BLOCK`.
* Smaller entries follow each other closely, and a new block is begun in front of some of them,
  chosen by a hash of their path: about one in `RUN` bytes. An insertion moves what follows up to
  the next of these and nothing else.

The gaps are pax global headers with one record ``comment`` (POSIX.1-2017, pax, "pax Header
Block"), which tar programs skip. Their content is zero, and zeroes are holes of the file: they
take no space, and cost a backup nothing.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from hypersdk.model.errors import DataPathError

#: Bytes; a chunk size of repositories. A changed small file stores its block anew. A gap is less
#: than two blocks: Go's archive/tar, and with it Docker, takes no special header of over 1 MiB.
BLOCK = 256 << 10
#: Bytes of small entries between two places where a block is begun, on average.
RUN = 2 * BLOCK
#: Size of a header and of what entries are padded to.
_RECORD = tarfile.BLOCKSIZE
_ZERO = bytes(_RECORD)
#: Zeroes of this size and alignment become holes.
_PAGE = 4096
_PIECE = 1 << 20
_GAP_NAME = "pax_global_header"
_GAP_MARK = b"comment=hypersdk gap"

# Types of headers (POSIX.1-2017, ustar; GNU tar manual, "Basic Tar Format").
_PAX, _PAX_GLOBAL, _LONG_NAME, _LONG_LINK, _SPARSE = b"x", b"g", b"L", b"K", b"S"
#: Belong to the entry behind them.
_PREFIXES = (_PAX, _LONG_NAME, _LONG_LINK)
#: Links, devices, folders and pipes: nothing follows their header, whatever size it names.
_EMPTY = (b"1", b"2", b"3", b"4", b"5", b"6")


@dataclass(frozen=True, slots=True)
class _Entry:
    """What stands in front of an entry's content, and how much content there is."""

    head: bytes
    path: bytes
    size: int

    @property
    def digest(self) -> bytes:
        """Eight bytes that tell it from others by its path."""
        return hashlib.blake2b(self.path, digest_size=8).digest()

    @property
    def padded(self) -> int:
        return self.size + -self.size % _RECORD


def lay_out(archive: Iterable[bytes], descriptor: int) -> int:
    """Write a tar stream into an empty file, laid out; how many bytes the file has.

    Raises DataPathError for a stream that is no tar archive or ends too early, OSError.
    """
    incoming, laid = _Incoming(archive), _Laid(descriptor)
    for entry in _entries(incoming):
        if entry.size >= BLOCK:
            laid.gap(-(laid.at + len(entry.head)) % BLOCK, entry.digest)
        elif _begins_block(entry):
            laid.gap(-laid.at % BLOCK, entry.digest)
        laid.write(entry.head)
        for piece in incoming.pieces(entry.padded):
            laid.write(piece)
    incoming.drain()
    laid.end()
    return laid.at


def _begins_block(entry: _Entry) -> bool:
    """Longer entries are chosen more often, so that runs of small and of large files are alike."""
    return int.from_bytes(entry.digest, "big") * RUN < (len(entry.head) + entry.padded) << 64


def _entries(incoming: _Incoming) -> Iterator[_Entry]:
    """Entries without gaps of an earlier layout; the content of each is the caller's to read."""
    head, path, size = b"", None, None
    while (header := incoming.exactly(_RECORD)) != _ZERO:
        kind = header[156:157]
        length = _size(header)
        if kind in _PREFIXES or kind == _PAX_GLOBAL:
            content = incoming.exactly(length + -length % _RECORD)
            if kind == _PAX_GLOBAL:
                if _GAP_MARK not in content[:64]:
                    yield _Entry(header + content, b"", 0)
                continue
            head += header + content
            if kind == _LONG_NAME:
                path = content[:length].rstrip(b"\0")
            elif kind == _PAX:
                records = _records(content[:length])
                path = records.get(b"path", path)
                size = int(records[b"size"]) if b"size" in records else size
            continue
        head += header
        if kind == _SPARSE:
            head += _sparse_map(header, incoming)
        content_size = 0 if kind in _EMPTY else length if size is None else size
        yield _Entry(head, path or _name(header), content_size)
        head, path, size = b"", None, None


def _size(header: bytes) -> int:
    """Of what follows. Raises DataPathError for what is no header."""
    try:
        # Checks the checksum, and knows octal and base-256 numbers.
        return tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape").size
    except tarfile.HeaderError as error:
        raise DataPathError(f"this is no tar archive, or a damaged one: {error}") from error


def _name(header: bytes) -> bytes:
    name, prefix = header[:100].rstrip(b"\0"), b""
    if header[257:263] == b"ustar\0":
        prefix = header[345:500].rstrip(b"\0")
    return prefix + b"/" + name if prefix else name


def _records(content: bytes) -> dict[bytes, bytes]:
    """``LENGTH KEY=VALUE\\n``; the length counts all of it."""
    found, at = {}, 0
    while at < len(content):
        try:
            length = int(content[at : content.index(b" ", at)])
            key, _, value = content[at : at + length].partition(b" ")[2].partition(b"=")
        except ValueError as error:
            raise DataPathError("this tar archive has a damaged pax header") from error
        if length <= 0:
            raise DataPathError("this tar archive has a damaged pax header")
        found[key] = value.removesuffix(b"\n")
        at += length
    return found


def _sparse_map(header: bytes, incoming: _Incoming) -> bytes:
    """GNU's old sparse files have more of their map behind the header."""
    more, whole = header[482], b""
    while more:
        record = incoming.exactly(_RECORD)
        whole += record
        more = record[504]
    return whole


class _Incoming:
    """The stream, asked for as many bytes as are wanted."""

    def __init__(self, archive: Iterable[bytes]) -> None:
        self._pieces = iter(archive)
        self._rest = memoryview(b"")

    def exactly(self, count: int) -> bytes:
        return b"".join(self.pieces(count))

    def pieces(self, count: int) -> Iterator[memoryview]:
        """``count`` bytes. Raises DataPathError when the stream ends before."""
        while count:
            if not self._rest:
                piece = next(self._pieces, None)
                if piece is None:
                    raise DataPathError(
                        "the tar archive ends in its middle", hint="The connection was lost?"
                    )
                self._rest = memoryview(piece)
            part = self._rest[:count]
            self._rest = self._rest[len(part) :]
            count -= len(part)
            if part:
                yield part

    def drain(self) -> None:
        """What is behind the end means nothing, but whoever sends it wants to be rid of it."""
        for _ in self._pieces:
            pass


class _Laid:
    """The file. Written from its begin to its end; zeroes are left out."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.at = 0

    def write(self, data: bytes | memoryview) -> None:
        view = memoryview(data)
        begin = 0
        for start, end in self._holes(view):
            self._put(view[begin:start], self.at + begin)
            begin = end
        self._put(view[begin:], self.at + begin)
        self.at += len(view)

    def gap(self, length: int, before: bytes) -> None:
        """A multiple of the record size; one record is too little for a header and its content,
        so that gap is a block longer. ``before``: digest of the entry behind it.

        It is named after that entry: Docker takes no two headers of one name when it makes an
        image of an archive, and a name that tells the place would differ wherever things moved.
        """
        if length == _RECORD:
            length += BLOCK
        if length:
            self._one_gap(length, f"{_GAP_NAME}.{before.hex()}")

    def end(self) -> None:
        """Two records of zeroes; the file gets its size."""
        self.at += 2 * _RECORD
        os.ftruncate(self._descriptor, self.at)

    def _one_gap(self, length: int, name: str) -> None:
        content = length - _RECORD
        header = tarfile.TarInfo(name)
        header.type, header.size = _PAX_GLOBAL, content
        self._put(header.tobuf(tarfile.USTAR_FORMAT), self.at)
        self._put(b"%d %s" % (content, _GAP_MARK), self.at + _RECORD)
        self._put(b"\n", self.at + length - 1)
        self.at += length

    def _holes(self, view: memoryview) -> Iterator[tuple[int, int]]:
        """Areas of the data that are zero and as large as pages of the file."""
        first = -self.at % _PAGE
        run = -1
        for start in range(first, len(view) - _PAGE + 1, _PAGE):
            zero = not view[start] and view[start : start + _PAGE] == _ZERO_PAGE
            if zero and run < 0:
                run = start
            elif not zero and run >= 0:
                yield run, start
                run = -1
            last = start + _PAGE
        if run >= 0:
            yield run, last

    def _put(self, data: bytes | memoryview, at: int) -> None:
        view = memoryview(data)
        while view:
            count = os.pwrite(self._descriptor, view, at)
            view, at = view[count:], at + count


_ZERO_PAGE = bytes(_PAGE)
