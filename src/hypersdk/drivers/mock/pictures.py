"""Draw the screen of a simulated machine as a PNG."""

from __future__ import annotations

import hashlib
import struct
import zlib

from hypersdk.model.instances import InstanceState

WIDTH, HEIGHT = 320, 200
_TILE = 20
#: Border by state: red, green, blue.
_BORDERS = {
    InstanceState.RUNNING: (0x2E, 0x9E, 0x4F),
    InstanceState.PAUSED: (0xC9, 0x9A, 0x2E),
}
_UNKNOWN = (0x80, 0x80, 0x80)
_DARK, _KEY = (0x10, 0x14, 0x1C), (0xE6, 0xE6, 0xE6)


def screen(instance: str, state: InstanceState, keys: int) -> bytes:
    """A PNG: a pattern that is each instance's own, a border in the colour of its state, and a
    light square for each of the last keys that were pressed."""
    pattern = hashlib.sha256(instance.encode()).digest()
    colour = (pattern[0] | 0x40, pattern[1] | 0x40, pattern[2] | 0x40)
    border = _BORDERS.get(state, _UNKNOWN)
    columns, rows = WIDTH // _TILE, HEIGHT // _TILE
    lines = []
    for row in range(rows):
        tiles = []
        for column in range(columns):
            mirrored = min(column, columns - 1 - column)
            bit = row * (columns // 2) + mirrored
            if row in {0, rows - 1} or column in {0, columns - 1}:
                tiles.append(border)
            elif row == rows - 2 and column <= keys % (columns - 1) and keys:
                tiles.append(_KEY)
            else:
                tiles.append(colour if pattern[bit // 8 % 32] >> bit % 8 & 1 else _DARK)
        line = b"\0" + b"".join(bytes(tile) * _TILE for tile in tiles)
        lines.append(line * _TILE)
    return _png(b"".join(lines))


def _png(scanlines: bytes) -> bytes:
    """PNG 1.2, 8 bits per sample, true colour; each scanline begins with its filter, 0."""
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
    chunks = (
        (b"IHDR", header),
        (b"IDAT", zlib.compress(scanlines)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)
