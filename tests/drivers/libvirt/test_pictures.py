from __future__ import annotations

import struct
import zlib

import pytest

from hypersdk.drivers.libvirt.pictures import as_png
from hypersdk.model.errors import HypervisorError

PIXELS = bytes(range(2 * 3 * 3))  # two columns, three rows


def chunks(png: bytes) -> dict[bytes, bytes]:
    """By kind, checksums compared."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    found, at = {}, 8
    while at < len(png):
        (length,) = struct.unpack_from(">I", png, at)
        body = png[at + 4 : at + 8 + length]
        assert struct.unpack_from(">I", png, at + 8 + length) == (zlib.crc32(body),)
        found[body[:4]] = body[4:]
        at += 12 + length
    return found


@pytest.mark.parametrize("header", [b"P6\n2 3\n255\n", b"P6 # a comment\n2\n# more\n3 255 "])
def test_ppm_becomes_png(header: bytes) -> None:
    found = chunks(as_png(header + PIXELS))
    assert list(found) == [b"IHDR", b"IDAT", b"IEND"]
    assert found[b"IHDR"] == struct.pack(">IIBBBBB", 2, 3, 8, 2, 0, 0, 0)
    rows = zlib.decompress(found[b"IDAT"])
    assert rows == b"".join(b"\0" + PIXELS[start : start + 6] for start in (0, 6, 12))


def test_png_stays_as_it_is() -> None:
    png = as_png(b"P6\n2 3\n255\n" + PIXELS)
    assert as_png(png) is png


@pytest.mark.parametrize(
    "picture", [b"", b"GIF89a", b"P6\n2 3\n65535\n" + PIXELS * 2, b"P5\n1 1\n255\n\0"]
)
def test_anything_else_is_refused(picture: bytes) -> None:
    with pytest.raises(HypervisorError, match="neither PNG nor PPM"):
        as_png(picture)


def test_torn_ppm_is_refused() -> None:
    with pytest.raises(HypervisorError, match="ends after 17 of 18 bytes"):
        as_png(b"P6\n2 3\n255\n" + PIXELS[:-1])
