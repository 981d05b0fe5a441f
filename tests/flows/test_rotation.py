from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypersdk.flows.rotation import Grouping, Period, half_over, periods, prunable

EAST = timezone(timedelta(hours=14))
#: Days of years with four digits, and their noon.
moments = st.dates(date(1000, 1, 1), date(9998, 1, 1)).map(
    lambda day: datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
)
groupings = st.sampled_from(Grouping)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "grouping", "folder"),
    [
        ("2026-11-21", Grouping.MONTH, "vmsnap-backup-monthly-2026-11"),
        ("2026-01-01", Grouping.MONTH, "vmsnap-backup-monthly-2026-01"),
        ("2026-03-31T23:59:59", Grouping.QUARTER, "vmsnap-backup-quarterly-2026-Q1"),
        ("2026-04-01", Grouping.QUARTER, "vmsnap-backup-quarterly-2026-Q2"),
        ("2026-12-31", Grouping.QUARTER, "vmsnap-backup-quarterly-2026-Q4"),
        ("2026-06-30T23:59:59", Grouping.BI_ANNUAL, "vmsnap-backup-bi-annually-2026-p1"),
        ("2026-07-01", Grouping.BI_ANNUAL, "vmsnap-backup-bi-annually-2026-p2"),
        ("2024-06-29", Grouping.BI_ANNUAL, "vmsnap-backup-bi-annually-2024-p1"),  # a leap year
        ("2026-12-31", Grouping.YEAR, "vmsnap-backup-yearly-2026"),
    ],
)
def test_names_of_folders(moment: str, grouping: Grouping, folder: str) -> None:
    assert Period.at(at(moment), grouping).folder == folder


def test_periods_go_by_the_time_zone_that_is_handed_in() -> None:
    moment = datetime(2026, 10, 31, 12, tzinfo=UTC)
    assert Period.at(moment, Grouping.MONTH).part == 10
    assert Period.at(moment.astimezone(EAST), Grouping.MONTH).part == 11


@given(moments, groupings)
def test_a_folder_leads_back_to_its_period(now: datetime, grouping: Grouping) -> None:
    period = Period.at(now, grouping)
    assert Period.parse(period.folder) == period
    assert period.start <= now.date()
    # The day before its start belongs to another period.
    eve = datetime.combine(period.start, datetime.min.time(), UTC) - timedelta(days=1)
    assert Period.at(eve, grouping) != period


@pytest.mark.parametrize(
    "folder",
    [
        "web",
        "monthly-2026-11",
        "vmsnap-backup-monthly-2026-13",
        "vmsnap-backup-monthly-2026-00",
        "vmsnap-backup-monthly-2026-1",
        "vmsnap-backup-monthly-2026-11 ",
        "vmsnap-backup-monthly-0000-01",
        "vmsnap-backup-monthly-२०२६-11",
        "vmsnap-backup-quarterly-2026-Q5",
        "vmsnap-backup-bi-annually-2026-p3",
        "vmsnap-backup-yearly-2026-01",
        "xvmsnap-backup-yearly-2026",
        "undefined",
        "",
    ],
)
def test_other_folders_are_no_periods(folder: str) -> None:
    assert Period.parse(folder) is None


@pytest.mark.parametrize(
    ("grouping", "start", "days"),
    [
        (Grouping.MONTH, "2026-11-01", 15),
        (Grouping.QUARTER, "2026-10-01", 45),
        (Grouping.BI_ANNUAL, "2026-07-01", 90),
        (Grouping.YEAR, "2026-01-01", 180),
    ],
)
def test_half_over_to_the_day(grouping: Grouping, start: str, days: int) -> None:
    first = at(start)
    assert not half_over(first, grouping)
    assert not half_over(first + timedelta(days=days, seconds=-1), grouping)
    assert half_over(first + timedelta(days=days), grouping)


def test_all_older_periods_may_go_and_no_other() -> None:
    folders = [
        "vmsnap-backup-monthly-2026-12",  # by a clock that was wrong
        "vmsnap-backup-monthly-2026-11",
        "vmsnap-backup-monthly-2026-10",
        "vmsnap-backup-monthly-2025-11",
        "vmsnap-backup-quarterly-2026-Q1",
        "vmsnap-backup-yearly-2020",
        "web",
    ]
    now = at("2026-11-20")
    assert [period.folder for period in prunable(folders, now, Grouping.MONTH, verified=True)] == [
        "vmsnap-backup-monthly-2025-11",
        "vmsnap-backup-monthly-2026-10",
    ]
    assert prunable(folders, now, Grouping.MONTH, verified=False) == []
    assert prunable(folders, at("2026-11-15"), Grouping.MONTH, verified=True) == []


@given(st.lists(st.tuples(moments, groupings)), moments, groupings, st.booleans())
def test_what_may_go_is_older_and_the_current_one_stays(
    kept: list[tuple[datetime, Grouping]], now: datetime, grouping: Grouping, verified: bool
) -> None:
    folders = {Period.at(moment, each).folder for moment, each in kept}
    current = Period.at(now, grouping)
    gone = prunable(folders | {current.folder}, now, grouping, verified=verified)
    assert current not in gone
    assert all(period.grouping is grouping and period.start < current.start for period in gone)
    assert gone == sorted(gone, key=lambda period: period.start)
    if gone:
        assert verified
        assert half_over(now, grouping)
    elif verified and half_over(now, grouping):
        older = [p for p in periods(folders, grouping) if p.start < current.start]
        assert older == []


@given(st.lists(st.text(max_size=40)), moments, groupings)
def test_foreign_folders_never_go(folders: list[str], now: datetime, grouping: Grouping) -> None:
    gone = prunable(folders, now, grouping, verified=True)
    assert {period.folder for period in gone} <= set(folders)
