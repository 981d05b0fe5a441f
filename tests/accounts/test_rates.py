from __future__ import annotations

import pytest

from hypersdk.accounts.rates import RateLimits
from hypersdk.model.errors import TooManyRequests
from tests.accounts.conftest import Seconds


def taken(rates: RateLimits, key: str, times: int) -> int:
    passed = 0
    for _ in range(times):
        try:
            rates.take(key)
        except TooManyRequests:
            continue
        passed += 1
    return passed


def test_a_burst_and_then_the_rate(seconds: Seconds) -> None:
    rates = RateLimits(10, 5, clock=seconds)
    assert taken(rates, "a", 20) == 5
    seconds.now += 0.375
    assert taken(rates, "a", 20) == 3
    seconds.now += 1000
    assert taken(rates, "a", 20) == 5


def test_it_says_how_long_to_wait(seconds: Seconds) -> None:
    rates = RateLimits(2, 1, clock=seconds)
    rates.take("a")
    with pytest.raises(TooManyRequests) as caught:
        rates.take("a")
    assert caught.value.after == pytest.approx(0.5)
    seconds.now += caught.value.after
    rates.take("a")


def test_each_has_its_own(seconds: Seconds) -> None:
    rates = RateLimits(1, 1, clock=seconds)
    rates.take("a")
    rates.take("b")


def test_none(seconds: Seconds) -> None:
    assert taken(RateLimits(0, clock=seconds), "a", 10_000) == 10_000
