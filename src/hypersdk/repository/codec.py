"""From raw bytes to a protected blob and back.

zstd level 1 (RFC 8878): compression is ~88 % of the work of a backup; level 3 halves the speed for
a tenth less. Contexts are kept per thread: making one costs as much as compressing 64 KiB.
"""

from __future__ import annotations

import threading

import zstandard

from hypersdk.repository.ciphers import Bytes
from hypersdk.repository.format import Codec

LEVEL = 1

_contexts = threading.local()


def compress(data: Bytes) -> tuple[Codec, Bytes]:
    """The smaller of ``data`` and its zstd frame."""
    compressor: zstandard.ZstdCompressor | None = getattr(_contexts, "compressor", None)
    if compressor is None:
        # The id of a chunk already covers its content and its length stands in the footer.
        compressor = _contexts.compressor = zstandard.ZstdCompressor(
            level=LEVEL, write_checksum=False, write_content_size=True
        )
    packed = compressor.compress(data)
    return (Codec.ZSTD, packed) if len(packed) < len(data) else (Codec.RAW, data)


def decompress_into(codec: int, payload: Bytes, out: memoryview) -> bool:
    """Fill the whole of ``out``; False when the payload does not hold exactly that."""
    if codec == Codec.RAW:
        if len(payload) != len(out):
            return False
        out[:] = payload
        return True
    decompressor: zstandard.ZstdDecompressor | None = getattr(_contexts, "decompressor", None)
    if decompressor is None:
        decompressor = _contexts.decompressor = zstandard.ZstdDecompressor()
    try:
        if zstandard.frame_content_size(payload) != len(out):
            return False
        filled = 0
        with decompressor.stream_reader(payload) as frame:
            while filled < len(out) and (count := frame.readinto(out[filled:])):
                filled += count
    except zstandard.ZstdError:
        return False
    return filled == len(out)
