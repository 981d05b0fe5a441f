"""Times and their places on an axis."""

from __future__ import annotations

import pytest

from hypersdk.conformance.expectations import Expected
from hypersdk.conformance.figures import figures
from hypersdk.conformance.reports.charts import TICKS, WIDTH, Axis, axis, strip
from tests.conformance.strange import samples


def test_the_axis_is_logarithmic() -> None:
    place = Axis([0.001, 1.0])
    assert [place(seconds) for seconds in (0.001, 0.01, 0.1, 1.0)] == [0, 106.7, 213.3, WIDTH]
    assert [mark.label for mark in place.grid] == ["1 ms", "10 ms", "100 ms", "1 s"]


@pytest.mark.parametrize("seconds", [[0.0], [5.0], [1e-9, 1e4]])
def test_no_time_falls_off(seconds: list[float]) -> None:
    place = Axis(seconds)
    assert all(0 <= place(each) <= WIDTH for each in (*seconds, 0.0, 1e9))


def test_a_strip() -> None:
    (found,) = figures(samples("create", 0.01, 0.1, 1.0))
    usual = Expected(0.1, 1.0)
    drawn = strip(axis([found], [usual]), found, usual)
    assert [drawn.minimum, drawn.median, drawn.maximum] == [0, 160, WIDTH]
    assert drawn.band is not None
    assert list(drawn.band) == [160, 160]
    assert list(drawn.ticks) == [0, 160, WIDTH]


def test_without_an_expectation_there_is_no_band() -> None:
    (found,) = figures(samples("create", 0.01))
    assert strip(axis([found], [None]), found, None).band is None


def test_thousands_of_samples_are_thinned_out() -> None:
    (found,) = figures(samples("status", *(0.001 * number for number in range(1, 5001))))
    assert len(strip(axis([found], [None]), found, None).ticks) <= TICKS
