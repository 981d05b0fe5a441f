from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from hypersdk.model.errors import InvalidInput, PointNotFound
from hypersdk.model.instances import Consistency
from hypersdk.model.points import RestorePoint
from hypersdk.repository.find import find_point, parse_time


def point(identity: str, instance: str, day: int) -> RestorePoint:
    moment = datetime(2026, 11, day, 3, 0, tzinfo=UTC)
    return RestorePoint(identity, instance, moment, moment, "", (), Consistency.CRASH)


POINTS = [
    point("01AAAA0000", "web", 1),
    point("01AAAB0000", "web", 2),
    point("01AABB0000", "web", 3),
    point("01BBBB0000", "db@north", 3),
    point("01CCCC0000", "01CCCC", 4),
    point("01CCCC1111", "other", 5),
]


@pytest.mark.parametrize(
    ("reference", "found"),
    [
        ("01AAAB0000", "01AAAB0000"),
        ("01aaab", "01AAAB0000"),
        ("01BB", "01BBBB0000"),
        ("web", "01AABB0000"),
        ("web@latest", "01AABB0000"),
        ("web@2026-11-02", "01AAAB0000"),
        ("web@2026-11-02T02:59", "01AAAA0000"),
        ("web@2026-11-02T03:00", "01AAAB0000"),
        ("web@2026-11-02T04:30+02:00", "01AAAA0000"),
        ("web@20261102T030000Z", "01AAAB0000"),
        ("db@north", "01BBBB0000"),
        ("db@north@latest", "01BBBB0000"),
        ("01CCCC", "01CCCC0000"),  # a name wins over the beginning of an id
        ("01CCCC1", "01CCCC1111"),
    ],
)
def test_what_is_meant(reference: str, found: str) -> None:
    assert find_point(POINTS, reference).id == found


@pytest.mark.parametrize(
    ("reference", "message", "hint"),
    [
        ("wep", "'wep'", "Did you mean web?"),
        ("wep@latest", "'wep@latest'", "Did you mean web?"),
        ("mail", "'mail'", "Instances here: 01CCCC, db@north, other, web."),
        ("01AA", "3 restore points begin with 01AA", "01AAAA0000, 01AAAB0000"),
        ("01B", "'01B'", "Instances here"),  # too short for the beginning of an id
        ("web@2026-10-31", "at or before 2026-10-31 23:59:59", "2026-11-01 03:00:00"),
        ("", "''", "Instances here"),
        ("@", "'@'", "Instances here"),
    ],
)
def test_nothing_is_meant(reference: str, message: str, hint: str) -> None:
    with pytest.raises(PointNotFound) as caught:
        find_point(POINTS, reference)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_an_empty_repository_says_so() -> None:
    with pytest.raises(PointNotFound) as caught:
        find_point([], "web")
    assert caught.value.hint == "The repository has no restore points yet."


def test_many_names_are_cut_short() -> None:
    many = [replace(POINTS[0], instance=f"vm{number:02}") for number in range(30)]
    with pytest.raises(PointNotFound) as caught:
        find_point(many, "zzzz")
    assert caught.value.hint.endswith("vm09….")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-21", datetime(2026, 11, 21, 23, 59, 59, 999999, tzinfo=UTC)),
        ("2026-11-21T02:00", datetime(2026, 11, 21, 2, tzinfo=UTC)),
        ("2026-11-21 02:00:05", datetime(2026, 11, 21, 2, 0, 5, tzinfo=UTC)),
        ("2026-11-21T02:00Z", datetime(2026, 11, 21, 2, tzinfo=UTC)),
        ("2026-11-21T02:00+05:30", datetime(2026, 11, 20, 20, 30, tzinfo=UTC)),
    ],
)
def test_times(text: str, moment: datetime) -> None:
    assert parse_time(text) == moment


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "2026-11-21T25:00", "21.11.2026"])
def test_no_time(text: str) -> None:
    with pytest.raises(InvalidInput, match="is not a time"):
        parse_time(text)
    with pytest.raises(InvalidInput):
        find_point(POINTS, f"web@{text}")
