"""Keeping a copy below a rate, so that a backup does not starve the guests beside it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from hypersdk.datapath.cancel import WAIT_SLICE, token_in_force
from hypersdk.datapath.ports import BlockSource
from hypersdk.datapath.wrapping import WrappedSource
from hypersdk.model.errors import InvalidInput


class TokenBucket:
    """``rate`` bytes per second over time, up to ``burst`` bytes at once. Shared by threads.

    Whoever takes more than there is goes into debt and waits until it is paid, so a request
    larger than the burst is served too, and n bytes never take less than (n - burst) / rate
    seconds. ``clock`` and ``sleep`` are seconds, as in the time module.
    """

    def __init__(
        self,
        rate: float,
        burst: float | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if rate <= 0:
            raise InvalidInput(f"a rate of {rate} bytes per second never ends")
        self._rate = rate
        # Default: a fifth of a second's worth, enough to hide the jitter of sleeping.
        self._burst = rate / 5 if burst is None else burst
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._level = self._burst
        self._filled = clock()

    def take(self, count: int) -> None:
        """Return when ``count`` bytes may pass. Raises Interrupted when cancelled meanwhile."""
        with self._lock:
            now = self._clock()
            gained = (now - self._filled) * self._rate
            self._level = min(self._burst, self._level + gained) - count
            self._filled = now
            due = now - min(self._level, 0.0) / self._rate
        token = token_in_force()
        while (left := due - self._clock()) > 0:
            token.check()
            self._sleep(min(left, WAIT_SLICE))


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
