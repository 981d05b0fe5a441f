"""From counted bytes to progress events.

No thread of its own: whoever counts drives the ticker, at most every 0.2 s.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import NamedTuple, Self

from hypersdk.model.progress import Progress, Reporter

#: Seconds between two events.
INTERVAL = 0.2
#: Seconds over which rate and time left are averaged.
WINDOW = 5.0


class Amounts(NamedTuple):
    """Bytes, as in `Progress`."""

    read: int = 0
    stored: int = 0
    zero: int = 0
    unchanged: int = 0

    @property
    def done(self) -> int:
        """Disk bytes accounted for."""
        return self.read + self.zero + self.unchanged


class Counters:
    """Running totals that threads add to."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._amounts = Amounts()
        self._watcher: Callable[[], None] | None = None

    def add(self, read: int = 0, stored: int = 0, zero: int = 0, unchanged: int = 0) -> None:
        """Count bytes. About a microsecond, unless an event is due."""
        with self._lock:
            a = self._amounts
            self._amounts = Amounts(
                a.read + read, a.stored + stored, a.zero + zero, a.unchanged + unchanged
            )
        watcher = self._watcher
        if watcher is not None:
            watcher()

    @property
    def amounts(self) -> Amounts:
        """All totals at one moment."""
        return self._amounts

    def watch(self, watcher: Callable[[], None] | None) -> None:
        """Have ``watcher`` called after each addition; there is one at most, None removes it."""
        self._watcher = watcher


class ProgressTicker:
    """Reports ``counters`` as `Progress` while used as a context manager.

    ``total`` is the bytes that ``done`` will reach. The last event, also after an error, has
    ``finished`` set. ``reporter`` is called from the threads that count, one at a time.
    """

    def __init__(
        self,
        task: str,
        total: int,
        counters: Counters,
        reporter: Reporter,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._task = task
        self._total = total
        self._counters = counters
        self._reporter = reporter
        self._clock = clock
        self._began = clock()
        self._due = self._began
        self._lock = threading.Lock()
        self._finished = False
        #: (seconds, read, done) at past events, oldest first.
        self._past: deque[tuple[float, int, int]] = deque([(self._began, 0, 0)])

    def tick(self) -> None:
        """Report if an event is due; cheap otherwise."""
        if self._clock() < self._due or not self._lock.acquire(blocking=False):
            return  # another thread is just reporting
        try:
            if not self._finished:
                self._due = self._clock() + INTERVAL
                self._reporter(self._look(finished=False))
        finally:
            self._lock.release()

    def finish(self) -> None:
        """Report for the last time."""
        self._counters.watch(None)
        with self._lock:
            if not self._finished:
                self._finished = True
                self._reporter(self._look(finished=True))

    def _look(self, finished: bool) -> Progress:
        now = self._clock()
        amounts = self._counters.amounts
        while len(self._past) > 1 and self._past[0][0] < now - WINDOW:
            self._past.popleft()
        then, read, done = self._past[0]
        self._past.append((now, amounts.read, amounts.done))
        seconds = max(now - then, 1e-9)
        pace = (amounts.done - done) / seconds
        left = max(self._total - amounts.done, 0)
        return Progress(
            task=self._task,
            done=min(amounts.done, self._total),
            total=self._total,
            read=amounts.read,
            stored=amounts.stored,
            zero=amounts.zero,
            unchanged=amounts.unchanged,
            seconds=now - self._began,
            rate=(amounts.read - read) / seconds,
            # By the pace of all bytes, not only of those read: zero areas are part of what is left.
            eta=left / pace if pace > 0 else None,
            finished=finished,
        )

    def __enter__(self) -> Self:
        self._counters.watch(self.tick)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.finish()
