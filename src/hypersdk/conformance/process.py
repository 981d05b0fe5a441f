"""A child process that reports by lines, and everything it starts: one process group.

::

    with Process(PROGRAM) as process:
        process.ask(request)
        ending = process.listen(on_event, timeout=900)

When its time is over it gets SIGTERM, so that it can clean up, and `GRACE` seconds later the whole
group gets SIGKILL. Nothing of the group outlives the ``with``.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from hypersdk.conformance.events import Event, parse
from hypersdk.datapath.cancel import WAIT_SLICE, token_in_force

PROGRAM = (sys.executable, "-m", "hypersdk.conformance.child")
#: Seconds to clean up between SIGTERM and SIGKILL.
GRACE = 30.0
#: Bytes of standard error that are kept for the report.
_TAIL = 8192
_READ = 65536


@dataclass(frozen=True, slots=True)
class Ending:
    """How a child ended."""

    timed_out: bool
    #: ``its process was killed by SIGSEGV``, ``its process ended with status 1``
    death: str
    #: The end of what it wrote on standard error.
    stderr: str


class Process:
    """One child."""

    def __init__(
        self,
        program: Sequence[str] = PROGRAM,
        variables: Mapping[str, str] | None = None,
        *,
        grace: float = GRACE,
    ) -> None:
        self._grace = grace
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__
        self._child = subprocess.Popen(
            program,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env=None if variables is None else dict(variables),
            # A group of its own: it is killed as a whole, and Ctrl-C of a terminal reaches us only.
            start_new_session=True,
        )
        self._rest = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._child.poll() is None:
            self._child.terminate()
            self._wait(self._grace)
        self._kill_group()
        self._child.wait()
        for stream in (self._child.stdin, self._child.stdout, self._stderr):
            if stream is not None:
                stream.close()

    def ask(self, request: bytes) -> None:
        """Write the request and close standard input."""
        assert self._child.stdin is not None
        try:
            self._child.stdin.write(request)
            self._child.stdin.close()
        except BrokenPipeError:
            return  # it died at once: listen() says how

    def listen(self, on_event: Callable[[Event], None], *, timeout: float) -> Ending:
        """Hand on events until the child ends, or ``timeout`` seconds are over and it was ended.

        Raises Interrupted when the token in force is cancelled.
        """
        token = token_in_force()
        deadline = time.monotonic() + timeout
        timed_out = False
        while self._pass_on(on_event, min(WAIT_SLICE, max(0.0, deadline - time.monotonic()))):
            token.check()
            if time.monotonic() < deadline:
                continue
            if timed_out:  # it had its time to clean up
                self._kill_group()
                break
            timed_out = True
            self._child.terminate()
            deadline = time.monotonic() + self._grace
        return Ending(timed_out, self._death(), self._tail())

    def _pass_on(self, on_event: Callable[[Event], None], seconds: float) -> bool:
        """Wait for something to read and hand it on. False when nothing can come any more."""
        assert self._child.stdout is not None
        ended = self._child.poll() is not None
        if not select.select([self._child.stdout], [], [], 0 if ended else seconds)[0]:
            # Ended, and the pipe is silent, if somebody else still holds it or not.
            return not ended
        chunk = os.read(self._child.stdout.fileno(), _READ)
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            on_event(parse(line))
        return bool(chunk)

    def _wait(self, seconds: float) -> int | None:
        try:
            return self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def _death(self) -> str:
        status = self._wait(self._grace)
        if status is None:
            return "its process did not end"
        if status < 0:
            return f"its process was killed by {signal.Signals(-status).name}"
        return f"its process ended with status {status}"

    def _kill_group(self) -> None:
        try:
            os.killpg(self._child.pid, signal.SIGKILL)
        except ProcessLookupError:
            return  # nobody is left

    def _tail(self) -> str:
        size = self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, size - _TAIL))
        return self._stderr.read().decode(errors="replace")
