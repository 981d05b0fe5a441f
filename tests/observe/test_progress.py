from __future__ import annotations

import threading

import pytest

from hypersdk.model.progress import Progress
from hypersdk.observe.progress import Amounts, Counters, ProgressTicker


class Clock:
    """Time set by the test, in seconds."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_counters_add_up_over_threads() -> None:
    counters = Counters()

    def work() -> None:
        for _ in range(1000):
            counters.add(read=1, stored=2, zero=3, unchanged=4)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counters.amounts == Amounts(4000, 8000, 12_000, 16_000)
    assert counters.amounts.done == 32_000


def test_events_come_at_most_five_times_a_second() -> None:
    clock, counters, events = Clock(), Counters(), list[Progress]()
    with ProgressTicker("disk", 10_000, counters, events.append, clock=clock):
        for step in range(1000):
            clock.now = step / 100
            counters.add(read=10)
    assert 45 <= len(events) <= 52
    assert [event.finished for event in events] == [False] * (len(events) - 1) + [True]
    assert events[-1].done == 10_000
    assert events[-1].seconds == pytest.approx(9.99)


def test_rate_and_time_left_follow_the_last_seconds() -> None:
    clock, counters, events = Clock(), Counters(), list[Progress]()
    with ProgressTicker("disk", 100_000, counters, events.append, clock=clock):
        for _ in range(20):  # fast at first: 1000 bytes per second
            clock.now += 1
            counters.add(read=1000)
        for _ in range(20):  # then slow
            clock.now += 1
            counters.add(read=100)
        event = events[-1]
    assert event.rate == pytest.approx(100, rel=0.01)
    assert event.eta == pytest.approx((100_000 - 22_000) / 100, rel=0.01)


def test_time_left_counts_zero_areas_as_progress() -> None:
    clock, counters, events = Clock(), Counters(), list[Progress]()
    with ProgressTicker("disk", 1000, counters, events.append, clock=clock):
        clock.now = 1
        counters.add(zero=500)
        assert events[-1].eta == pytest.approx(1)
        assert events[-1].rate == 0


def test_time_left_is_unknown_while_nothing_happens() -> None:
    clock, events = Clock(), list[Progress]()
    with ProgressTicker("disk", 1000, Counters(), events.append, clock=clock) as ticker:
        ticker.tick()
    assert events[0].eta is None


def test_last_event_comes_after_an_error_too() -> None:
    counters, events = Counters(), list[Progress]()
    with pytest.raises(ValueError, match="x"), ProgressTicker("d", 10, counters, events.append):
        raise ValueError("x")
    assert [event.finished for event in events] == [True]
    counters.add(read=1)
    assert len(events) == 1


def test_done_never_exceeds_the_total() -> None:
    counters, events = Counters(), list[Progress]()
    with ProgressTicker("d", 10, counters, events.append):
        counters.add(read=11)
    assert events[-1].done == 10
    assert events[-1].read == 11
