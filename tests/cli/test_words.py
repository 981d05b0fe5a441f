from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from hypersdk.cli import words


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (12.3, "12 s"),
        (200, "3 min 20 s"),
        (7500, "2 h 05 min"),
        (3599.7, "1 h"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text


def test_moment_is_utc_whatever_the_zone() -> None:
    east = timezone(timedelta(hours=2))
    assert words.moment(datetime(2026, 11, 21, 4, 0, tzinfo=east)) == "2026-11-21T02:00:00Z"
    assert words.moment(datetime(2026, 11, 21, 2, 0, 0, 999, UTC)) == "2026-11-21T02:00:00Z"


def test_nothing_has_no_ratio_and_no_speed() -> None:
    assert words.ratio(0, 5) == "-"
    assert words.ratio(5, 0) == "-"
    assert words.ratio(5, 2) == "2.5"
    assert words.speed(1 << 20, 0) == "-"
    assert words.speed(10 << 20, 2) == "5"


def test_count() -> None:
    assert words.count(1, "pack") == "1 pack"
    assert words.count(0, "pack") == "0 packs"
    assert words.count(1_234_567, "chunk") == "1,234,567 chunks"
