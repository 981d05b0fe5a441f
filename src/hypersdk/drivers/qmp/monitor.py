"""Talking to QEMU: one short connection for each operation.

A monitor socket serves one client at a time, and several processes of ours may use a folder. So
whoever wants to talk takes a lock file first, connects, asks, and leaves. Nothing is bound to a
connection: jobs, exports and bitmaps live in QEMU. Who dies while talking loses lock and
connection with its process.

The library speaks asyncio. Its loop runs in one private thread for each hypervisor; replies are
matched to commands by id there, and callers wait in slices in which they obey their cancel token.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading
import time
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from qemu.qmp import ConnectError, ExecuteError, QMPClient, QMPError
from qemu.qmp.qmp_client import NegotiationError

from hypersdk.datapath.cancel import WAIT_SLICE, token_in_force
from hypersdk.drivers.qmp.errors import native
from hypersdk.drivers.qmp.locks import locked, release
from hypersdk.model.errors import HypervisorUnreachable, OperationTimeout

T = TypeVar("T")

# What the library would log, it also raises.
logging.getLogger("qemu.qmp").setLevel(logging.CRITICAL)

#: Seconds a command may take. What takes longer is a job, see `power`.
ANSWER_SECONDS = 20.0
#: How often a QEMU is greeted that interrupts.
_GREETINGS = 5
#: Seconds to wait for another process of ours to end its conversation.
_TURN_SECONDS = 25.0


class Loop:
    """The thread in which the library's event loop runs; it begins with the first call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def call(self, work: Coroutine[Any, Any, T], seconds: float, doing: str) -> T:
        """What ``work`` returns. Raises OperationTimeout, Interrupted, and what it raises."""
        future = asyncio.run_coroutine_threadsafe(work, self._running())
        try:
            return _waited(future, seconds, doing)
        finally:
            future.cancel()

    def close(self) -> None:
        """May be called several times; a later call begins anew."""
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=_run, args=(self._loop,), name="qmp-loop", daemon=True
                )
                self._thread.start()
            return self._loop


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    finally:
        loop.close()


def _waited(future: Future[T], seconds: float, doing: str) -> T:
    token = token_in_force()
    deadline = time.monotonic() + seconds
    while True:
        token.check()
        left = deadline - time.monotonic()
        with suppress(TimeoutError):
            return future.result(max(0.0, min(left, WAIT_SLICE)))
        if future.done():  # it was the work itself that ran out of time
            return future.result()
        if left <= 0:
            raise OperationTimeout(
                f"cannot {doing}: QEMU does not answer within {seconds:g} s",
                hint="Try again; if it hangs, stop the instance with force.",
            )


class Session:
    """One conversation with one QEMU."""

    def __init__(self, loop: Loop, client: QMPClient, subject: str) -> None:
        self._loop = loop
        self._client = client
        self._subject = subject

    def execute(self, command: str, **arguments: Any) -> Any:
        """The answer of ``command``; arguments are written with ``_`` for ``-``.

        Raises ExecuteError and its kin (see `errors.native`), OperationTimeout.
        """
        given = {name.replace("_", "-"): value for name, value in arguments.items()}
        return self.send(command, given)

    def send(self, command: str, arguments: dict[str, Any], seconds: float = ANSWER_SECONDS) -> Any:
        """The same with arguments as QEMU spells them."""
        work = self._client.execute(command, arguments)
        return self._loop.call(work, seconds, f"ask {self._subject} ('{command}')")

    def attempt(self, command: str, **arguments: Any) -> str:
        """QEMU's complaint; empty when it did it."""
        try:
            self.execute(command, **arguments)
        except ExecuteError as error:
            return str(error)
        return ""


class Monitors:
    """Begins conversations. May be used by any number of threads and processes."""

    def __init__(self) -> None:
        self._loop = Loop()

    def close(self) -> None:
        self._loop.close()

    @contextmanager
    def session(
        self, path: Path, lock: Path, name: str, *, seconds: float = ANSWER_SECONDS
    ) -> Iterator[Session]:
        """A conversation over the socket ``path``, while the file ``lock`` is held.

        Raises HypervisorUnreachable when nobody listens or answers within ``seconds``.
        """
        subject = f"QEMU of '{name}'"
        descriptor = locked(lock, f"talk to {subject}", _TURN_SECONDS)
        try:
            with native(f"talk to {subject}"):
                client = self._greeted(path, subject, seconds)
            try:
                yield Session(self._loop, client, subject)
            finally:
                # Whose work was cancelled hangs up all the same.
                self._hang_up(client)
        finally:
            release(descriptor)

    def _greeted(self, path: Path, subject: str, seconds: float) -> QMPClient:
        """QEMU may report an event before it has answered the greeting, and the library (0.0.6)
        takes it for the answer: it is greeted again then."""
        for _ in range(_GREETINGS - 1):
            try:
                return self._greet_once(path, subject, seconds)
            except ConnectError as error:
                if not isinstance(error.exc, NegotiationError):
                    raise
        return self._greet_once(path, subject, seconds)

    def _greet_once(self, path: Path, subject: str, seconds: float) -> QMPClient:
        client = QMPClient(f"hypersdk-{os.getpid()}")
        connection = _connected(path)
        try:
            self._loop.call(client.connect(connection), seconds, f"talk to {subject}")
        except OperationTimeout as error:
            raise HypervisorUnreachable(
                error.message, hint="It hangs: stop the instance with force."
            ) from error
        finally:
            if client.runstate.name == "IDLE":
                connection.close()
        return client

    def _hang_up(self, client: QMPClient) -> None:
        with suppress(QMPError, EOFError, OSError, OperationTimeout):
            future = asyncio.run_coroutine_threadsafe(
                client.disconnect(),
                self._loop._running(),  # noqa: SLF001 - of this module
            )
            with suppress(TimeoutError):
                future.result(ANSWER_SECONDS)


def _connected(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(ANSWER_SECONDS)
        connection.connect(str(path))
        connection.setblocking(False)
    except FileNotFoundError as error:
        connection.close()
        raise ConnectionRefusedError(111, "nobody listens any more", str(path)) from error
    except BaseException:
        connection.close()
        raise
    return connection
