"""Serial lines and displays over WebSockets."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from hypersdk.api import streams
from hypersdk.api.pools import Pools
from hypersdk.api.streams import vnc_socket
from hypersdk.model.accounts import Role
from hypersdk.model.machines import Display
from tests.api.serving import DEADLINE, Daemon, running

WEB = "/v1/hypervisors/lab/instances/web"


def test_a_serial_line_goes_both_ways(daemon: Daemon, client: httpx.Client) -> None:
    client.post(f"{WEB}/start")
    with connect(daemon.url.replace("http", "ws") + f"{WEB}/console/serial") as line:
        line.send(b"hello\r")
        seen = b""
        while b"hello" not in seen:
            part = line.recv(DEADLINE)
            assert isinstance(part, bytes)
            seen += part
    client.post(f"{WEB}/stop", json={"force": True})


def test_a_stopped_one_has_none(daemon: Daemon) -> None:
    for path in ("serial", "vnc"):
        with (
            pytest.raises(InvalidStatus) as caught,
            connect(daemon.url.replace("http", "ws") + f"{WEB}/console/{path}"),
        ):
            pass
        assert caught.value.response.status_code == 409
        assert b"InvalidState" in (caught.value.response.body or b"")


@pytest.fixture
def screen(tmp_path: Path) -> Iterator[Path]:
    """A display that says the same as VNC does first, then repeats what it hears."""
    path = tmp_path / "vnc.sock"
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(path))
    listening.listen(1)

    def serve() -> None:
        connection, _ = listening.accept()
        with connection:
            connection.sendall(b"RFB 003.008\n")
            connection.sendall(connection.recv(100)[::-1])

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield path
    thread.join(DEADLINE)
    listening.close()


def test_a_display_is_bridged(screen: Path) -> None:
    pools = Pools()

    async def bridge(websocket: WebSocket) -> None:
        display = Display("vnc", "", 0, socket=str(screen))
        await vnc_socket(websocket, pools, display, lambda: True)

    with (
        running(Starlette(routes=[WebSocketRoute("/", bridge)])) as url,
        connect(url.replace("http", "ws"), subprotocols=["binary"]) as client,  # type: ignore[list-item]
    ):
        assert client.subprotocol == "binary"
        assert client.recv(DEADLINE) == b"RFB 003.008\n"
        client.send(b"abc")
        assert client.recv(DEADLINE) == b"cba"
        with pytest.raises(ConnectionClosed):  # the display ended, and so do we
            client.recv(DEADLINE)


def test_a_console_ends_with_its_token(guarded: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "LOOK_SECONDS", 0.05)
    guarded.account("root", Role.ADMIN)
    secret = guarded.account("operator", Role.OPERATOR)
    headers = {"Authorization": f"Bearer {secret}"}
    with guarded.client(secret) as client:
        client.post(f"{WEB}/start")
    url = guarded.url.replace("http", "ws") + f"{WEB}/console/serial"
    with connect(url, additional_headers=headers) as line:
        line.send(b"hello\r")
        assert line.recv(DEADLINE)
        (token,) = guarded.services.tokens.list("operator")
        guarded.services.tokens.revoke(token.id)
        for _ in line:
            pass  # until it ends
