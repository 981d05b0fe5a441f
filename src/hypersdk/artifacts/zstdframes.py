"""The outline of zstd frames (RFC 8878, section 3.1): where each block begins and ends.

Only lengths are read, nothing is unpacked. It is needed for two things that the library does not
tell: that a stream was cut, and how much of it unpacks to a bounded amount. A block holds 128 KiB
at most, whatever it claims.
"""

from __future__ import annotations

from dataclasses import dataclass

from hypersdk.artifacts.streams import Readable
from hypersdk.model.errors import Damaged

MAGIC = 0xFD2FB528
#: Frames of other content, which every reader passes over: 16 numbers.
_SKIPPED = range(0x184D2A50, 0x184D2A60)
#: Largest packed block; of a raw or packed one its size is its length in the stream.
_BLOCK_MOST = 128 << 10
_RUN, _RESERVED = 1, 3
#: Bytes of the content's size and of the dictionary's id, by their flags.
_SIZE_BYTES = (0, 2, 4, 8)
_DICTIONARY_BYTES = (0, 1, 2, 4)
_STEP = 256 << 10


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a frame: its header, a block, or its checksum."""

    content: bytes
    #: True for the last one of its frame.
    last: bool = False


class ZstdBlocks:
    """The parts of all frames of a stream. Raises Damaged when it ends within one."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._buffer = b""
        self._at = 0
        self._inside = False
        self._ending = False
        self._checksum = False
        self._frames = 0
        #: Bytes read from the stream.
        self.taken = 0

    def next(self) -> Part | None:
        """The next part; None at the end of the last frame."""
        if self._ending:
            self._ending = self._inside = False
            return Part(self._take(4), last=True)
        if self._inside:
            return self._block()
        return self._header()

    def _header(self) -> Part | None:
        while self._more(1) or not self._frames:
            begin = self._take(4)
            magic = int.from_bytes(begin, "little")
            if magic in _SKIPPED:
                self._skip(int.from_bytes(self._take(4), "little"))
                self._frames += 1
                continue
            if magic != MAGIC:
                raise Damaged("this is no zstd stream, or something follows its end")
            descriptor = self._take(1)
            flags = descriptor[0]
            single = bool(flags & 0x20)
            size = _SIZE_BYTES[flags >> 6] or int(single)
            rest = self._take((not single) + _DICTIONARY_BYTES[flags & 3] + size)
            self._checksum = bool(flags & 0x04)
            self._inside = True
            self._frames += 1
            return Part(begin + descriptor + rest)
        return None

    def _block(self) -> Part:
        header = self._take(3)
        value = int.from_bytes(header, "little")
        last, kind, size = value & 1, value >> 1 & 3, value >> 3
        if kind == _RESERVED or size > _BLOCK_MOST:
            raise Damaged("the zstd stream has an impossible block")
        content = header + self._take(1 if kind == _RUN else size)
        if last and self._checksum:
            self._ending = True
            return Part(content)
        self._inside = not last
        return Part(content, last=bool(last))

    def _take(self, count: int) -> bytes:
        if not self._more(count):
            raise Damaged(
                "the zstd stream ends within a frame",
                hint="It was cut on its way: fetch it again.",
            )
        data = self._buffer[self._at : self._at + count]
        self._at += count
        return data

    def _more(self, count: int) -> bool:
        """Whether ``count`` bytes are left, having read them."""
        while len(self._buffer) - self._at < count:
            data = self._stream.read(_STEP)
            if not data:
                return False
            self.taken += len(data)
            self._buffer = self._buffer[self._at :] + data
            self._at = 0
        return True

    def _skip(self, count: int) -> None:
        while count:
            step = min(count, _STEP)
            self._take(step)
            count -= step
