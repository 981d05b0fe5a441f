"""Backups by calendar: each period has a repository of its own, and whole old periods go.

Pure: moments are handed in, nothing is read or removed here. Periods go by the calendar of the
time zone that the moment carries, the way people name months.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum

#: What begins the name of a period's folder, and of nothing else.
_PREFIX = "vmsnap-backup-"


class Grouping(Enum):
    """How long a period is."""

    MONTH = "month"
    QUARTER = "quarter"
    BI_ANNUAL = "bi-annual"
    YEAR = "year"

    @property
    def months(self) -> int:
        """Length of a period."""
        return _MONTHS[self]


_MONTHS = {
    Grouping.MONTH: 1,
    Grouping.QUARTER: 3,
    Grouping.BI_ANNUAL: 6,
    Grouping.YEAR: 12,
}
#: Whole days after which the periods before are not needed any more.
_HALF_DAYS = {
    Grouping.MONTH: 15,
    Grouping.QUARTER: 45,
    Grouping.BI_ANNUAL: 90,
    Grouping.YEAR: 180,
}
_LABELS = {
    Grouping.MONTH: re.compile(r"monthly-(?P<year>\d{4})-(?P<part>0[1-9]|1[0-2])"),
    Grouping.QUARTER: re.compile(r"quarterly-(?P<year>\d{4})-Q(?P<part>[1-4])"),
    Grouping.BI_ANNUAL: re.compile(r"bi-annually-(?P<year>\d{4})-p(?P<part>[12])"),
    Grouping.YEAR: re.compile(r"yearly-(?P<year>\d{4})(?P<part>)"),
}


@dataclass(frozen=True, slots=True)
class Period:
    """One month, quarter, half or whole year."""

    grouping: Grouping
    year: int
    #: Which one of its year, from 1.
    part: int

    @classmethod
    def at(cls, now: datetime, grouping: Grouping) -> Period:
        """The period that holds a moment."""
        return cls(grouping, now.year, (now.month - 1) // grouping.months + 1)

    @classmethod
    def parse(cls, folder: str) -> Period | None:
        """The period whose folder has this name, None for any other name."""
        for grouping, label in _LABELS.items():
            found = label.fullmatch(folder.removeprefix(_PREFIX))
            if found and folder.startswith(_PREFIX) and folder.isascii() and found["year"] > "0000":
                return cls(grouping, int(found["year"]), int(found["part"] or 1))
        return None

    @property
    def folder(self) -> str:
        """``vmsnap-backup-monthly-2026-11``, ``…-quarterly-2026-Q4``, ``…-bi-annually-2026-p2``,
        ``…-yearly-2026``."""
        label = {
            Grouping.MONTH: f"monthly-{self.year:04}-{self.part:02}",
            Grouping.QUARTER: f"quarterly-{self.year:04}-Q{self.part}",
            Grouping.BI_ANNUAL: f"bi-annually-{self.year:04}-p{self.part}",
            Grouping.YEAR: f"yearly-{self.year:04}",
        }
        return _PREFIX + label[self.grouping]

    @property
    def start(self) -> date:
        """Its first day."""
        return date(self.year, (self.part - 1) * self.grouping.months + 1, 1)


def half_over(now: datetime, grouping: Grouping) -> bool:
    """Whether the period of ``now`` began 15, 45, 90 or 180 whole days ago, or earlier."""
    start = Period.at(now, grouping).start
    return (now.date() - start).days >= _HALF_DAYS[grouping]


def periods(folders: Iterable[str], grouping: Grouping | None = None) -> list[Period]:
    """The periods among names of folders, of one grouping when it is named; newest first."""
    return sorted(
        (period for period in _parsed(folders) if grouping in (None, period.grouping)),
        key=lambda period: (period.start, -period.grouping.months),
        reverse=True,
    )


def prunable(
    folders: Iterable[str], now: datetime, grouping: Grouping, *, verified: bool
) -> list[Period]:
    """Periods whose backups of an instance may go, oldest first.

    These are all before the current one, once that is at least half over and holds a complete
    backup of the instance which was ``verified``. Periods of another grouping are left alone.
    """
    if not verified or not half_over(now, grouping):
        return []
    start = Period.at(now, grouping).start
    return [period for period in reversed(periods(folders, grouping)) if period.start < start]


def _parsed(folders: Iterable[str]) -> Iterator[Period]:
    for folder in folders:
        period = Period.parse(folder)
        if period is not None:
            yield period
