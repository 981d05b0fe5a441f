from __future__ import annotations

from datetime import UTC, datetime, time

import pytest

from hypersdk.jobs import calendar
from hypersdk.model.errors import InvalidInput
from hypersdk.model.schedules import Weekday, Window

BERLIN = "Europe/Berlin"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def moments(cron: str, zone: str, after: str, count: int = 3, *windows: Window) -> list[str]:
    found = calendar.preview(cron, zone, at(after), windows, count)
    return [each.strftime("%m-%dT%H:%M") for each in found]


def test_moments_are_those_of_the_zone() -> None:
    assert moments("30 2 * * *", BERLIN, "2026-01-10T00:00+00:00") == [
        "01-10T01:30", "01-11T01:30", "01-12T01:30",
    ]  # fmt: skip
    assert moments("30 2 * * *", "UTC", "2026-01-10T02:30+00:00", 1) == ["01-11T02:30"]


@pytest.mark.parametrize(
    ("alias", "first"),
    [
        ("@hourly", "01-07T13:00"),
        ("@daily", "01-08T00:00"),
        ("@midnight", "01-08T00:00"),
        ("@weekly", "01-11T00:00"),
        ("@Monthly", "02-01T00:00"),
        ("@yearly", "01-01T00:00"),
    ],
)
def test_aliases(alias: str, first: str) -> None:
    assert moments(alias, "UTC", "2026-01-07T12:30+00:00", 1) == [first]


def test_a_moment_that_the_clock_skips_comes_once_at_the_next_that_exists() -> None:
    # 2026-03-29, 02:00 → 03:00
    assert moments("30 2 * * *", BERLIN, "2026-03-28T12:00+00:00") == [
        "03-29T01:00", "03-30T00:30", "03-31T00:30",
    ]  # fmt: skip
    assert moments("0,30 2 * * *", BERLIN, "2026-03-28T12:00+00:00") == [
        "03-29T01:00", "03-30T00:00", "03-30T00:30",
    ]  # fmt: skip


def test_a_moment_that_comes_twice_is_taken_once() -> None:
    # 2026-10-25, 03:00 → 02:00: 02:30 is at 00:30 and at 01:30 UTC.
    assert moments("30 2 * * *", BERLIN, "2026-10-24T12:00+00:00") == [
        "10-25T00:30", "10-26T01:30", "10-27T01:30",
    ]  # fmt: skip
    # Looked at between the two, and between the hour's second beginning and the second 02:30.
    assert moments("30 2 * * *", BERLIN, "2026-10-25T00:30+00:00", 1) == ["10-26T01:30"]
    assert moments("30 2 * * *", BERLIN, "2026-10-25T01:15+00:00", 1) == ["10-26T01:30"]


def test_every_hour_is_an_hour_when_the_clock_changes() -> None:
    assert moments("0 * * * *", BERLIN, "2026-10-24T23:30+00:00", 4) == [
        "10-25T00:00", "10-25T01:00", "10-25T02:00", "10-25T03:00",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("cron", "zone", "field"),
    [
        ("", "UTC", "cron: "),
        ("* * * *", "UTC", "cron: "),
        ("0 0 * * * *", "UTC", "cron: "),
        ("61 * * * *", "UTC", "Bad minute"),
        ("0 0 31 2 *", "UTC", "Bad day-of-month"),
        ("@never", "UTC", "cron: "),
        ("0 2 * * *", "Europe/Berln", "zone: "),
        ("0 2 * * *", "../etc/passwd", "zone: "),
        ("0 2 * * *", "", "zone: "),
    ],
)
def test_what_is_wrong_is_named_with_an_example(cron: str, zone: str, field: str) -> None:
    with pytest.raises(InvalidInput, match=field) as caught:
        calendar.check(cron, zone)
    assert "such as" in caught.value.hint


def test_wrong_windows_are_named() -> None:
    with pytest.raises(InvalidInput, match=r"windows\[1\].zone"):
        calendar.check("@daily", "UTC", [NIGHT, Window(time(1), time(2), zone="Nowhere")])
    with pytest.raises(InvalidInput, match=r"windows\[0\].days"):
        calendar.check("@daily", "UTC", [Window(time(1), time(2), days=frozenset())])


NIGHT = Window(time(22), time(6), frozenset({Weekday.FRI}), BERLIN)
NOON = Window(time(12), time(13))


def test_a_window_over_midnight_belongs_to_the_day_on_which_it_starts() -> None:
    # 2026-01-09 is a Friday; Berlin is an hour ahead.
    assert not calendar.inside([NIGHT], at("2026-01-09T20:59+00:00"))
    assert calendar.inside([NIGHT], at("2026-01-09T21:00+00:00"))
    assert calendar.inside([NIGHT], at("2026-01-10T04:59+00:00"))
    assert not calendar.inside([NIGHT], at("2026-01-10T05:00+00:00"))
    assert not calendar.inside([NIGHT], at("2026-01-09T03:00+00:00"))  # of Thursday's night
    assert not calendar.inside([NIGHT], at("2026-01-10T22:00+00:00"))
    assert calendar.inside([], at("2026-01-10T22:00+00:00"))


def test_when_an_open_window_closes() -> None:
    assert calendar.closes([NIGHT], at("2026-01-09T23:00+00:00")) == at("2026-01-10T05:00+00:00")
    assert calendar.closes([NIGHT], at("2026-01-09T12:00+00:00")) is None
    lunch = Window(time(13), time(14))
    assert calendar.closes([NOON, lunch], at("2026-01-09T12:30+00:00")) == at(
        "2026-01-09T14:00+00:00"
    )
    assert calendar.closes([Window(time(0), time(0))], at("2026-01-09T12:30+00:00")) is None


def test_moments_outside_of_windows_are_left_out() -> None:
    assert moments("0 * * * *", "UTC", "2026-01-09T00:00+00:00", 3, NOON) == [
        "01-09T12:00", "01-10T12:00", "01-11T12:00",
    ]  # fmt: skip
    nothing = calendar.next_moment("0 3 * * *", "UTC", at("2026-01-09T00:00+00:00"), [NOON])
    assert nothing is None
