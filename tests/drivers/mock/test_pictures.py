from __future__ import annotations

import zlib

from hypersdk.drivers.mock.pictures import HEIGHT, WIDTH, screen
from hypersdk.model.instances import InstanceState


def pixels(png: bytes) -> bytes:
    """Without the filter bytes."""
    start = png.index(b"IDAT") + 4
    lines = zlib.decompressobj().decompress(png[start:])
    width = 1 + 3 * WIDTH
    return b"".join(lines[row * width + 1 : (row + 1) * width] for row in range(HEIGHT))


def test_the_border_shows_the_state() -> None:
    running, paused = (
        pixels(screen("x", state, 0)) for state in (InstanceState.RUNNING, InstanceState.PAUSED)
    )
    assert (running[:3], paused[:3]) == (b"\x2e\x9e\x4f", b"\xc9\x9a\x2e")
    middle = 3 * (HEIGHT // 2 * WIDTH + WIDTH // 2)
    assert running[middle : middle + 3] == paused[middle : middle + 3]


def test_each_instance_and_each_key_makes_another_picture() -> None:
    shots = {screen(name, InstanceState.RUNNING, keys) for name in "abc" for keys in range(4)}
    assert len(shots) == 12
