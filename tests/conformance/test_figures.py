"""Medians and percentiles of raw samples, and what counts as slower."""

from __future__ import annotations

import pytest

from hypersdk.conformance.figures import NOISE, Figures, figures, slower
from tests.conformance.strange import samples


def of(*seconds: float) -> Figures:
    (found,) = figures(samples("create", *seconds))
    return found


def test_figures_of_a_hundred_and_one() -> None:
    found = of(*(float(number) for number in range(101)))
    assert (found.minimum, found.median, found.p95, found.p99, found.maximum) == (
        0,
        50,
        95,
        99,
        100,
    )
    assert found.count == 101


def test_one_sample_is_all_of_them() -> None:
    found = of(0.5)
    assert {found.minimum, found.median, found.p95, found.p99, found.maximum} == {0.5}


def test_operations_keep_their_order_and_samples() -> None:
    found = figures((*samples("start", 1.0, 3.0), *samples("create", 2.0)))
    assert [(each.operation, each.samples) for each in found] == [
        ("start", (1.0, 3.0)),
        ("create", (2.0,)),
    ]
    assert figures(()) == ()


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ((0.10, 0.11, 0.12), (0.30, 0.31, 0.32), True),
        ((0.10, 0.11, 0.12), (0.12, 0.13, 0.14), False),  # less than a quarter
        ((0.10, 0.11, 0.40), (0.20, 0.21, 0.22), False),  # within what was seen before
        ((0.0001, 0.0001), (0.0009, 0.0009), False),  # less than the machine's noise
        ((0.30, 0.31, 0.32), (0.10, 0.11, 0.12), False),
    ],
)
def test_slower(before: tuple[float, ...], now: tuple[float, ...], expected: bool) -> None:
    assert slower(of(*before), of(*now)) is expected


def test_the_threshold() -> None:
    before, now = of(0.10, 0.10), of(0.14, 0.14)
    assert slower(before, now, threshold=0.3)
    assert not slower(before, now, threshold=0.5)
    assert NOISE < 0.04
