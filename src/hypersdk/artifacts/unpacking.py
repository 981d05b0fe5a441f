"""Unpacking gzip, zstd and lz4, within bounds.

A few bytes can unpack to terabytes, so the caller says how much may come: `Bounds`. Memory is a few
MiB whatever the stream says, and a stream that ends before its end is Damaged: none of the three
libraries' own stream readers can be trusted with that (zstandard's takes a cut file for a whole
one).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, cast

import zstandard
from isal import igzip_lib

from hypersdk.artifacts.compression import codec_of, lz4_frame
from hypersdk.artifacts.streams import Readable
from hypersdk.artifacts.zstdframes import ZstdBlocks
from hypersdk.model.errors import Damaged, ImageRefused
from hypersdk.model.units import format_size

#: Bytes of packed data taken at once.
_STEP = 256 << 10
#: Bytes that come out at once.
_PIECE = 1 << 20
#: Bytes below which a ratio says nothing.
_FLOOR = 16 << 20


@dataclass(frozen=True, slots=True)
class Bounds:
    """What may come out of a packed stream."""

    #: Bytes in all: the capacity of the disk that is expected.
    size: int
    #: Times as many bytes as went in; 0: any. Zeros pack a thousandfold with gzip, and much more
    #: with zstd, so disks need a high one.
    ratio: float = 0


class Unpacker(Protocol):
    """One frame or member; as of bz2 and lzma."""

    def decompress(self, data: bytes, /, max_length: int = -1) -> bytes: ...

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes | None: ...


class UnpackedStream:
    """What a packed stream holds, read from front to back.

    Raises Damaged for a stream that is cut or broken, ImageRefused when it exceeds ``bounds``.
    """

    def __init__(self, stream: Readable, codec: str, bounds: Bounds, name: str = "") -> None:
        self._content = _CONTENTS[codec](stream)
        self._bounds = bounds
        self._name = name or f"the {codec} stream"
        self._codec = codec
        self._waiting = b""
        self._at = 0
        #: Bytes that came out.
        self.count = 0

    def read(self, count: int = -1, /) -> bytes:
        """At most ``count`` bytes, empty at the end."""
        if self._at == len(self._waiting):
            self._waiting, self._at = self._next(), 0
        end = len(self._waiting) if count < 0 else self._at + count
        data = self._waiting[self._at : end]
        self._at += len(data)
        return data

    def _next(self) -> bytes:
        try:
            data = self._content.piece()
        except _broken(self._codec) as error:
            raise Damaged(
                f"{self._name} cannot be unpacked: {error}",
                hint="It was cut or damaged on its way: fetch it again.",
            ) from error
        self.count += len(data)
        if self.count > self._bounds.size:
            raise ImageRefused(
                f"{self._name} unpacks to more than {format_size(self._bounds.size)}",
                hint="It holds more than was announced; do not trust where it came from.",
            )
        ratio = self._bounds.ratio
        if ratio and self.count > max(_FLOOR, ratio * self._content.taken):
            raise ImageRefused(
                f"{self._name} unpacks to more than {ratio:.0f} times its size",
                hint="It may be made to fill the disk. Unpack it yourself if you trust it.",
            )
        return data


def unpacked(stream: Readable, name: str, bounds: Bounds) -> Readable:
    """What ``stream`` holds, unpacked when its file's name says that it is packed."""
    codec = codec_of(name)
    return UnpackedStream(stream, codec, bounds, name) if codec else stream


class _Cut(Exception):
    """The stream ended within a frame."""

    def __init__(self) -> None:
        super().__init__("it ends before its end")


class _Content(Protocol):
    @property
    def taken(self) -> int: ...

    def piece(self) -> bytes: ...


class _Members:
    """Members one after another, each by an unpacker that bounds what comes out at once."""

    def __init__(self, stream: Readable, unpacker: Callable[[], Unpacker]) -> None:
        self._stream = stream
        self._make = unpacker
        self._unpacker: Unpacker | None = None
        self._input = b""
        self._members = 0
        self.taken = 0

    def piece(self) -> bytes:
        """Some of the content; empty at the end."""
        while True:
            if self._unpacker is None and not self._begin():
                return b""
            unpacker = cast("Unpacker", self._unpacker)
            if unpacker.needs_input and not self._input and not self._fill():
                raise _Cut
            given, self._input = self._input, b""
            data = unpacker.decompress(given, max_length=_PIECE)
            if unpacker.eof:
                self._input = bytes(unpacker.unused_data or b"")
                self._unpacker = None
                self._members += 1
            if data:
                return data

    def _begin(self) -> bool:
        """Whether there is another member; zeros behind the last one are padding (tapes)."""
        while self._members and not self._input.strip(b"\0"):
            if not self._fill():
                return False
        if not self._input and not self._fill():
            raise _Cut
        self._unpacker = self._make()
        return True

    def _fill(self) -> bool:
        self._input = self._stream.read(_STEP)
        self.taken += len(self._input)
        return bool(self._input)


class _ZstdContent:
    """Block by block, since a block is the only amount whose output is bounded."""

    def __init__(self, stream: Readable) -> None:
        self._blocks = ZstdBlocks(stream)
        self._frame: Any = None

    @property
    def taken(self) -> int:
        return self._blocks.taken

    def piece(self) -> bytes:
        while (part := self._blocks.next()) is not None:
            if self._frame is None:
                # Windows of more than 128 MiB are what zstd itself refuses unless asked.
                self._frame = zstandard.ZstdDecompressor(max_window_size=128 << 20).decompressobj()
            data: bytes = self._frame.decompress(part.content)
            if part.last:
                self._frame = None
            if data:
                return data
        return b""


def _gzip(stream: Readable) -> _Content:
    return _Members(stream, lambda: igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP))


def _lz4(stream: Readable) -> _Content:
    return _Members(stream, lz4_frame().LZ4FrameDecompressor)


_CONTENTS: dict[str, Callable[[Readable], _Content]] = {
    "gzip": _gzip,
    "zstd": _ZstdContent,
    "lz4": _lz4,
}


def _broken(codec: str) -> tuple[type[Exception], ...]:
    """What the codec's library raises for damaged input."""
    own = {
        "gzip": cast("type[Exception]", igzip_lib.error),
        "zstd": zstandard.ZstdError,
        "lz4": RuntimeError,  # the binding of lz4 has no class of its own
    }
    return (_Cut, EOFError, own[codec])
