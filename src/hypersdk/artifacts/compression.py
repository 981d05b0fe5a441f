"""Packing exported files: gzip, zstd and lz4, as streams of bounded memory.

What is written is what the programs of these names write, so ``gzip -d``, ``zstd -d`` and
``lz4 -d`` unpack it. Levels mean what they mean there; those of gzip up to 3 are done by isal,
which packs about as well as zlib's first levels at four times their pace.

Unpacking is in `unpacking`.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from types import TracebackType
from typing import Any, Protocol, Self

import zstandard
from isal import isal_zlib

from hypersdk.artifacts.streams import Writable
from hypersdk.model.errors import InvalidInput, MissingRequirement

#: Codec → levels. Those of zstd above 19 need memory by the gigabyte, also to unpack.
LEVELS = {"gzip": range(1, 10), "zstd": range(1, 20), "lz4": range(1, 13)}
DEFAULT_LEVELS = {"gzip": 3, "zstd": 3, "lz4": 1}
#: Codec → what a packed file's name ends in.
SUFFIXES = {"gzip": ".gz", "zstd": ".zst", "lz4": ".lz4"}
#: Up to here isal packs gzip.
_ISAL_MOST = 3
#: zlib's window of 32 KiB with the header of gzip.
_GZIP_WINDOW = 31


class Packer(Protocol):
    """A codec at work."""

    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Compression:
    """How to pack. Raises InvalidInput for a codec or level that does not exist."""

    #: ``gzip``, ``zstd`` or ``lz4``.
    codec: str
    #: 0: the codec's default.
    level: int = 0

    def __post_init__(self) -> None:
        if self.codec not in LEVELS:
            near = get_close_matches(self.codec, LEVELS, n=1)
            meant = f"Did you mean {near[0]}? " if near else ""
            raise InvalidInput(
                f"'{self.codec}' is no kind of compression",
                hint=f"{meant}Choose of {', '.join(LEVELS)}.",
            )
        levels = LEVELS[self.codec]
        if self.level == 0:
            object.__setattr__(self, "level", DEFAULT_LEVELS[self.codec])
        elif self.level not in levels:
            raise InvalidInput(
                f"{self.codec} has no level {self.level}",
                hint=f"Its levels are {levels[0]} (fast) to {levels[-1]} (small).",
            )

    @classmethod
    def parse(cls, text: str) -> Self:
        """``zstd`` or ``zstd:9``."""
        codec, colon, level = text.partition(":")
        if colon and not (level.isascii() and level.isdigit() and len(level) < 4 and int(level)):
            raise InvalidInput(f"'{text}' is no compression", hint="Write it like zstd or zstd:9.")
        return cls(codec.strip().lower(), int(level or 0))

    @property
    def suffix(self) -> str:
        """What the name of a packed file ends in."""
        return SUFFIXES[self.codec]

    def packer(self) -> Packer:
        """Raises MissingRequirement when lz4 is not installed."""
        return _PACKERS[self.codec](self.level)

    def output(self, output: Writable) -> PackingOutput:
        """Packs into ``output``; to be closed, or used as a context manager."""
        return PackingOutput(output, self.packer())

    def __str__(self) -> str:
        return f"{self.codec}:{self.level}"


class PackingOutput:
    """Packs what is written to it; its end is written by `close`, or by leaving a block without an
    error. The output below stays open."""

    def __init__(self, output: Writable, packer: Packer) -> None:
        self._output = output
        self._packer = packer
        self._closed = False
        #: Bytes written to it, and to the output below.
        self.taken = self.given = 0

    def write(self, data: bytes, /) -> int:
        self.taken += len(data)
        self._give(self._packer.compress(data))
        return len(data)

    def close(self) -> None:
        """Write the end. May be called again."""
        if not self._closed:
            self._closed = True
            self._give(self._packer.flush())

    def _give(self, data: bytes) -> None:
        if data:
            self._output.write(data)
            self.given += len(data)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()


def codec_of(name: str) -> str:
    """The codec by a file's name, empty when it is not packed."""
    lower = name.lower()
    return next((codec for codec, suffix in SUFFIXES.items() if lower.endswith(suffix)), "")


def _gzip(level: int) -> Packer:
    if level <= _ISAL_MOST:
        return isal_zlib.compressobj(level, isal_zlib.DEFLATED, _GZIP_WINDOW)
    return zlib.compressobj(level, zlib.DEFLATED, _GZIP_WINDOW)


def _zstd(level: int) -> Packer:
    return zstandard.ZstdCompressor(level, write_checksum=True).compressobj()


class _Lz4:
    """A frame with blocks of 4 MiB and a checksum of the whole."""

    def __init__(self, level: int) -> None:
        frame = lz4_frame()
        self._frame = frame.LZ4FrameCompressor(
            block_size=frame.BLOCKSIZE_MAX4MB, compression_level=level, content_checksum=True
        )
        self._begin: bytes = self._frame.begin()

    def compress(self, data: bytes, /) -> bytes:
        begin, self._begin = self._begin, b""
        return begin + bytes(self._frame.compress(data))

    def flush(self) -> bytes:
        begin, self._begin = self._begin, b""
        return begin + bytes(self._frame.flush())


_PACKERS: dict[str, Callable[[int], Packer]] = {"gzip": _gzip, "zstd": _zstd, "lz4": _Lz4}


def lz4_frame() -> Any:
    """The library, which has no types. Raises MissingRequirement."""
    try:
        import lz4.frame  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise MissingRequirement(
            "lz4 needs the library lz4",
            hint="Install it with: pip install 'hypersdk[export]', or choose zstd.",
        ) from error
    return lz4.frame
