"""One end of the serial line of an instance, over a unix socket."""

from __future__ import annotations

import select
import socket
import threading
import time
from contextlib import suppress

from hypersdk.datapath.cancel import WAIT_SLICE, token_in_force
from hypersdk.datapath.handle import Handle
from hypersdk.model.errors import HypervisorError
from hypersdk.model.units import KIB

#: Bytes that a read gives at most.
READ_MAX = 64 * KIB
_BY_US = "it was closed here"


class QmpSerialStream(Handle):
    """Holds the line from construction to `close`. One thread reads, another may write."""

    def __init__(self, name: str, path: str) -> None:
        """Raises OSError when nobody listens at ``path``."""
        self._name = name
        #: Why nothing comes any more; empty while the line is open.
        self._end = ""
        self._lock = threading.Lock()
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.connect(path)
            self._socket.setblocking(False)
        except BaseException:
            self._socket.close()
            raise

    def read(self, timeout: float) -> bytes:
        deadline = time.monotonic() + timeout
        while True:
            self._check()
            left = deadline - time.monotonic()
            if self._ready(reading=True, seconds=max(0.0, min(left, WAIT_SLICE))):
                with suppress(BlockingIOError):
                    return self._received()
            if left <= 0:
                return b""
            token_in_force().check()

    def write(self, data: bytes) -> None:
        """Raises HypervisorError once the line is closed."""
        left = memoryview(data)
        while left:
            self._check()
            token_in_force().check()
            if self._ready(reading=False, seconds=WAIT_SLICE):
                try:
                    left = left[self._socket.send(left[:READ_MAX]) :]
                except BlockingIOError:
                    continue
                except OSError as error:
                    self._ended(error.strerror or str(error))

    def close(self) -> None:
        """Release the line. May be called several times."""
        with self._lock:
            self._end = _BY_US
            self._socket.close()

    def _received(self) -> bytes:
        try:
            data = self._socket.recv(READ_MAX)
        except BlockingIOError:
            raise
        except OSError as error:
            self._ended(error.strerror or str(error))
            data = b""
        if not data:
            self._ended("its other end was closed")
            self._check()
        return data

    def _ready(self, *, reading: bool, seconds: float) -> bool:
        with self._lock:
            if self._end:
                return False
            number = self._socket.fileno()
        poll = select.poll()
        poll.register(number, select.POLLIN if reading else select.POLLOUT)
        return bool(poll.poll(seconds * 1000))

    def _ended(self, why: str) -> None:
        with self._lock:
            self._end = self._end or why

    def _check(self) -> None:
        if self._end:
            raise HypervisorError(f"the serial line of '{self._name}' is closed: {self._end}")
