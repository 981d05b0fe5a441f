from __future__ import annotations

import contextlib
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypersdk.datapath import pipeline
from hypersdk.datapath.cancel import Cancellable, CancelToken
from hypersdk.datapath.memory import MemorySink, MemorySource
from hypersdk.datapath.ports import BlockSource
from hypersdk.datapath.throttle import Throttled, TokenBucket
from hypersdk.model.errors import Interrupted, InvalidInput


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 100.0
        self.longest = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.longest = max(self.longest, seconds)
        self.now += seconds


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=30), st.integers(0, 2000))
def test_rate_is_kept_exactly(requests: list[int], burst: int) -> None:
    clock = Clock()
    bucket = TokenBucket(1000, burst, clock=clock, sleep=clock.sleep)
    for count in requests:
        bucket.take(count)
    expected = max(0.0, (sum(requests) - burst) / 1000)
    assert clock.now - 100 == pytest.approx(expected, abs=1e-6)


def test_idle_time_saves_up_to_the_burst() -> None:
    clock = Clock()
    bucket = TokenBucket(1000, 500, clock=clock, sleep=clock.sleep)
    bucket.take(500)
    clock.now += 60
    began = clock.now
    bucket.take(500)
    assert clock.now == began
    bucket.take(1000)
    assert clock.now == pytest.approx(began + 1)


def test_sleeps_in_slices() -> None:
    clock = Clock()
    TokenBucket(10, 0, clock=clock, sleep=clock.sleep).take(1000)
    assert clock.longest <= 0.2


def test_threads_share_the_rate() -> None:
    bucket = TokenBucket(1_000_000, 0)
    source = Throttled(MemorySource(bytes(300_000)), bucket)
    began = time.monotonic()
    pipeline.copy(source, MemorySink(300_000), request_size=10_000, workers=3)
    assert 0.28 < time.monotonic() - began < 2


@pytest.mark.parametrize("wrapped", [True, False])
def test_wait_is_cancellable(wrapped: bool) -> None:
    token, bucket = CancelToken(), TokenBucket(1, 0)
    memory = MemorySource(bytes(1000))
    threading.Timer(0.05, token.cancel).start()
    began = time.monotonic()
    source: BlockSource = Throttled(memory, bucket)
    if wrapped:
        source = Cancellable(source, token)
    with contextlib.nullcontext() if wrapped else token.scope(), pytest.raises(Interrupted):
        pipeline.copy(source, MemorySink(1000))
    assert time.monotonic() - began < 2


def test_rate_must_be_positive() -> None:
    with pytest.raises(InvalidInput):
        TokenBucket(0)


def test_a_rate_that_is_asked_for_changes_while_bytes_wait() -> None:
    clock, rates = Clock(), [10.0]

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        rates[0] = 10_000.0

    bucket = TokenBucket(lambda: rates[0], 0, clock=clock, sleep=sleep)
    bucket.take(10_000)  # a thousand seconds at the first rate
    assert 1 < clock.now - 100 < 3
    assert bucket.rate == 10_000


def test_no_bound_for_now_lets_everything_pass() -> None:
    clock = Clock()
    rates: list[float | None] = [None]
    bucket = TokenBucket(lambda: rates[0], 0, clock=clock, sleep=clock.sleep)
    bucket.take(1 << 40)
    assert clock.now == 100
    rates[0] = 1000.0
    clock.now += 2
    bucket.take(0)  # asks again
    began = clock.now
    bucket.take(5000)
    assert clock.now - began == pytest.approx(5, abs=0.2)
