"""Asking a hypervisor no more often than agreed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from hypersdk.datapath.throttle import TokenBucket
from hypersdk.drivers.calls import Call
from hypersdk.model.errors import InvalidInput


class RateLimited:
    """``rate`` calls per second over time, ``burst`` at once; a call waits until it is its turn.

    The wait obeys the token in force. All threads share the rate.
    """

    def __init__(
        self,
        rate: float,
        burst: float = 1.0,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if rate <= 0 or burst < 1:
            raise InvalidInput(f"{rate} calls per second, {burst} at once, lets no call pass")
        self._bucket = TokenBucket(rate, burst, clock=clock, sleep=sleep)

    def __call__(self, call: Call, go: Callable[[], Any]) -> Any:  # noqa: ARG002 - all cost the same
        self._bucket.take(1)
        return go()
