"""Screen, keyboard and serial line of a machine without a system."""

from __future__ import annotations

import socket
import time

import pytest

from hypersdk.model.errors import HypervisorError, InvalidInput, InvalidState
from tests.drivers.qmp.conftest import Place


def test_the_screen_is_a_vnc_server_and_a_png(place: Place) -> None:
    place.running()
    display = place.driver.console.display("web")
    assert display.kind == "vnc"
    with socket.socket(socket.AF_UNIX) as viewer:
        viewer.settimeout(20)
        viewer.connect(display.socket)
        assert viewer.recv(3) == b"RFB"
    assert place.driver.console.screenshot("web").startswith(b"\x89PNG")
    assert not list(place.run_folder().glob("screen-*"))


def test_keys_are_pressed_by_their_linux_names(place: Place) -> None:
    place.running()
    place.driver.console.send_keys("web", ("ctrl", "alt", "delete"))
    with pytest.raises(InvalidInput, match="no key 'delte'"):
        place.driver.console.send_keys("web", ("delte",))


def test_whoever_opens_the_serial_line_takes_it_from_the_one_before(place: Place) -> None:
    place.running()
    with place.driver.console.serial("web") as first, place.driver.console.serial("web") as second:
        with pytest.raises(HypervisorError, match="closed"):
            _read_on(first)
        second.write(b"hello")
        assert second.read(0) == b""
    assert len(list(place.run_folder().glob("serial-*"))) == 1


def test_a_line_ends_with_its_machine(place: Place) -> None:
    place.running()
    with place.driver.console.serial("web") as line:
        place.driver.lifecycle.stop("web", force=True)
        with pytest.raises(HypervisorError, match="closed"):
            _read_on(line)
    with pytest.raises(HypervisorError, match="closed here"):
        line.read(0)


def test_a_stopped_one_has_no_console(place: Place) -> None:
    place.create()
    console = place.driver.console
    for ask in (console.display, console.serial, console.screenshot):
        with pytest.raises(InvalidState, match="stopped"):
            ask("web")


def _read_on(line: object) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        line.read(0.2)  # type: ignore[attr-defined]  # a serial stream
