"""Screenshots as PNG, whatever QEMU draws them as.

QEMU before 7.1 knows only PPM (https://netpbm.sourceforge.net/doc/ppm.html), three bytes a pixel;
PNG (https://www.w3.org/TR/png/) takes the same rows, each behind a byte that says how it is coded.
"""

from __future__ import annotations

import re
import struct
import zlib

from hypersdk.model.errors import HypervisorError

_PNG = b"\x89PNG\r\n\x1a\n"
_GAP = rb"(?:\s|#[^\n]*\n)+"
_PPM = re.compile(rb"P6" + _GAP + rb"(\d+)" + _GAP + rb"(\d+)" + _GAP + rb"255\s")


def as_png(picture: bytes) -> bytes:
    """A PNG or PPM picture as PNG. Raises HypervisorError for anything else."""
    if picture.startswith(_PNG):
        return picture
    header = _PPM.match(picture)
    if header is None:
        raise HypervisorError(
            "the screenshot is neither PNG nor PPM with one byte a colour",
            hint="A newer QEMU makes PNG; this screen can be watched by VNC.",
        )
    width, height = int(header[1]), int(header[2])
    pixels, row = memoryview(picture)[header.end() :], 3 * width
    if len(pixels) < row * height:
        raise HypervisorError(
            f"the screenshot ends after {len(pixels)} of {row * height} bytes",
            hint="Try again; the screen changed its size.",
        )
    rows = b"".join(b"\0" + pixels[start : start + row] for start in range(0, row * height, row))
    # Eight bits a colour, RGB, and the only methods there are.
    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"".join(
        (_PNG, _chunk(b"IHDR", size), _chunk(b"IDAT", zlib.compress(rows)), _chunk(b"IEND", b""))
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
