"""How durations, counts and names of strangers read."""

from __future__ import annotations

import pytest

from hypersdk.conformance.reports.words import count, printable, span, spans
from tests.conformance.strange import HOSTILE


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0.00 ms"),
        (0.00042, "0.42 ms"),
        (0.0099, "9.90 ms"),
        (0.00999, "10 ms"),
        (0.038, "38 ms"),
        (0.9996, "1.00 s"),
        (1.24, "1.24 s"),
        (9.999, "10 s"),
        (75, "75 s"),
        (99.6, "2 min"),
        (900, "15 min"),
    ],
)
def test_spans_of_time(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_ranges() -> None:
    assert spans(0.1, 0.5) == "100 to 500 ms"
    assert spans(0.5, 2) == "0.5 to 2 s"


def test_counts() -> None:
    assert [count(number, "case") for number in (0, 1, 2000)] == [
        "0 cases",
        "1 case",
        "2,000 cases",
    ]


def test_what_strangers_write() -> None:
    assert printable(HOSTILE).isprintable()
    assert printable("a\nb\x07", keep="\n") == "a\nb\\x07"
    assert printable("plain é") == "plain é"
