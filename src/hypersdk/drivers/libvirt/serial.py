"""One end of a serial line of a domain.

libvirt's event loop puts what arrives into a buffer, so that nothing is lost between two reads,
and `read` and `close` work from any thread. Nothing stops the line while nobody reads: libvirt
takes all that comes (9.0 queues it in our process), so whoever holds a line reads it or closes it.
"""

from __future__ import annotations

import contextlib
import threading
import time

import libvirt

from hypersdk.datapath.handle import Handle
from hypersdk.drivers.libvirt.errors import complaint, native
from hypersdk.model.errors import HypervisorError
from hypersdk.model.units import KIB

#: Bytes that a read gives at most.
READ_MAX = 64 * KIB
#: virStreamRecv and virStreamSend: it would have to wait.
_WOULD_BLOCK = -2
#: Seconds between looks at whether the connection lives, and between attempts to write.
_ALIVE_SECONDS, _WRITE_SECONDS = 1.0, 0.01
#: Why nothing comes any more, once `close` was called.
_BY_US = "it was closed here"
_ENDS = libvirt.VIR_STREAM_EVENT_ERROR | libvirt.VIR_STREAM_EVENT_HANGUP


class LibvirtSerialStream(Handle):
    """Holds the line from construction to `close`."""

    def __init__(self, name: str, domain: libvirt.virDomain) -> None:
        """Whoever held the line loses it. Raises HypervisorError."""
        self._name = name
        self._connection = domain.connect()
        self._received = bytearray()
        self._condition = threading.Condition()
        #: Why nothing comes any more; empty while the line is open.
        self._end = ""
        with native(f"open the serial line of '{name}'"):
            self._stream = self._connection.newStream(libvirt.VIR_STREAM_NONBLOCK)
            domain.openConsole(None, self._stream, libvirt.VIR_DOMAIN_CONSOLE_FORCE)
            self._stream.eventAddCallback(
                libvirt.VIR_STREAM_EVENT_READABLE | _ENDS, self._ready, None
            )

    def read(self, timeout: float) -> bytes:
        deadline = time.monotonic() + timeout
        with self._condition:
            while not self._received:
                self._check()
                left = deadline - time.monotonic()
                if left <= 0:
                    return b""
                self._condition.wait(min(left, _ALIVE_SECONDS))
                # libvirt does not tell streams that their connection is lost.
                if not self._received and not self._end and not self._connection.isAlive():
                    self._end = "the connection to libvirt was lost"
            data = bytes(self._received[:READ_MAX])
            del self._received[:READ_MAX]
            return data

    def write(self, data: bytes) -> None:
        """Raises HypervisorError once the line is closed."""
        left = memoryview(data)
        while left:
            self._check()
            with native(f"write to the serial line of '{self._name}'"):
                sent = self._stream.send(bytes(left[:READ_MAX]))
            if sent == _WOULD_BLOCK:
                time.sleep(_WRITE_SECONDS)
            else:
                left = left[sent:]

    def close(self) -> None:
        """Release the line. May be called several times."""
        with self._condition:
            if self._end == _BY_US:
                return
            self._end = _BY_US
            self._condition.notify_all()
        # A line that has ended is not watched any more; a lost connection has nothing to release.
        with contextlib.suppress(libvirt.libvirtError):
            self._stream.eventRemoveCallback()
        with contextlib.suppress(libvirt.libvirtError):
            self._stream.abort()

    def _check(self) -> None:
        if self._end:
            raise HypervisorError(
                f"the serial line of '{self._name}' is closed: {self._end}",
                hint="Open it anew while the instance runs.",
            )

    def _ready(self, stream: libvirt.virStream, events: int, _: object) -> None:
        # In the thread of libvirt's event loop: what is raised here would only be printed.
        with self._condition:
            if self._end:
                return
            reason = self._drain(stream)
            if not reason and events & _ENDS:
                reason = "its other end was closed"
            if reason:
                with contextlib.suppress(libvirt.libvirtError):  # the connection is lost as well
                    stream.eventRemoveCallback()
            self._end = reason
            self._condition.notify_all()

    def _drain(self, stream: libvirt.virStream) -> str:
        """Take what is there; why nothing more will come, or an empty text."""
        while True:
            try:
                data = stream.recv(READ_MAX)
            except libvirt.libvirtError as error:
                return complaint(error)
            if data == _WOULD_BLOCK:
                return ""
            if not data:
                return "its other end was closed"
            self._received += data
