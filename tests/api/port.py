"""A server on a real port with limits of a test's own, and connections byte by byte."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from hypersdk.api.protocols import bounded

#: Seconds for whatever a test waits for.
DEADLINE = 30.0


class _Server(uvicorn.Server):
    """In a thread, where signals cannot be handled."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextmanager
def served(app: ASGIApp, **limits: Any) -> Iterator[int]:
    """The port on which ``app`` is served, with ``limits`` of `bounded`."""
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        app,
        http=bounded(HttpToolsProtocol, **limits),
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    with listening, _running(config, [listening]):
        yield listening.getsockname()[1]


@contextmanager
def _running(config: uvicorn.Config, sockets: list[socket.socket] | None) -> Iterator[None]:
    server = _Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": sockets})
    thread.start()
    end = time.monotonic() + DEADLINE
    while not server.started:
        assert time.monotonic() < end
        assert thread.is_alive()
        time.sleep(0.005)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(DEADLINE)


@contextmanager
def served_on_a_socket(app: ASGIApp, path: str) -> Iterator[None]:
    """``app`` on a Unix socket at ``path``."""
    config = uvicorn.Config(
        app, uds=path, http=bounded(HttpToolsProtocol), lifespan="off", log_config=None
    )
    with _running(config, None):
        yield


@contextmanager
def connection(port: int, *, window: int | None = None) -> Iterator[socket.socket]:
    """``window``: bytes that the kernel keeps for us unread."""
    with socket.socket() as one:
        if window is not None:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        one.settimeout(DEADLINE)
        one.connect(("127.0.0.1", port))
        yield one


def all_of(one: socket.socket) -> bytes:
    """Everything until the other end closes the connection, however it does."""
    found = b""
    while True:
        try:
            part = one.recv(1 << 16)
        except ConnectionError:
            return found
        if not part:
            return found
        found += part


def head_of(one: socket.socket) -> bytes:
    """Of an answer whose connection stays open; what follows is lost."""
    found = b""
    while b"\r\n\r\n" not in found:
        part = one.recv(1 << 16)
        assert part, found
        found += part
    return found
