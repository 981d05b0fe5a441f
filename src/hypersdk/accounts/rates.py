"""How many requests are let through: a bucket per token that fills steadily and holds a burst."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from hypersdk.model.errors import TooManyRequests

#: Buckets kept; the one unused for longest goes first, and would be full by then.
_KEPT = 10_000


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float


class RateLimits:
    """Safe in threads. One request costs about a microsecond."""

    def __init__(
        self,
        rate: float,
        burst: float | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``rate``: requests per second, 0 for no bound. ``burst``: at once, after a quiet time;
        without it, those of two seconds."""
        self.rate = rate
        self.burst = max(1.0, burst if burst is not None else 2 * rate)
        self._clock = clock
        self._one = threading.Lock()
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, key: str) -> None:
        """Count one request of ``key``. Raises TooManyRequests, with the seconds to wait."""
        if self.rate <= 0:
            return
        with self._one:
            now = self._clock()
            bucket = self._buckets.pop(key, None) or _Bucket(self.burst, now)
            self._buckets[key] = bucket
            bucket.left = min(self.burst, bucket.left + (now - bucket.at) * self.rate)
            bucket.at = now
            if len(self._buckets) > _KEPT:
                self._buckets.popitem(last=False)
            if bucket.left >= 1:
                bucket.left -= 1
                return
            after = (1 - bucket.left) / self.rate
        raise TooManyRequests(
            f"more than {self.rate:g} requests per second",
            hint="Wait as long as Retry-After says; limits.rate_per_token is the daemon's setting.",
            after=after,
        )
