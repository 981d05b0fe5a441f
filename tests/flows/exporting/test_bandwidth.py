from __future__ import annotations

import time

import pytest

from hypersdk.flows.exporting.bandwidth import WINDOW, Bound
from hypersdk.flows.exporting.options import Bandwidth

MIB = 1 << 20


class Clock:
    """Moves when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def pass_window(self) -> None:
        self.now += WINDOW + 0.1


def test_bytes_take_their_time() -> None:
    bound = Bound(Bandwidth(rate=MIB, burst=MIB // 4))
    began = time.monotonic()
    bound.take(MIB // 2)
    assert time.monotonic() - began >= 0.24


def test_a_fixed_rate_does_not_move() -> None:
    clock = Clock()
    bound = Bound(Bandwidth(rate=MIB), clock=clock)
    clock.pass_window()
    bound.failed()
    assert bound.rate == MIB


def test_errors_halve_it_and_quiet_raises_it_again() -> None:
    clock = Clock()
    bound = Bound(Bandwidth(rate=20 * MIB, adaptive=True), clock=clock)
    clock.pass_window()
    bound.failed()
    assert bound.rate == 10 * MIB
    clock.pass_window()
    bound.passed(MIB, 0.001)
    assert bound.rate == 11 * MIB


def test_slow_reads_lower_it_down_to_a_floor() -> None:
    clock = Clock()
    bound = Bound(Bandwidth(rate=20 * MIB, adaptive=True), clock=clock)
    bound.passed(MIB, 0.001)
    for _ in range(40):
        clock.pass_window()
        bound.passed(MIB, 1.0)
    assert bound.rate == pytest.approx(MIB)


def test_it_never_exceeds_the_most() -> None:
    clock = Clock()
    bound = Bound(Bandwidth(rate=MIB, adaptive=True), clock=clock)
    for _ in range(5):
        clock.pass_window()
        bound.passed(MIB, 0.001)
    assert bound.rate == MIB


def test_a_share_that_changes_is_followed() -> None:
    share: list[int | None] = [4 * MIB]
    clock = Clock()
    bound = Bound(Bandwidth(rate=lambda: share[0], adaptive=True), clock=clock)
    clock.pass_window()
    bound.failed()
    assert bound.rate == 2 * MIB
    share[0] = MIB
    assert bound.rate == MIB // 2
    share[0] = None
    assert bound.rate is None
