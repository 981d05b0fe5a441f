"""What was expected, and what a median is worth beside it."""

from __future__ import annotations

import pytest

from hypersdk.conformance.expectations import EXPECTATIONS, Expected, expected


@pytest.mark.parametrize(
    ("driver", "operation", "text"),
    [
        ("libvirt", "start", "10 to 30 s"),
        ("qmp", "start", "10 to 30 s"),
        ("docker", "create", "100 to 500 ms"),
        ("containerd", "create", "200 to 800 ms"),
        ("mock", "start", "0.5 to 2 s"),
    ],
)
def test_the_table(driver: str, operation: str, text: str) -> None:
    assert str(expected(driver, operation)) == text


def test_nobody_expects_everything() -> None:
    assert expected("mock", "list") is None
    assert expected("acme", "create") is None


@pytest.mark.parametrize(
    ("median", "verdict"),
    [(0.05, "faster"), (0.1, "within"), (0.3, "within"), (0.5, "within"), (0.51, "slower")],
)
def test_verdicts(median: float, verdict: str) -> None:
    assert Expected(0.1, 0.5).verdict(median) == verdict


def test_ranges_are_ranges() -> None:
    assert all(each.low < each.high for table in EXPECTATIONS.values() for each in table.values())
