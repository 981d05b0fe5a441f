"""Calls take as long as the configuration says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from hypersdk.drivers.calls import Call
from hypersdk.drivers.mock.chance import Count, chance
from hypersdk.drivers.mock.clock import Clock


class Latency:
    """An interceptor: waits, then makes the call."""

    def __init__(
        self, latency: Mapping[str, float], jitter: float, seed: int, clock: Clock
    ) -> None:
        # The longest pattern first: it says most.
        self._latency = sorted(latency.items(), key=lambda each: -len(each[0]))
        self._jitter = jitter
        self._seed = seed
        self._clock = clock
        self._count = Count()

    def __call__(self, call: Call, go: Callable[[], Any]) -> Any:
        if (seconds := self.seconds(call)) > 0:
            self._clock.sleep(seconds)
        return go()

    def seconds(self, call: Call) -> float:
        """How long this call takes. Asking counts as calling."""
        for pattern, usual in self._latency:
            if fnmatchcase(call.operation, pattern):
                about = (call.operation, call.instance)
                drawn = chance(self._seed, "latency", *about, self._count.next(about))
                return usual * (1 + self._jitter * (2 * drawn - 1))
        return 0.0
