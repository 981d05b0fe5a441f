"""The time of a mock hypervisor, so that tests need not wait for it."""

from __future__ import annotations

import threading
import time
from typing import Protocol

from hypersdk.datapath.cancel import token_in_force


class Clock(Protocol):
    """Any thread may ask and wait."""

    def now(self) -> float:
        """Seconds since the epoch."""
        ...

    def sleep(self, seconds: float, *, stubborn: bool = False) -> None:
        """Raises Interrupted as soon as the token in force is cancelled; ``stubborn``: does not
        look at it."""
        ...


class SystemClock:
    """The machine's own."""

    def now(self) -> float:
        return time.time()

    def sleep(self, seconds: float, *, stubborn: bool = False) -> None:
        if stubborn:
            time.sleep(seconds)
        else:
            token_in_force().wait(seconds)


class FakeClock:
    """Time that passes when it is told to. For tests.

    ``waiting=False``: who sleeps wakes at once, and that much later it is. ``waiting=True``: who
    sleeps waits until another thread has moved the time on with ``advance``.
    """

    #: Real seconds between looks at the token.
    _LOOK_SECONDS = 0.01

    def __init__(self, now: float = 1_000_000_000.0, *, waiting: bool = False) -> None:
        self._now = now
        self._waiting = waiting
        self._moved = threading.Condition()
        #: Every sleep that was asked for, in order, in seconds.
        self.sleeps: list[float] = []

    def now(self) -> float:
        with self._moved:
            return self._now

    def advance(self, seconds: float) -> None:
        """Move the time on, and wake those whose time has come."""
        with self._moved:
            self._now += seconds
            self._moved.notify_all()

    def sleep(self, seconds: float, *, stubborn: bool = False) -> None:
        if not stubborn:
            token_in_force().check()
        with self._moved:
            self.sleeps.append(seconds)
            if not self._waiting:
                self._now += seconds
                return
            until = self._now + seconds
            while self._now < until:
                if not stubborn:
                    token_in_force().check()
                self._moved.wait(self._LOOK_SECONDS)
