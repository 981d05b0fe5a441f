"""What a person in front of the machine would see and press."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from hypersdk.conformance import expect
from hypersdk.conformance.case import case
from hypersdk.conformance.lab import Lab
from hypersdk.model.errors import InvalidInput, InvalidState

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@case("console")
def something_can_be_seen(lab: Lab) -> None:
    """A driver with this part offers at least one of its aspects."""
    expect.true(lab.offers_something("console"), "all aspects of console are among its limits")


@case("console.screenshot")
def a_screenshot_is_a_picture(lab: Lab) -> None:
    """A screenshot of a running instance is a whole PNG with something in it."""
    picture = lab.console.screenshot(lab.running().name)
    expect.equal(picture[:8], _SIGNATURE, "the begin of the picture")
    chunks = list(_chunks(picture))
    for kind, body, checksum in chunks:
        expect.equal(zlib.crc32(kind + body), checksum, f"checksum of the chunk {kind!r}")
    kinds = [kind for kind, _, _ in chunks]
    expect.equal((kinds[0], kinds[-1]), (b"IHDR", b"IEND"), "first and last chunk of the picture")
    width, height = struct.unpack_from(">II", chunks[0][1])
    expect.true(width > 0 and height > 0, f"the picture has {width}x{height} points")


def _chunks(picture: bytes) -> Iterator[tuple[bytes, bytes, int]]:
    """Kind, content and checksum of each."""
    position = len(_SIGNATURE)
    while position < len(picture):
        length, kind = struct.unpack_from(">I4s", picture.ljust(position + 8, b"\0"), position)
        end = position + 12 + length
        expect.true(end <= len(picture), f"the chunk {kind!r} is cut off")
        (checksum,) = struct.unpack_from(">I", picture, end - 4)
        yield kind, picture[position + 8 : end - 4], checksum
        position = end
    expect.true(position > len(_SIGNATURE), "there is nothing in the picture")


@case("console.screenshot")
def a_stopped_one_has_no_picture(lab: Lab) -> None:
    """A screenshot of a stopped instance raises InvalidState."""
    name = lab.create().name
    expect.raises(InvalidState, lambda: lab.console.screenshot(name), "a screenshot")


@case("console.display")
def the_display_is_somewhere(lab: Lab) -> None:
    """The display of a running instance has an address that is no secret."""
    display = lab.console.display(lab.running().name)
    expect.contains(("vnc", "spice"), display.kind, "its kind")
    expect.true(bool(display.socket) or display.port > 0, f"no address: {display}")


@case("console.display")
def a_stopped_one_has_no_display(lab: Lab) -> None:
    """The display of a stopped instance raises InvalidState."""
    name = lab.create().name
    expect.raises(InvalidState, lambda: lab.console.display(name), "its display")


@case("console.serial")
def the_serial_line_opens(lab: Lab) -> None:
    """The serial line of a running instance can be written and read, closed and opened again."""
    name = lab.running().name
    for _ in range(2):
        with lab.console.serial(name) as line:
            line.write(b"\n")
            line.read(0.2)


@case("console.serial")
def a_stopped_one_has_no_serial_line(lab: Lab) -> None:
    """The serial line of a stopped instance raises InvalidState."""
    name = lab.create().name
    expect.raises(InvalidState, lambda: lab.enter(lab.console.serial(name)), "its serial line")


@case("console.keys")
def keys_are_pressed(lab: Lab) -> None:
    """Keys are pressed one by one and at once; the instance runs on."""
    made = lab.running()
    for keys in (("a",), ("leftshift", "b"), ("ctrl", "c"), ("enter",)):
        lab.console.send_keys(made.name, keys)
    expect.equal(lab.state(made.name), made.state, "its state")


@case("console.keys")
def unknown_keys_are_refused(lab: Lab) -> None:
    """A key that does not exist raises InvalidInput naming it."""
    name = lab.running().name
    error = expect.raises(
        InvalidInput, lambda: lab.console.send_keys(name, ("nosuchkey",)), "an unknown key"
    )
    expect.contains(error.message, "nosuchkey", "the message of the error")


@case("console.keys")
def a_stopped_one_has_no_keys(lab: Lab) -> None:
    """Keys for a stopped instance raise InvalidState."""
    name = lab.create().name
    expect.raises(InvalidState, lambda: lab.console.send_keys(name, ("a",)), "pressing a key")
