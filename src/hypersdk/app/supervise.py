"""The worker process beside the API: begun again when it dies, drained when we end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence

from hypersdk.app.notify import VARIABLES
from hypersdk.observe.log import get_logger

_log = get_logger(__name__)

#: Seconds before a dead worker is begun again; doubled each time.
FIRST_WAIT = 0.5
LONGEST_WAIT = 30.0
#: Of the worker beside the daemon, as of nice(1).
NICENESS = 5
#: Seconds after which a worker counts as one that works.
_STEADY = 30.0
#: Seconds that a drained worker gets beyond its own time to end.
_GRACE = 15.0

#: Told of what happened to it: name of the event, data.
Tell = Callable[[str, Mapping[str, object]], None]


class Supervisor:
    """One worker process. All methods are called from the event loop.

    Our end of its standard input closes when we die, however that happens; it ends then by itself,
    so that the next daemon's worker takes its jobs over at once.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        tell: Tell,
        first_wait: float = FIRST_WAIT,
    ) -> None:
        self._command = tuple(command)
        self._tell = tell
        self._first_wait = first_wait
        self._process: asyncio.subprocess.Process | None = None
        self._ending = asyncio.Event()
        #: How often it died.
        self.deaths = 0

    @property
    def pid(self) -> int | None:
        """None while there is none."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def run(self) -> None:
        """Keep one alive until `drain` was called and it ended."""
        wait = self._first_wait
        while not self._ending.is_set():
            began = time.monotonic()
            status = await self._live()
            if self._ending.is_set():
                return
            self.deaths += 1
            lived = time.monotonic() - began
            wait = self._first_wait if lived >= _STEADY else wait
            said = _said(status)
            _log.error("the worker died and is begun again", status=said, wait=wait)
            data = {"status": said, "seconds": round(lived, 1), "wait": wait}
            await asyncio.to_thread(self._tell, "worker.died", data)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), wait)
            wait = min(wait * 2, LONGEST_WAIT)

    async def _live(self) -> int:
        environment = {name: each for name, each in os.environ.items() if name not in VARIABLES}
        # In its own session: Ctrl-C on a terminal is for us, and we tell it. Nicer than we are: a
        # status is to be answered at once while fifty backups compress.
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
        with contextlib.suppress(ProcessLookupError):  # it ended at once
            os.setpriority(os.PRIO_PROCESS, self._process.pid, NICENESS)
        _log.info("the worker was begun", pid=self._process.pid)
        try:
            return await self._process.wait()
        except asyncio.CancelledError:  # nobody looks after it any more
            self._send(signal.SIGKILL)
            raise

    async def drain(self, seconds: float) -> None:
        """Have it end what it can within ``seconds``, and end; after that it is killed."""
        self._ending.set()
        process = self._process
        if process is None or process.returncode is not None:
            return
        self._send(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), seconds + _GRACE)
        except TimeoutError:
            _log.error("the worker did not end and is killed", pid=process.pid)
            self._send(signal.SIGKILL)
            await process.wait()

    def hurry(self) -> None:
        """While it drains: have it leave its jobs to the next one, now."""
        # Not SIGTERM again: two of one kind that come close together are one.
        self._send(signal.SIGINT)

    def hangup(self) -> None:
        """Have it read its settings again."""
        self._send(signal.SIGHUP)

    def _send(self, number: signal.Signals) -> None:
        process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)


def _said(status: int) -> str:
    """``exit 1`` or ``SIGKILL``."""
    if status >= 0:
        return f"exit {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"
