"""When a failed run is tried again. Pure."""

from __future__ import annotations

import random

from hypersdk.model.jobs import Backoff, RetryPolicy

#: Doubling beyond this is beyond every ``longest``, and beyond what a float holds.
_DOUBLINGS = 60


def tried_again(policy: RetryPolicy, failures: int, error: BaseException) -> bool:
    """Whether another run follows. ``failures``: runs that failed, this one included.

    An error counts when it may pass by itself (``retryable``), or when the policy names its class
    or one that it is of.
    """
    if failures >= policy.attempts:
        return False
    if getattr(error, "retryable", False):
        return True
    return any(known.__name__ in policy.errors for known in type(error).__mro__)


def delay(policy: RetryPolicy, failures: int, chance: random.Random) -> float:
    """Seconds until the next run: anything up to the backoff's bound, so that jobs which failed
    together do not come back together (full jitter)."""
    return chance.uniform(0.0, bound(policy, failures))


def bound(policy: RetryPolicy, failures: int) -> float:
    """Seconds at most before the next run, after so many failures."""
    if policy.backoff is Backoff.LINEAR:
        factor = failures
    elif policy.backoff is Backoff.EXPONENTIAL:
        factor = 1 << min(failures - 1, _DOUBLINGS)
    else:
        factor = _fibonacci(failures)
    return min(policy.delay * factor, policy.longest)


def _fibonacci(number: int) -> int:
    """1, 1, 2, 3, 5 …"""
    before, now = 0, 1
    for _ in range(min(number, _DOUBLINGS) - 1):
        before, now = now, before + now
    return now
