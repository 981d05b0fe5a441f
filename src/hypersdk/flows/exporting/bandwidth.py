"""One bound on what all disks of an export read together, fixed or adaptive.

Adaptive is additive increase, multiplicative decrease, as TCP has it. Every two seconds: an error
halves the rate; reads that take three times as long as the quickest so far (per byte, and more
than 20 ms) take a fifth of it; otherwise a twentieth of the most is added. It stays between a
twentieth of the most and the most. Of sources that come as streams only errors are seen: what a
stream waits for is not known from outside.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from hypersdk.datapath.throttle import TokenBucket
from hypersdk.flows.exporting.options import Bandwidth

#: Seconds between two adjustments.
WINDOW = 2.0
_SLOW_FACTOR = 3.0
_SLOW_SECONDS = 0.02
_STEP = 20


class Bound:
    """Shared by all threads of an export."""

    def __init__(
        self, bandwidth: Bandwidth, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most = bandwidth.rate
        self._adaptive = bandwidth.adaptive
        self._clock = clock
        self._lock = threading.Lock()
        #: Part of the most that is let through.
        self._part = 1.0
        self._bucket = TokenBucket(self._allowed, bandwidth.burst or None)
        self._due = clock() + WINDOW
        self._failures = 0
        #: Seconds per byte: the quickest read so far, and the sum and number in this window.
        self._quickest = float("inf")
        self._spent, self._bytes, self._reads = 0.0, 0, 0

    @property
    def rate(self) -> float | None:
        """Bytes per second, now allowed; None: no bound."""
        return self._allowed()

    def _allowed(self) -> float | None:
        most = self._most() if callable(self._most) else self._most
        return None if most is None else most * self._part

    def take(self, count: int) -> None:
        """Return when ``count`` bytes may pass. Raises Interrupted."""
        self._bucket.take(count)

    def passed(self, count: int, seconds: float) -> None:
        """A read of ``count`` bytes took so long."""
        if not self._adaptive or not count:
            return
        with self._lock:
            self._quickest = min(self._quickest, seconds / count)
            self._spent += seconds
            self._bytes += count
            self._reads += 1
        self._adjust()

    def failed(self) -> None:
        """A read failed."""
        if self._adaptive:
            with self._lock:
                self._failures += 1
            self._adjust()

    def _adjust(self) -> None:
        with self._lock:
            if self._clock() < self._due:
                return
            self._due = self._clock() + WINDOW
            self._part = min(max(self._next(), 1 / _STEP), 1.0)
            self._failures, self._spent, self._bytes, self._reads = 0, 0.0, 0, 0

    def _next(self) -> float:
        if self._failures:
            return self._part / 2
        slow = (
            self._bytes > 0
            and self._spent / self._bytes > _SLOW_FACTOR * self._quickest
            and self._spent / self._reads > _SLOW_SECONDS
        )
        return self._part * 0.8 if slow else self._part + 1 / _STEP
