"""One connection to an NBD server that never waits forever.

Only libnbd's asynchronous calls are used, and every wait is cut into slices of `WAIT_SLICE`
seconds between which the cancel token in force is looked at. The kernel and libnbd hold pointers
into our buffers while a command is in flight, so whatever interrupts a wait closes the handle
before the buffer can be given back: a connection that raised is of no further use.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from hypersdk.datapath import libnbd
from hypersdk.datapath.cancel import WAIT_SLICE, token_in_force
from hypersdk.model.errors import DataPathError, EndpointTimeout

#: Largest read command in bytes, and how many commands are on their way at once: the server reads
#: from its disk while the socket is busy. One 1 MiB command at a time from qemu-nbd gave 1.4 GiB/s
#: on a machine where four of 256 KiB gave 2.9, as much as nbdcopy.
PIECE = 256 << 10
IN_FLIGHT = 16
#: Largest write command in bytes. Threads of the server that write to one file wait for each other,
#: so that few large ones are better: a restore through qemu-nbd took 8 % less than with 256 KiB.
WRITE_PIECE = 1 << 20
#: Largest area in bytes that is zeroed at once, so that a server without holes can keep up.
ZERO_MAX = 128 << 20
#: A flush may write gigabytes of cache: it may be silent this many times longer than a read.
FLUSH_PATIENCE = 10


@dataclass(frozen=True)
class Endpoint:
    """Where to connect and how to speak about it."""

    uri: str = field(repr=False)  # it may carry credentials
    #: For messages: the URI without credentials, or what the user knows the endpoint as.
    name: str
    #: Name of the dirty bitmap to ask for.
    bitmap: str | None = None
    #: Seconds of silence after which the server counts as gone.
    timeout: float = 60.0


def public_uri(uri: str) -> str:
    """The URI without user and password."""
    return re.sub(r"(?<=://)[^/?#]*@", "", uri)


class Connection:
    """An open connection. Calls of several threads are served one after another."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._ffi, self._lib = libnbd.load()
        self._nothing = self._ffi.new("nbd_completion_callback *")[0]
        self._lock = threading.Lock()
        self._entries: dict[str, list[int]] = {}
        self._callbacks = self._made_callbacks()
        self._handle: Any = self._ffi.gc(self._lib.nbd_create(), self._lib.nbd_close)
        try:
            self._connect()
            self._learn()
        except BaseException:
            self.close()
            raise

    def _made_callbacks(self) -> list[Any]:
        """C functions that fill our lists; libnbd may call them as long as the handle lives."""
        ffi = self._ffi
        self.offered: list[str] = []

        @ffi.callback("int(void *, const char *)")  # type: ignore[untyped-decorator]
        def context(_: Any, name: Any) -> int:
            self.offered.append(ffi.string(name).decode(errors="replace"))
            return 0

        signature = "int(void *, const char *, uint64_t, uint32_t *, size_t, int *)"

        @ffi.callback(signature)  # type: ignore[untyped-decorator]
        def extent(_: Any, name: Any, __: int, entries: Any, count: int, ___: Any) -> int:
            found = self._entries.setdefault(ffi.string(name).decode(errors="replace"), [])
            found.extend(ffi.unpack(entries, count))
            return 0

        self._context = ffi.new("nbd_context_callback *", {"callback": context})[0]
        self._extent = ffi.new("nbd_extent_callback *", {"callback": extent})[0]
        return [context, extent]

    # Connecting

    def _connect(self) -> None:
        lib, handle, endpoint = self._lib, self._handle, self.endpoint
        if endpoint.bitmap is None:
            self._ask_for(libnbd.BASE_ALLOCATION)
        else:
            lib.nbd_set_opt_mode(handle, True)
        # Resolving a host name happens inside this call and is the one wait that is not ours.
        if lib.nbd_aio_connect_uri(handle, endpoint.uri.encode()) < 0:
            raise self._failure("connect to")
        self._negotiated()
        if endpoint.bitmap is not None and lib.nbd_aio_is_negotiating(handle) == 1:
            self._choose_bitmap(endpoint.bitmap)
        if lib.nbd_aio_is_ready(handle) != 1:
            raise DataPathError(f"cannot connect to {endpoint.name}: the server refused the export")

    def _choose_bitmap(self, bitmap: str) -> None:
        lib, handle = self._lib, self._handle
        # Fails on servers without metadata contexts; then nothing is offered, which is the answer.
        if lib.nbd_aio_opt_list_meta_context(handle, self._context, self._nothing) == 0:
            self._negotiated()
        if libnbd.DIRTY_BITMAP + bitmap not in self.offered:
            raise self._no_bitmap(bitmap)
        self._ask_for(libnbd.BASE_ALLOCATION)
        self._ask_for(libnbd.DIRTY_BITMAP + bitmap)
        if lib.nbd_aio_opt_go(handle, self._nothing) < 0:
            raise self._failure("connect to")
        self._negotiated()

    def _no_bitmap(self, bitmap: str) -> DataPathError:
        prefix = libnbd.DIRTY_BITMAP
        names = [name.removeprefix(prefix) for name in self.offered if name.startswith(prefix)]
        return DataPathError(
            f"{self.endpoint.name} offers no dirty bitmap '{bitmap}'",
            hint=f"It offers: {', '.join(names)}." if names else "It offers no dirty bitmap.",
        )

    def _ask_for(self, context: str) -> None:
        if self._lib.nbd_add_meta_context(self._handle, context.encode()) < 0:
            raise self._failure("connect to")

    def _negotiated(self) -> None:
        handle, lib = self._handle, self._lib
        self._wait(lambda: lib.nbd_aio_is_connecting(handle) != 1, "connect to", 1)

    def _learn(self) -> None:
        lib, handle = self._lib, self._handle
        self.size = int(lib.nbd_get_size(handle))
        if self.size < 0:
            raise self._failure("ask for the size of")
        self.multi_conn = lib.nbd_can_multi_conn(handle) == 1
        self.read_only = lib.nbd_is_read_only(handle) == 1
        self.can_zero = lib.nbd_can_zero(handle) == 1
        self.can_flush = lib.nbd_can_flush(handle) == 1
        #: Offsets and lengths of requests must be multiples of this many bytes.
        self.minimum = max(int(lib.nbd_get_block_size(handle, libnbd.SIZE_MINIMUM)), 1)
        maximum = int(lib.nbd_get_block_size(handle, libnbd.SIZE_MAXIMUM))
        self._read_piece = self._allowed(PIECE, maximum)
        self._write_piece = self._allowed(WRITE_PIECE, maximum)
        base = libnbd.BASE_ALLOCATION.encode()
        self.knows_status = lib.nbd_can_meta_context(handle, base) == 1
        if self.endpoint.bitmap is not None:
            name = libnbd.DIRTY_BITMAP + self.endpoint.bitmap
            if lib.nbd_can_meta_context(handle, name.encode()) != 1:
                raise self._no_bitmap(self.endpoint.bitmap)

    def _allowed(self, piece: int, maximum: int) -> int:
        """Bytes of the largest command; servers may say nothing of a maximum."""
        largest = max(min(piece, maximum if maximum > 0 else piece), self.minimum)
        return largest - largest % self.minimum

    # Commands

    def read(self, offset: int, buffer: memoryview) -> None:
        """Fill ``buffer``; offset and length are multiples of `minimum`."""
        self._transfer(self._lib.nbd_aio_pread, offset, buffer, self._read_piece, "read")

    def write(self, offset: int, data: memoryview) -> None:
        """Write ``data``; offset and length are multiples of `minimum`."""
        self._transfer(self._lib.nbd_aio_pwrite, offset, data, self._write_piece, "write")

    def zero(self, offset: int, length: int) -> None:
        """Make an area read as zero; offset and length are multiples of `minimum`."""
        if not self.can_zero:
            zeroes = memoryview(bytes(min(length, 1 << 20)))
            for at in range(0, length, max(len(zeroes), 1)):
                self.write(offset + at, zeroes[: length - at])
            return
        command = self._lib.nbd_aio_zero
        for at in range(offset, offset + length, ZERO_MAX):
            count = min(ZERO_MAX, offset + length - at)
            self._run("zero", at, command, count, at, self._nothing, 0)

    def flush(self) -> None:
        """Return when all completed writes are durable at the server."""
        if self.can_flush:
            command = self._lib.nbd_aio_flush
            self._run("flush", None, command, self._nothing, 0, patience=FLUSH_PATIENCE)

    def block_status(self, offset: int, length: int) -> dict[str, list[int]]:
        """Flat lists ``length, flags, length, flags, …`` from ``offset``, by context name.

        A server may describe less than was asked for, or more with the last entry.
        """
        command = self._lib.nbd_aio_block_status
        with self._opened() as handle:
            self._entries = {}
            cookie = command(handle, length, offset, self._extent, self._nothing, 0)
            self._complete(cookie, offset, "map")
            return self._entries

    def _transfer(
        self, command: Any, offset: int, data: memoryview, piece: int, doing: str
    ) -> None:
        """Move ``data`` in pieces, some of them in flight at once."""
        in_flight: deque[tuple[int, int]] = deque()
        pins: deque[Any] = deque()
        try:
            with self._opened() as handle:
                for at in range(0, len(data), piece):
                    part = data[at : at + piece]
                    pins.append(self._ffi.from_buffer(part, require_writable=doing == "read"))
                    cookie = command(handle, pins[-1], len(part), offset + at, self._nothing, 0)
                    if cookie < 0:
                        raise self._failure(doing, offset + at)
                    in_flight.append((cookie, offset + at))
                    if len(in_flight) == IN_FLIGHT:
                        self._complete(*in_flight.popleft(), doing)
                        self._ffi.release(pins.popleft())
                for cookie, place in in_flight:
                    self._complete(cookie, place, doing)
        finally:
            # Not left to the garbage collector: the traceback of a failure keeps this frame in a
            # cycle, and CPython crashes when it breaks one with a memoryview that is still pinned.
            for pin in pins:
                self._ffi.release(pin)

    def _run(
        self, doing: str, offset: int | None, command: Any, *arguments: Any, patience: int = 1
    ) -> None:
        """Start one command and wait for it."""
        with self._opened() as handle:
            self._complete(command(handle, *arguments), offset, doing, patience)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[Any]:
        """The handle, for one thread. Buffers must stay pinned by the caller until this ends: then
        their commands are complete, or the handle is closed and forgets them."""
        with self._lock:
            if self._handle is None:
                raise DataPathError(f"the connection to {self.endpoint.name} was given up before")
            try:
                yield self._handle
            except BaseException:
                self._close()
                raise

    def _complete(self, cookie: int, offset: int | None, doing: str, patience: int = 1) -> None:
        lib, handle = self._lib, self._handle
        if cookie < 0:
            raise self._failure(doing, offset)

        def completed() -> bool:
            state: int = lib.nbd_aio_command_completed(handle, cookie)
            if state < 0:
                raise self._failure(doing, offset)
            return state == 1

        self._wait(completed, doing, patience)

    def _wait(self, done: Callable[[], bool], doing: str, patience: int) -> None:
        """Serve the connection until ``done``; anything the server sends restarts the patience."""
        token = token_in_force()
        slices = round(self.endpoint.timeout * patience / WAIT_SLICE)
        silent = 0
        while not done():
            token.check()
            ready = self._lib.nbd_poll(self._handle, int(WAIT_SLICE * 1000))
            if ready < 0:
                raise self._failure(doing)
            silent = 0 if ready else silent + 1
            if silent > slices:
                raise EndpointTimeout(
                    f"{self.endpoint.name} was silent for {self.endpoint.timeout * patience:g} s",
                    hint="See whether its server runs, is reachable, and takes more clients.",
                )

    def _failure(self, doing: str, offset: int | None = None) -> DataPathError:
        """The error that libnbd keeps for this thread, as ours."""
        text = self._ffi.string(self._lib.nbd_get_error()).decode(errors="replace")
        number = self._lib.nbd_get_errno()
        reason = re.sub(r"^nbd_\w+: ", "", text.replace(self.endpoint.uri, self.endpoint.name))
        place = "" if offset is None else f" at {offset}"
        hint = ""
        if number == errno.ENOSPC:
            reason, hint = os.strerror(number), "Free some space at the server."
        elif number in (errno.ECONNREFUSED, errno.ENOENT):
            hint = "See whether the server runs, and whether address and export name are right."
        return DataPathError(
            f"cannot {doing} {self.endpoint.name}{place}: {public_uri(reason)}", hint=hint
        )

    # Closing

    def close(self) -> None:
        """Say goodbye and disconnect. May be called several times."""
        with self._lock:
            if self._handle is not None and self._lib.nbd_aio_is_ready(self._handle) == 1:
                self._lib.nbd_aio_disconnect(self._handle, 0)
            elif self._handle is not None and self._lib.nbd_aio_is_negotiating(self._handle) == 1:
                self._lib.nbd_aio_opt_abort(self._handle)
            self._close()

    def _close(self) -> None:
        handle, self._handle = self._handle, None
        if handle is not None:
            self._ffi.release(handle)  # nbd_close: drops every command in flight
