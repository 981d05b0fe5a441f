"""A connected socket whose waits are bounded and obey the cancel token in force.

An export stream may be silent for minutes, since the holes of a thin disk send nothing: a short
timeout breaks good exports. None at all lets a dead host hold a backup forever. And whoever cancels
does not want to wait for either. So the socket never blocks; waits are cut into slices.
"""

from __future__ import annotations

import io
import socket
import ssl
import time
from select import POLLIN, POLLOUT, poll
from typing import Any

from hypersdk.datapath.cancel import WAIT_SLICE, token_in_force
from hypersdk.model.errors import EndpointTimeout

#: Bytes that are read ahead of whoever parses what came.
_BUFFER = 256 << 10


class PatientSocket:
    """Takes the place of the socket in an ``http.client`` connection; it owns ``inner``."""

    def __init__(self, inner: socket.socket, *, silence: float, name: str) -> None:
        """``silence``: seconds without a byte after which EndpointTimeout is raised. ``name``: of
        what is read or written, for messages."""
        self._inner = inner
        self.silence = silence
        self.name = name
        self._readers = 0
        self._closed = False
        inner.setblocking(False)
        self._poll = poll()

    def receive(self, buffer: memoryview) -> int:
        """Fill a part of ``buffer``; 0 at the end. Raises OSError, EndpointTimeout, Interrupted."""
        deadline = time.monotonic() + self.silence
        while True:
            try:
                return self._inner.recv_into(buffer)
            except (ssl.SSLWantReadError, BlockingIOError):
                self._wait(POLLIN, deadline)
            except ssl.SSLWantWriteError:
                self._wait(POLLOUT, deadline)

    def sendall(self, data: Any) -> None:
        """Raises OSError, EndpointTimeout, Interrupted."""
        with memoryview(data) as view, view.cast("B") as rest:
            at = 0
            deadline = time.monotonic() + self.silence
            while at < len(rest):
                try:
                    at += self._inner.send(rest[at:])
                    deadline = time.monotonic() + self.silence
                except (ssl.SSLWantWriteError, BlockingIOError):
                    self._wait(POLLOUT, deadline)
                except ssl.SSLWantReadError:
                    self._wait(POLLIN, deadline)

    def _wait(self, event: int, deadline: float) -> None:
        token = token_in_force()
        self._poll.register(self._inner, event)
        while True:
            token.check()
            if self._poll.poll(WAIT_SLICE * 1000):
                return
            if time.monotonic() > deadline:
                raise EndpointTimeout(
                    f"{self.name}: nothing came or went for {self.silence:.0f} seconds",
                    hint="Look at the ESXi host and at the network to it, and run it again.",
                )

    def makefile(self, *_: Any, **__: Any) -> io.BufferedReader:
        """For ``http.client``, which reads answers through a file."""
        self._readers += 1
        return io.BufferedReader(_Reader(self), _BUFFER)

    def close(self) -> None:
        """An answer that is still being read keeps the socket open."""
        self._closed = True
        if not self._readers:
            self._inner.close()

    def release(self) -> None:
        """A reader has ended."""
        self._readers -= 1
        if self._closed and not self._readers:
            self._inner.close()


class _Reader(io.RawIOBase):
    def __init__(self, socket: PatientSocket) -> None:
        self._socket = socket

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._socket.receive(memoryview(buffer))

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._socket.release()
