from __future__ import annotations

import pytest

from hypersdk.api.known.spelling import duration, nanoseconds, seconds_of, told
from hypersdk.model.errors import InvalidInput, NotFound


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (1.5, "1.5s"),
        (0.0004, "0s"),
        (59.9996, "1m0s"),
        (90, "1m30s"),
        (3600, "1h0m0s"),
        (93_784.25, "26h3m4.25s"),
        (-3, "0s"),
    ],
)
def test_durations_are_written_as_go_writes_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "seconds"), [("10s", 10), ("1m30s", 90), ("1.5h", 5400), ("250ms", 0.25), (30, 30)]
)
def test_durations_are_read(text: str | float, seconds: float) -> None:
    assert seconds_of(text, "timeout") == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "10", "s", "10 s", "1m30", "-5s", 0, -1, float("nan"), 1e30])
def test_what_is_no_duration_is_refused(text: str | float) -> None:
    with pytest.raises(InvalidInput, match="timeout"):
        seconds_of(text, "timeout")


def test_nanoseconds() -> None:
    assert nanoseconds(1.5) == 1_500_000_000


def test_an_error_on_one_line() -> None:
    assert told(NotFound("no such job", hint="Look again.")) == "no such job (Look again.)"
    assert told(NotFound("no such job")) == "no such job"
