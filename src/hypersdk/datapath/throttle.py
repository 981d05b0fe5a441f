"""Keeping a copy below a rate, so that a backup does not starve the guests beside it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from hypersdk.datapath.cancel import WAIT_SLICE, token_in_force
from hypersdk.datapath.ports import BlockSource
from hypersdk.datapath.wrapping import WrappedSource
from hypersdk.model.errors import InvalidInput

#: Bytes per second. What is called is asked again every second while bytes flow, from the threads
#: that copy, so that a bound can change meanwhile; None from it: no bound for now.
Rate = float | Callable[[], float | None]

#: Seconds for which an answer about the rate holds.
_HOLDS = 1.0


class TokenBucket:
    """``rate`` bytes per second over time, up to ``burst`` bytes at once. Shared by threads.

    Whoever takes more than there is goes into debt and waits until it is paid, so a request
    larger than the burst is served too, and n bytes never take less than (n - burst) / rate
    seconds. ``clock`` and ``sleep`` are seconds, as in the time module.
    """

    def __init__(
        self,
        rate: Rate,
        burst: float | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._ask = rate if callable(rate) else None
        self._given_burst = burst
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._asked = self._filled = clock()
        self._rate = _checked(rate() if callable(rate) else rate)
        #: Bytes that were asked for, and bytes that may pass, since the beginning.
        self._taken = 0.0
        self._granted = self._burst

    @property
    def rate(self) -> float | None:
        """Bytes per second now in force; None: no bound."""
        return self._rate

    def take(self, count: int) -> None:
        """Return when ``count`` bytes may pass. Raises Interrupted when cancelled meanwhile."""
        with self._lock:
            self._fill()
            self._taken += count
            mine = self._taken
            left = self._wait(mine)
        token = token_in_force()
        while left > 0:
            token.check()
            self._sleep(min(left, WAIT_SLICE))
            with self._lock:
                self._fill()
                left = self._wait(mine)

    @property
    def _burst(self) -> float:
        if self._given_burst is not None:
            return self._given_burst
        # A fifth of a second's worth, enough to hide the jitter of sleeping.
        return (self._rate or 0.0) / 5

    def _fill(self) -> None:
        """What came in since the last look, at the rate that was in force."""
        now = self._clock()
        if self._rate is not None:
            gained = (now - self._filled) * self._rate
            self._granted = min(self._granted + gained, self._taken + self._burst)
        self._filled = now
        if self._ask is not None and now - self._asked >= _HOLDS:
            self._asked = now
            self._rate = _checked(self._ask())

    def _wait(self, mine: float) -> float:
        """Seconds until ``mine`` bytes may have passed, at the rate in force."""
        if self._rate is None:
            self._granted = self._taken + self._burst
            return 0.0
        # Less than a hundredth of a byte is the rounding of sums.
        short = mine - self._granted
        return short / self._rate if short > 0.01 else 0.0


def _checked(rate: float | None) -> float | None:
    if rate is not None and rate <= 0:
        raise InvalidInput(f"a rate of {rate} bytes per second never ends")
    return rate


class Throttled(WrappedSource):
    """A source that is read no faster than ``bucket`` allows; its clones share the bucket.

    Only bytes that are read count: zero and unchanged areas cost nothing.
    """

    def __init__(self, inner: BlockSource, bucket: TokenBucket) -> None:
        super().__init__(inner)
        self._bucket = bucket

    def readinto(self, offset: int, buffer: memoryview) -> None:
        self._bucket.take(len(buffer))
        self.inner.readinto(offset, buffer)
