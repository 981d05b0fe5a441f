"""Around every request: its id, its span, its figures and its line in the log; and what is
answered when a handler fails in a way that nobody foresaw."""

from __future__ import annotations

import re
import secrets
import time
from dataclasses import dataclass

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hypersdk.api import problems
from hypersdk.api.metrics import Metrics
from hypersdk.observe import tracing
from hypersdk.observe.log import get_logger

#: A caller's own id of a request, if it is no longer and of no other characters than these.
_ID = re.compile(rb"[A-Za-z0-9._:-]{1,64}")
#: Routes whose name no request has.
_NONE = "none"
#: Seconds after which an answer that changed nothing is logged all the same.
_SLOW = 2.0
_STREAM = b"text/event-stream"

_log = get_logger("hypersdk.api.access")


@dataclass(slots=True)
class _Seen:
    """What went out so far."""

    status: int = 0
    stream: bool = False


class Requests:
    """The outermost layer. Plain ASGI: a wrapper that copies streams costs more than a handler."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        id = _id(scope)
        scope.setdefault("state", {})["request_id"] = id
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send)
        elif tracing.recording():
            with tracing.span(f"http {scope['method']}", request_id=id):
                await self._request(scope, receive, send, id)
        else:
            await self._request(scope, receive, send, id)

    async def _request(self, scope: Scope, receive: Receive, send: Send, id: str) -> None:
        seen = _Seen()
        head = [(b"x-request-id", id.encode()), (b"x-content-type-options", b"nosniff")]

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen.status = message["status"]
                headers = message["headers"]
                seen.stream = any(
                    k == b"content-type" and v.startswith(_STREAM) for k, v in headers
                )
                message["headers"] = [*headers, *head]
            await send(message)

        began = time.perf_counter()
        self._metrics.open_requests.inc()
        try:
            await self._app(scope, receive, sending)
        except Exception as error:
            if seen.status:
                raise  # half of an answer is out: the server closes the connection
            response = problems.fault(HTTPConnection(scope), error)
            await response(scope, receive, sending)
        finally:
            self._metrics.open_requests.dec()
            self._note(scope, seen, time.perf_counter() - began)

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except Exception as error:  # noqa: BLE001 - the connection is over; the log has it
            _log.error("a socket failed", path=scope["path"], exc_info=error)
        finally:
            self._metrics.request(_route(scope), 101, None)

    def _note(self, scope: Scope, seen: _Seen, seconds: float) -> None:
        route = _route(scope)
        # Without a status its caller went away before the answer began.
        status = seen.status or 499
        self._metrics.request(route, status, None if seen.stream else seconds)
        if tracing.recording():
            tracing.note(route=route, status=status)
        quiet = scope["method"] in ("GET", "HEAD") and status < 500
        if quiet and (seen.stream or seconds < _SLOW):
            if _log.isEnabledFor(10):
                _line(_log.debug, scope, route, status, seconds)
        else:
            _line(_log.info, scope, route, status, seconds)


def _line(write: object, scope: Scope, route: str, status: int, seconds: float) -> None:
    assert callable(write)
    state = scope["state"]
    client = scope.get("client")
    principal = state.get("principal")
    write(
        "request",
        method=scope["method"],
        path=scope["path"],
        route=route,
        status=status,
        seconds=round(seconds, 4),
        user=getattr(principal, "user", ""),
        client=client[0] if client else "",
        request_id=state["request_id"],
    )


def _route(scope: Scope) -> str:
    found = problems.route_of(HTTPConnection(scope))
    return found.name if found is not None else _NONE


def _id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            return value.decode() if _ID.fullmatch(value) else secrets.token_hex(8)
    return secrets.token_hex(8)
