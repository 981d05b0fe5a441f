"""Slow and endless heads of requests, on real connections."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.api.port import DEADLINE, all_of, connection, head_of, served

#: Seconds; a machine that is busy may take longer, never shorter.
SHORT = 0.3
ENDED = threading.Event()
#: Bytes; more than all buffers between two ends of a connection hold.
MANY = 40 << 20


async def _echo(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())))


async def _late(request: Request) -> Response:
    await asyncio.sleep(3 * SHORT)
    return PlainTextResponse("late")


async def _endless(request: Request) -> Response:
    async def parts() -> object:
        try:
            while True:
                yield b"x" * (1 << 16)
                await asyncio.sleep(0)  # a connection that ended is heard of in between
        finally:
            ENDED.set()

    return StreamingResponse(parts())  # type: ignore[arg-type]


APP = Starlette(
    routes=[
        Route("/", _echo, methods=["GET", "POST"]),
        Route("/late", _late),
        Route("/endless", _endless),
    ]
)


def _sent_until_refused(one: socket.socket, head: bytes) -> int:
    """How many bytes went out behind ``head``."""
    sent = 0
    with contextlib.suppress(ConnectionError):
        one.sendall(head)
        while sent < MANY:
            one.sendall(b"a" * 4096)
            sent += 4096
    return sent


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with served(APP, head_seconds=SHORT, head_most=8192, write_seconds=SHORT) as found:
        yield found


def test_a_connection_on_which_nothing_comes(port: int) -> None:
    with connection(port) as one:
        assert all_of(one).startswith(b"HTTP/1.1 408")


def test_a_head_that_is_never_complete(port: int) -> None:
    with connection(port) as one:
        one.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
        assert all_of(one).startswith(b"HTTP/1.1 408")


def test_a_head_that_trickles_in(port: int) -> None:
    """Each byte comes long before the time is over, and does not give another one."""
    began = time.monotonic()
    with connection(port) as one:
        one.sendall(b"GET / HTTP/1.1\r\n")
        one.settimeout(SHORT / 10)
        answer = b""
        while not answer and time.monotonic() - began < DEADLINE:
            try:
                one.sendall(b"X-A: b\r\n")
                answer = one.recv(100)
            except TimeoutError:
                continue
            except ConnectionError:
                break
        assert time.monotonic() - began < DEADLINE
        assert answer.startswith(b"HTTP/1.1 408") or not answer


def test_a_head_without_end(port: int) -> None:
    with connection(port) as one:
        assert _sent_until_refused(one, b"GET / HTTP/1.1\r\nX-A: ") < MANY
    with connection(port) as one:  # others are served
        one.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert head_of(one).startswith(b"HTTP/1.1 200")


def test_an_address_without_end(port: int) -> None:
    with connection(port) as one:
        assert _sent_until_refused(one, b"GET /") < MANY


def test_a_body_may_take_longer_than_a_head(port: int) -> None:
    with connection(port) as one:
        one.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n")
        for _ in range(6):
            time.sleep(SHORT / 4)
            one.sendall(b"x")
        assert head_of(one).startswith(b"HTTP/1.1 200")


def test_an_answer_may_take_longer_than_a_head(port: int) -> None:
    with connection(port) as one:
        one.sendall(b"GET /late HTTP/1.1\r\nHost: a\r\n\r\n")
        assert head_of(one).startswith(b"HTTP/1.1 200")


def test_the_next_request_of_a_connection(port: int) -> None:
    with connection(port) as one:
        for _ in range(3):
            one.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert head_of(one).startswith(b"HTTP/1.1 200")
            time.sleep(SHORT / 3)
        one.sendall(b"GET / HT")
        assert b"408" in all_of(one)


def _trickle(one: socket.socket) -> None:
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        one.sendall(b"x")
        time.sleep(SHORT / 10)


def test_the_rest_of_a_body_that_nobody_wants(port: int) -> None:
    """It was answered, and what still comes keeps the connection open no longer than a head."""
    with connection(port) as one:
        one.sendall(b"POST /missing HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\n\r\nx")
        assert head_of(one).startswith(b"HTTP/1.1 404")
        with pytest.raises(ConnectionError):
            _trickle(one)


def test_who_does_not_take_what_it_asked_for(port: int) -> None:
    ENDED.clear()
    with connection(port, window=4096) as one:
        one.sendall(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n")
        assert ENDED.wait(DEADLINE)
