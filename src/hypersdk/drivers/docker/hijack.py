"""The stream that a connection becomes when a command is started inside a container.

The SDK reads such a stream past the buffer in which the first of it may already be, so we speak
HTTP here ourselves: one request, the head of one answer, and then the engine's frames
(docs.docker.com/engine/api, "Attach to a container", stream format).
"""

from __future__ import annotations

import contextlib
import json
import select
import socket
import ssl
import struct
import time
from types import TracebackType
from typing import Self

from hypersdk.datapath.cancel import WAIT_SLICE, token_in_force
from hypersdk.drivers.docker.connection import Connection, Json
from hypersdk.drivers.docker.errors import refused
from hypersdk.model.errors import HypervisorUnreachable

#: Stream (1 output, 2 errors), three zero bytes, length.
_FRAME = struct.Struct(">BxxxI")
_OUTPUT, _ERRORS = 1, 2
_PIECE = 1 << 16
_HEAD_END = b"\r\n\r\n"


class Late(Exception):
    """The time is up and the command still runs."""


class Hijacked:
    """A command that was started, and its three streams."""

    def __init__(self, connection: Connection, path: str, body: Json, doing: str) -> None:
        """Raises OSError, and ours when the engine refuses."""
        self._doing = doing
        self._buffer = bytearray()
        self._socket = connection.socket()
        try:
            version = ".".join(map(str, connection.api))
            content = json.dumps(body).encode()
            self._socket.sendall(
                f"POST /v{version}{path} HTTP/1.1\r\nHost: docker\r\nContent-Type: application/json"
                f"\r\nContent-Length: {len(content)}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
                "".encode()
                + content
            )
            self._read_head()
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()

    def exchange(self, stdin: bytes, until: float) -> tuple[bytes, bytes]:
        """Write ``stdin``, read to the end: output and errors.

        Raises Late at ``until`` of the monotonic clock, HypervisorUnreachable for an answer that
        ends in its middle, Interrupted, OSError.
        """
        self._socket.setblocking(False)
        left = memoryview(stdin)
        if not left:
            self._end_input()
        received, ended = self._buffer, False
        while not ended:
            token_in_force().check()
            if time.monotonic() >= until:
                raise Late
            waiting = self._socket.pending() if isinstance(self._socket, ssl.SSLSocket) else 0
            readable, writable, _ = select.select(
                [self._socket], [self._socket] if left else [], [], 0 if waiting else WAIT_SLICE
            )
            if readable or waiting:
                ended = self._receive(received)
            if writable and not ended:
                left = self._write(left)
                if not left:
                    self._end_input()
        return self._unframed(bytes(received))

    def _write(self, left: memoryview) -> memoryview:
        try:
            return left[self._socket.send(left[:_PIECE]) :]
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return left
        except (BrokenPipeError, ConnectionResetError):  # the command has ended, or reads no more
            return left[len(left) :]

    def _receive(self, received: bytearray) -> bool:
        """Whether the stream has ended."""
        try:
            piece = self._socket.recv(_PIECE)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False
        except ConnectionResetError:
            return True
        received += piece
        return not piece

    def _end_input(self) -> None:
        with contextlib.suppress(OSError):  # the command has ended
            if isinstance(self._socket, ssl.SSLSocket):
                # Closing one way is no part of TLS as the engine speaks it: below it, it works.
                socket.socket.shutdown(self._socket, socket.SHUT_WR)
            else:
                self._socket.shutdown(socket.SHUT_WR)

    def _read_head(self) -> None:
        while (end := self._buffer.find(_HEAD_END)) < 0:
            if not (piece := self._socket.recv(_PIECE)):
                raise HypervisorUnreachable(f"cannot {self._doing}: the connection was lost")
            self._buffer += piece
        head = bytes(self._buffer[:end])
        del self._buffer[: end + len(_HEAD_END)]
        status = int(head.split(b" ", 2)[1])
        if status not in (101, 200):
            raise refused(status, self._refusal(), self._doing)

    def _refusal(self) -> str:
        with contextlib.suppress(OSError):
            while b"}" not in self._buffer and (piece := self._socket.recv(_PIECE)):
                self._buffer += piece
        text = self._buffer.decode(errors="replace")
        try:
            return str(json.loads(text[text.index("{") : text.rindex("}") + 1])["message"])
        except (ValueError, KeyError):
            return text

    def _unframed(self, received: bytes) -> tuple[bytes, bytes]:
        streams: dict[int, list[bytes]] = {_OUTPUT: [], _ERRORS: []}
        at = 0
        while len(received) - at >= _FRAME.size:
            kind, length = _FRAME.unpack_from(received, at)
            at += _FRAME.size
            if kind not in streams or at + length > len(received):
                raise HypervisorUnreachable(f"cannot {self._doing}: the connection was lost")
            streams[kind].append(received[at : at + length])
            at += length
        if at < len(received):
            raise HypervisorUnreachable(f"cannot {self._doing}: the connection was lost")
        return b"".join(streams[_OUTPUT]), b"".join(streams[_ERRORS])
