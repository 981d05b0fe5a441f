from __future__ import annotations

import random

import pytest

from hypersdk.jobs.retrying import bound, delay, tried_again
from hypersdk.model.errors import HypervisorUnreachable, InvalidInput, StoreDenied
from hypersdk.model.jobs import Backoff, RetryPolicy


@pytest.mark.parametrize(
    ("backoff", "seconds"),
    [
        (Backoff.LINEAR, [10, 20, 30, 40, 50, 60]),
        (Backoff.EXPONENTIAL, [10, 20, 40, 80, 100, 100]),
        (Backoff.FIBONACCI, [10, 10, 20, 30, 50, 80]),
    ],
)
def test_waits_grow_up_to_the_longest(backoff: Backoff, seconds: list[float]) -> None:
    policy = RetryPolicy(attempts=99, delay=10, longest=100, backoff=backoff)
    assert [bound(policy, failures) for failures in range(1, 7)] == seconds


@pytest.mark.parametrize("backoff", Backoff)
def test_a_thousand_failures_wait_no_longer_than_the_longest(backoff: Backoff) -> None:
    policy = RetryPolicy(attempts=2000, delay=10, longest=100, backoff=backoff)
    assert bound(policy, 1000) == 100


def test_jitter_covers_all_of_the_wait() -> None:
    policy = RetryPolicy(attempts=5, delay=10)
    waits = [delay(policy, 1, random.Random(seed)) for seed in range(200)]
    assert min(waits) < 1 < 9 < max(waits) <= 10


def test_only_what_may_pass_or_is_named_is_tried_again() -> None:
    policy = RetryPolicy(attempts=3, errors=("StoreError",))
    assert tried_again(policy, 1, HypervisorUnreachable("gone"))
    assert tried_again(policy, 2, StoreDenied("of a class that is named"))
    assert not tried_again(policy, 1, InvalidInput("no"))
    assert not tried_again(policy, 3, HypervisorUnreachable("gone"))
    assert not tried_again(RetryPolicy(), 1, HypervisorUnreachable("gone"))
