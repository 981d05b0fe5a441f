"""Serial lines and screens of the mock hypervisor, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.api.known.daemons import Known
from tests.api.serving import DEADLINE, until


@pytest.fixture
def running(known: Known) -> Iterator[str]:
    known.mock.lifecycle.start("web")
    yield "web"
    known.mock.lifecycle.stop("web", force=True)


def _url(known: Known, path: str) -> str:
    return known.daemon.url.replace("http", "ws") + path


def test_a_serial_line_goes_both_ways(known: Known, running: str) -> None:
    device = known.get("/console/serial-device", name=running, hypervisor="lab")
    assert device["has_serial"] is True
    with connect(_url(known, device["device"])) as socket:
        guest = known.mock.guest_serial(running)
        guest.write(b"login: ")
        assert socket.recv(timeout=DEADLINE) == b"login: "
        socket.send(b"root\n")
        socket.send("text\n")
        got = bytearray()

        def heard() -> bool:
            got.extend(guest.read(0.1))
            return bytes(got) == b"root\ntext\n"

        until(heard, "the guest to hear it")


def test_what_is_not_there_is_refused_like_any_request(known: Known, running: str) -> None:
    for path, status in (
        ("/console/serial?name=nobody&hypervisor=lab", 404),
        ("/console/vnc?name=nobody&hypervisor=lab", 404),
        (f"/console/vnc?name={running}&hypervisor=lab", 501),
        (f"/console/serial?name={running}&hypervisor=nowhere", 404),
    ):
        with pytest.raises(InvalidStatus) as caught:
            connect(_url(known, path))
        assert caught.value.response.status_code == status, path
        assert b'"hint"' in caught.value.response.body


def test_a_screenshot_is_a_picture(known: Known, running: str) -> None:
    answer = known.client.get("/console/screenshot", params={"name": running, "hypervisor": "lab"})
    assert answer.headers["content-type"] == "image/png"
    assert answer.content.startswith(b"\x89PNG")
    keys = {"name": running, "keys": ["KEY_LEFTCTRL", "c"]}
    known.post("/libvirt/domain/send-key", keys, hypervisor="lab")
    assert known.mock.guest_keys(running)[-1] == ("leftctrl", "c")
    entry = known.daemon.services.audit.list()[0]
    assert entry.action == "instance.keys"
    assert "leftctrl" not in str(entry.after), "keys may be those of a password"
