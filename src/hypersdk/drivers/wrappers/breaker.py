"""Leaving a hypervisor alone that fails again and again: one circuit breaker per hypervisor.

Only what speaks about the hypervisor's health counts: it is unreachable, or left a call
unanswered. "No such instance" is a good answer of a healthy hypervisor.

The library keeps the states and counts. Its own way of calling is not used: it would hold a lock
during the call, and a hypervisor would be asked one thing at a time.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

import pybreaker

from hypersdk.drivers.calls import Call
from hypersdk.model.errors import (
    CircuitOpen,
    HyperSDKError,
    HypervisorUnreachable,
    Interrupted,
    NoAnswer,
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerRules:
    """When a breaker opens, and for how long."""

    #: Failures without a success between them.
    failures: int = 5
    #: Seconds before one call is let through to see whether the hypervisor is back.
    rest: float = 30.0


class BreakerState(Enum):
    """Calls pass; calls are refused; one call passes to see whether the hypervisor is back."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@dataclass(frozen=True, slots=True)
class BreakerStatus:
    """A breaker at one moment."""

    state: BreakerState = BreakerState.CLOSED
    #: Failures since the last success.
    failures: int = 0
    #: Seconds until a call is let through again; 0 when calls pass.
    retry_in: float = 0.0


class _Unhealthy(Exception):
    """What the library is told instead of the error itself, which it would hold on to."""


class Breaker:
    """The interceptor. Shared by all who speak with one hypervisor."""

    def __init__(
        self, rules: BreakerRules | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rules = rules or BreakerRules()
        self._clock = clock
        self._lock = threading.Lock()
        self._circuit = pybreaker.CircuitBreaker(
            fail_max=self._rules.failures, throw_new_error_on_trip=False
        )
        self._opened = 0.0
        self._trying = False

    def __call__(self, call: Call, go: Callable[[], Any]) -> Any:
        trial = self._admit(call)
        healthy: bool | None = None
        try:
            answer = go()
            healthy = True
        except Exception as error:
            healthy = _health(error)
            raise
        else:
            return answer
        finally:
            self._note(call, healthy, trial=trial)

    def status(self) -> BreakerStatus:
        """Its state now."""
        with self._lock:
            state = BreakerState(self._circuit.current_state)
            left = self._left() if state is BreakerState.OPEN else 0.0
            return BreakerStatus(state, self._circuit.fail_counter, left)

    def _admit(self, call: Call) -> bool:
        """Whether the call is the one that tries. Raises CircuitOpen."""
        with self._lock:
            if self._circuit.current_state == pybreaker.STATE_CLOSED:
                return False
            left = self._left()
            if self._circuit.current_state == pybreaker.STATE_OPEN and left > 0:
                raise CircuitOpen(
                    f"{call.hypervisor} failed {self._circuit.fail_counter} times in a row "
                    f"and is left alone, so {call.operation} was not tried",
                    hint=f"It is tried again in {left:.0f} s.",
                )
            if self._trying:
                raise CircuitOpen(
                    f"{call.hypervisor} is just being tried again after it failed, "
                    f"so {call.operation} was not tried",
                    hint="Try again in a moment.",
                )
            self._circuit.half_open()
            self._trying = True
            return True

    def _note(self, call: Call, healthy: bool | None, *, trial: bool) -> None:
        with self._lock:
            if trial:
                self._trying = False
            before = self._circuit.current_state
            if healthy is None or (before != pybreaker.STATE_CLOSED and not trial):
                return  # it says nothing, or is late: the call began before the breaker opened
            if healthy and self._circuit.fail_counter == 0 and not trial:
                return  # as nearly always; nothing to note
            with contextlib.suppress(_Unhealthy):
                self._circuit.call(_replay, healthy)
            after = self._circuit.current_state
            if after == pybreaker.STATE_OPEN:
                self._opened = self._clock()
        if after != before:
            _log.warning("the circuit breaker of %s is %s", call.hypervisor, after)

    def _left(self) -> float:
        return max(self._opened + self._rules.rest - self._clock(), 0.0)


def _replay(healthy: bool) -> None:
    if not healthy:
        raise _Unhealthy


def _health(error: Exception) -> bool | None:
    """Whether a hypervisor that answers so is well; None when the error does not say."""
    if isinstance(error, CircuitOpen | Interrupted):
        return None
    if isinstance(error, HypervisorUnreachable | NoAnswer):
        return False
    return True if isinstance(error, HyperSDKError) else None


class Breakers:
    """The breakers of this process, by the URL of their hypervisor."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._breakers: dict[str, Breaker] = {}

    def of(
        self,
        url: str,
        rules: BreakerRules | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> Breaker:
        """The breaker of a hypervisor. ``rules`` and ``clock`` matter to whoever asks first."""
        with self._lock:
            if url not in self._breakers:
                self._breakers[url] = Breaker(rules, clock=clock)
            return self._breakers[url]

    def status(self, url: str) -> BreakerStatus:
        """Of a hypervisor that nobody has called yet: closed."""
        with self._lock:
            breaker = self._breakers.get(url)
        return breaker.status() if breaker is not None else BreakerStatus()


#: Those that are used when no others are given.
BREAKERS = Breakers()
