"""Bounds of a request: bytes of its body, and seconds for sending it and for answering.

`BoundedBody` is of one route and knows what it takes. `RequestLimits` is around all of them: a body
that trickles in and a handler that does not answer are ended here. Heads that trickle in are ended
where connections are (`protocols`).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hypersdk.model.errors import InvalidInput, TooLarge

#: Seconds in which a part of a body must come.
BODY_IDLE_SECONDS = 20.0
#: Bytes per second that a body has on the average, after its first `BODY_IDLE_SECONDS`.
BODY_RATE_LEAST = 500
#: Seconds from the last part of a request to the first of its answer, unless it is set.
REQUEST_SECONDS = 60.0


class BoundedBody:
    """The body of one request, which ends with TooLarge beyond ``most`` bytes."""

    def __init__(self, receive: Receive, most: int) -> None:
        self._receive = receive
        self._most = most
        self._got = 0
        #: What was raised, for those who made another error of it.
        self.error: TooLarge | None = None

    def check(self, headers: Mapping[str, str]) -> None:
        """Before anything is read. Raises TooLarge, InvalidInput."""
        announced = headers.get("content-length")
        if announced is None:
            return
        if not announced.isdecimal():
            raise InvalidInput("Content-Length is no number", hint="Leave it to your HTTP library.")
        if len(announced) > 18 or int(announced) > self._most:
            raise self._too_large()

    async def receive(self) -> Message:
        """For `Request`."""
        message = await self._receive()
        if message["type"] == "http.request":
            self._got += len(message.get("body", b""))
            if self._got > self._most:
                raise self._too_large()
        return message

    def _too_large(self) -> TooLarge:
        self.error = TooLarge(
            f"the body has more than the {self._most} bytes that this route takes",
            hint="Send less at a time; images go through the routes for uploads.",
        )
        return self.error


class RequestLimits:
    """Ends what takes too long: 408 for a body that does not come, 503 for an answer."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        request_seconds: float = REQUEST_SECONDS,
        body_idle_seconds: float = BODY_IDLE_SECONDS,
        body_rate_least: float = BODY_RATE_LEAST,
    ) -> None:
        self._app = app
        self._request_seconds = request_seconds
        self._body_idle_seconds = body_idle_seconds
        self._body_rate_least = body_rate_least

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        one = _Exchange(scope, receive, send, self)
        one.rest(self._request_seconds)
        try:
            await self._app(scope, one.receive, one.send)
        finally:
            one.end()

    def slow(self, got: int, seconds: float) -> bool:
        """Whether a body of which ``got`` bytes came in ``seconds`` is too slow."""
        return (
            seconds > self._body_idle_seconds
            and got < (seconds - self._body_idle_seconds) * self._body_rate_least
        )

    @property
    def idle_seconds(self) -> float:
        return self._body_idle_seconds

    @property
    def request_seconds(self) -> float:
        return self._request_seconds


class _Exchange:
    """One request and its answer. While its body comes, no time runs out for the answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, limits: RequestLimits) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._giving_up: asyncio.Task[None] | None = None
        self._began = self._loop.time()
        self._got = 0
        self._whole = False
        self._answering = False
        #: We answered in the handler's place; what it says is not sent any more.
        self._cut = False

    def rest(self, seconds: float) -> None:
        """Give the handler this long from now on."""
        self.end()
        if not self._answering:
            self._timer = self._loop.call_later(seconds, self._too_long)

    def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def receive(self) -> Message:
        if self._whole:
            return await self._receive()  # waits for the caller to go away
        self.end()
        try:
            async with asyncio.timeout(self._limits.idle_seconds):
                message = await self._receive()
        except TimeoutError:
            return await self._slow()
        self._got += len(message.get("body", b""))
        self._whole = message["type"] != "http.request" or not message.get("more_body", False)
        if not self._whole and self._limits.slow(self._got, self._loop.time() - self._began):
            return await self._slow()
        self.rest(self._limits.request_seconds)
        return message

    async def send(self, message: Message) -> None:
        if self._cut:
            return
        if message["type"] == "http.response.start":
            self._answering = True
            self.end()
        await self._send(message)

    async def _slow(self) -> Message:
        self._whole = True
        await self._answer(_SLOW)
        return {"type": "http.disconnect"}

    def _too_long(self) -> None:
        self._giving_up = self._loop.create_task(self._answer(_TOO_LONG))

    async def _answer(self, refusal: _Refusal) -> None:
        if self._answering:
            return
        self._answering = self._cut = True
        body = refusal.body(self._scope)
        head = [
            (b"content-type", b"application/problem+json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        start = {"type": "http.response.start", "status": refusal.status, "headers": head}
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body})


@dataclass(frozen=True, slots=True)
class _Refusal:
    status: int
    kind: str
    message: str
    hint: str

    def body(self, scope: Scope) -> bytes:
        problem = {
            "type": f"https://hypersdk.dev/problems/{self.kind}",
            "title": self.message.capitalize(),
            "status": self.status,
            "detail": self.message,
            "hint": self.hint,
            "instance": scope["path"],
            "retryable": True,
        }
        return json.dumps(problem).encode()


_SLOW = _Refusal(
    408,
    "RequestTimeout",
    "the body of the request came too slowly",
    "Send it faster, or in smaller parts.",
)
_TOO_LONG = _Refusal(
    503,
    "NoAnswerInTime",
    "the daemon did not answer in time",
    "It goes on with what it began: look before you ask again. The setting is "
    "limits.request_seconds.",
)
