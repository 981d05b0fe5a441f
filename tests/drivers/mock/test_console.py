from __future__ import annotations

import struct
import threading
import zlib

import pytest

from hypersdk.drivers.mock.driver import MockHypervisor
from hypersdk.model.errors import (
    HypervisorError,
    InstanceNotFound,
    InvalidInput,
    InvalidState,
    NotSupported,
)


def test_what_either_end_of_the_serial_line_writes_the_other_reads(mock: MockHypervisor) -> None:
    with mock.console.serial("web") as ours, mock.guest_serial("web") as guest:
        guest.write(b"login: ")
        assert ours.read(10) == b"login: "
        ours.write(b"root\n")
        assert guest.read(10) == b"root\n"
        assert ours.read(10) == b"root\n", "terminals echo"
        assert ours.read(0) == b""


def test_a_read_waits_for_what_comes(mock: MockHypervisor) -> None:
    with mock.console.serial("web") as ours, mock.guest_serial("web") as guest:
        threading.Timer(0.05, guest.write, [b"late"]).start()
        assert ours.read(30) == b"late"


def test_a_long_text_comes_in_pieces_and_whole(mock: MockHypervisor) -> None:
    text = bytes(range(256)) * 1000
    with mock.console.serial("web") as ours, mock.guest_serial("web") as guest:
        guest.write(text)
        pieces = [ours.read(1) for _ in range(4)]
    assert max(map(len, pieces)) == 64 << 10
    assert b"".join(pieces) == text


def test_whoever_opens_the_line_last_has_it(mock: MockHypervisor) -> None:
    with mock.console.serial("web") as first, mock.console.serial("web") as second:
        with pytest.raises(HypervisorError, match="another has it"):
            first.read(0)
        second.write(b"mine")


def test_the_line_closes_with_its_machine(mock: MockHypervisor) -> None:
    with mock.console.serial("web") as line:
        mock.lifecycle.stop("web")
        with pytest.raises(HypervisorError, match="it was stopped"):
            line.read(1)
        with pytest.raises(HypervisorError):
            line.write(b"x")
    with pytest.raises(HypervisorError, match="closed here"):
        line.read(0)


def test_a_machine_begins_with_an_empty_line_and_keyboard(mock: MockHypervisor) -> None:
    with mock.console.serial("web") as line:
        line.write(b"old")
    mock.console.send_keys("web", ["a"])
    mock.lifecycle.stop("web")
    mock.lifecycle.start("web")
    with mock.guest_serial("web") as guest:
        assert guest.read(0) == b""
    assert mock.guest_keys("web") == []


def test_a_screenshot_is_a_png_that_shows_what_changed(mock: MockHypervisor) -> None:
    mock.create_instance("db", {})
    mock.lifecycle.start("db")
    shots = [mock.console.screenshot("web"), mock.console.screenshot("db")]
    mock.console.send_keys("web", ["a"])
    shots.append(mock.console.screenshot("web"))
    mock.lifecycle.pause("web")
    shots.append(mock.console.screenshot("web"))
    assert len(set(shots)) == 4
    assert mock.console.screenshot("web") == shots[-1]
    for shot in shots:
        assert decoded(shot) == (320, 200)


def decoded(png: bytes) -> tuple[int, int]:
    """Width and height of a PNG whose checksums and scanlines are as they must be."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, at = [], 8
    while at < len(png):
        (length,) = struct.unpack_from(">I", png, at)
        kind, data = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", png, at + 8 + length)[0] == zlib.crc32(kind + data)
        chunks.append((kind, data))
        at += 12 + length
    assert [kind for kind, _ in chunks] == [b"IHDR", b"IDAT", b"IEND"]
    width, height, depth, colour = struct.unpack_from(">IIBB", chunks[0][1])
    assert (depth, colour) == (8, 2)
    lines = zlib.decompress(chunks[1][1])
    assert len(lines) == height * (1 + 3 * width)
    assert not any(lines[:: 1 + 3 * width])
    return width, height


def test_keys_reach_the_guest_by_linuxs_names(mock: MockHypervisor) -> None:
    mock.console.send_keys("web", ("ctrl", "alt", "delete"))
    mock.console.send_keys("web", ("a",))
    assert mock.guest_keys("web") == [("leftctrl", "leftalt", "delete"), ("a",)]
    with pytest.raises(InvalidInput):
        mock.console.send_keys("web", ("nokey",))
    assert len(mock.guest_keys("web")) == 2


def test_a_stopped_machine_shows_and_takes_nothing(mock: MockHypervisor) -> None:
    mock.lifecycle.stop("web")
    for call in (
        lambda: mock.console.serial("web"),
        lambda: mock.console.screenshot("web"),
        lambda: mock.console.send_keys("web", ["a"]),
    ):
        with pytest.raises(InvalidState, match="Start it"):
            call()
    with pytest.raises(InstanceNotFound):
        mock.console.screenshot("nobody")


def test_there_is_no_display_and_the_part_says_so(mock: MockHypervisor) -> None:
    with pytest.raises(NotSupported):
        mock.console.display("web")
    assert [limit.aspect for limit in mock.console.limits] == ["console.display"]
