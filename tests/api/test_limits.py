"""Bodies that are too long or too slow, and handlers that do not answer."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from hypersdk.api.limits import RequestLimits
from hypersdk.model.accounts import Role
from tests.api.port import DEADLINE, all_of, connection, head_of, served
from tests.api.tiny import CHANGE, PASSED, Tiny, tiny

SHORT = 0.3


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Tiny]:
    with tiny(tmp_path) as one:
        yield one


def body_of(length: int) -> bytes:
    """JSON of so many bytes."""
    return json.dumps({"a": ""}).replace('""', f'"{"x" * (length - 9)}"').encode()


async def parts(whole: bytes) -> AsyncIterator[bytes]:
    """Chunked: no Content-Length."""
    for at in range(0, len(whole), 100):
        yield whole[at : at + 100]


JSON = {"Content-Type": "application/json"}


def test_a_body_of_as_much_as_the_route_takes(app: Tiny) -> None:
    most = body_of(CHANGE.body_most)
    assert len(most) == CHANGE.body_most
    for content in (most, parts(most)):
        answer = app.client().post("/v1/things/1", content=content, headers=JSON)
        assert answer.status_code == PASSED


def test_a_body_of_more(app: Tiny) -> None:
    more = body_of(CHANGE.body_most + 1)
    for content in (more, parts(more)):
        answer = app.client().post("/v1/things/1", content=content, headers=JSON)
        assert answer.status_code == 413
        assert str(CHANGE.body_most) in answer.json()["detail"]
    assert app.bodies == []


@pytest.mark.parametrize("length", ["x", "-1", "1" * 30, "9" * 400, ""])
def test_a_length_that_is_none(app: Tiny, length: str) -> None:
    headers = {**JSON, "Content-Length": length}
    answer = app.client().post("/v1/things/1", content=b"{}", headers=headers)
    assert answer.status_code in (400, 413)


def test_who_may_not_send_it_hears_that_first(app: Tiny) -> None:
    app.account("root", Role.ADMIN)
    answer = app.client().post("/v1/things/1", content=body_of(5000), headers=JSON)
    assert answer.status_code == 401


# Time.


RELEASE = threading.Event()
SEEN: list[Any] = []


async def _length(request: Request) -> Response:
    length = 0
    async for part in request.stream():
        length += len(part)
    return PlainTextResponse(str(length))


def _stuck(request: Request) -> Response:
    RELEASE.wait(DEADLINE)
    SEEN.append("done")
    return PlainTextResponse("too late")


async def _events(request: Request) -> Response:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(8):
            yield b"data: x\n\n"
            await asyncio.sleep(SHORT / 2)

    return StreamingResponse(parts(), media_type="text/event-stream")


@contextmanager
def limited(**limits: float) -> Iterator[int]:
    app = Starlette(
        routes=[
            Route("/length", _length, methods=["POST"]),
            Route("/stuck", _stuck, methods=["GET"]),
            Route("/events", _events),
        ]
    )
    with served(RequestLimits(app, **limits)) as port:
        yield port


def test_a_body_that_stops() -> None:
    with limited(body_idle_seconds=SHORT) as port, connection(port) as one:
        one.sendall(b"POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
        answer = all_of(one)
        assert answer.startswith(b"HTTP/1.1 408")
        assert b"hint" in answer


def test_a_body_that_trickles_in() -> None:
    with (
        limited(body_idle_seconds=SHORT, body_rate_least=1000) as port,
        connection(port) as one,
    ):
        one.sendall(b"POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: 10000\r\n\r\n")
        one.settimeout(SHORT / 10)
        answer, end = b"", time.monotonic() + DEADLINE
        while not answer and time.monotonic() < end:
            try:
                one.sendall(b"x")
                answer = one.recv(100)
            except TimeoutError:
                continue
        assert answer.startswith(b"HTTP/1.1 408")


def test_a_steady_body_may_take_long() -> None:
    with (
        limited(body_idle_seconds=10, body_rate_least=1, request_seconds=2) as port,
        connection(port) as one,
    ):
        one.sendall(b"POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: 1200\r\n\r\n")
        for _ in range(12):
            time.sleep(0.25)
            one.sendall(b"x" * 100)
        assert head_of(one).startswith(b"HTTP/1.1 200")


def test_a_handler_that_does_not_answer() -> None:
    RELEASE.clear()
    SEEN.clear()
    with limited(request_seconds=SHORT) as port:
        try:
            answer = httpx.get(f"http://127.0.0.1:{port}/stuck", timeout=DEADLINE)
            assert answer.status_code == 503
            assert answer.json()["retryable"]
            assert "look" in answer.json()["hint"]
        finally:
            RELEASE.set()
        end = time.monotonic() + DEADLINE
        while not SEEN:  # it went on with what it began
            assert time.monotonic() < end
            time.sleep(0.01)


def test_a_stream_is_no_answer_that_does_not_come() -> None:
    with limited(request_seconds=SHORT, body_idle_seconds=SHORT) as port:
        answer = httpx.get(f"http://127.0.0.1:{port}/events", timeout=DEADLINE)
        assert answer.text.count("data:") == 8
