"""Connections that send the head of a request slowly, or never, or without end (slow loris).

The server's own timer runs between requests only. `bounded` makes of its protocol one that also
ends a connection on which the head of a request is not complete in time, or is too long, or whose
other end does not take what it asked for.
"""

from __future__ import annotations

import asyncio
from typing import Any

#: Seconds from the connection, or from the first byte of a request, to the end of its head.
HEAD_SECONDS = 10.0
#: Bytes of a head, besides what the last read brought.
HEAD_MOST = 64 << 10
#: Seconds in which the other end takes some of what waits to be sent.
WRITE_SECONDS = 60.0


def bounded(
    base: type[Any],
    *,
    head_seconds: float = HEAD_SECONDS,
    head_most: int = HEAD_MOST,
    write_seconds: float = WRITE_SECONDS,
) -> type[Any]:
    """A subclass of ``base``, uvicorn's protocol on httptools, for ``uvicorn.Config(http=…)``."""
    limits = {
        "head_seconds": head_seconds,
        "head_most": head_most,
        "write_seconds": write_seconds,
    }
    return type("BoundedProtocol", (_BoundedProtocol, base), limits)


class _BoundedProtocol(asyncio.Protocol):
    """One connection. Stands before the server's class, whose methods ``super()`` finds."""

    head_seconds: float
    head_most: int
    write_seconds: float
    # Of the server's class.
    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    #: The request that is, or was last, answered.
    cycle: Any

    _head_timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None
    _head_length = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head()
        self._stop_write()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        # Something came that belongs to no request that we know of: the next one begins, or the
        # rest of a body comes that nobody wants any more.
        if self.cycle is None or self.cycle.response_complete:
            self._await_head()
        super().data_received(data)
        if self._head_timer is not None:  # after all of this it is not complete
            self._head_length += len(data)
            if self._head_length > self.head_most:
                self._end(b"431 Request Header Fields Too Large")

    def on_headers_complete(self) -> None:
        self._stop_head()
        super().on_headers_complete()  # type: ignore[misc]

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stop_write()
        self._write_timer = self.loop.call_later(self.write_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        self._stop_write()
        super().resume_writing()

    def _await_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_seconds, self._too_slow)

    def _too_slow(self) -> None:
        self._stop_head()
        if self.cycle is None or self.cycle.response_complete:
            self._end(b"408 Request Timeout")
        # Else another request is being answered, and this one waits for it.

    def _end(self, status: bytes) -> None:
        self._stop_head()
        if not self.transport.is_closing():
            self.transport.write(
                b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            )
            self.transport.close()

    def _stop_head(self) -> None:
        self._head_length = 0
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _stop_write(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
