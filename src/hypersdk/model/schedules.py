"""Schedules: jobs that begin by themselves, and when they must not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time
from enum import Enum

from hypersdk.model.jobs import NewJob


class Weekday(Enum):
    """In the order of `datetime.weekday`."""

    MON = 0
    TUE = 1
    WED = 2
    THU = 3
    FRI = 4
    SAT = 5
    SUN = 6


@dataclass(frozen=True, slots=True)
class Window:
    """Part of the week in which work may run. One whose end is not after its start goes over
    midnight, and belongs to the day on which it starts."""

    start: time
    end: time
    days: frozenset[Weekday] = frozenset(Weekday)
    #: Name of the time zone database (``Europe/Berlin``).
    zone: str = "UTC"


class CatchUp(Enum):
    """What becomes of moments that passed while no daemon ran."""

    #: Nothing: wait for the next one.
    SKIP = "skip"
    #: One job for all of them.
    ONCE = "once"


@dataclass(frozen=True, slots=True)
class After:
    """Begins only when the last job of another schedule ended so since this one's last job."""

    schedule: str
    #: ``completed``, ``failed`` or ``any``.
    required: str = "completed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """Applied to the instance after a backup of the schedule succeeded; see
    `model.points.RetentionPolicy`."""

    rules: Mapping[str, int | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSchedule:
    """What is asked for."""

    name: str
    #: Five fields of cron, or ``@hourly``, ``@daily``, ``@weekly``, ``@monthly``.
    cron: str
    zone: str = "UTC"
    job: NewJob
    description: str = ""
    enabled: bool = True
    #: Never starts outside of them, and pauses a running job when they close. Empty: always.
    windows: tuple[Window, ...] = ()
    after: tuple[After, ...] = ()
    #: The moment passes without a job while an earlier one has not ended.
    skip_if_running: bool = True
    catch_up: CatchUp = CatchUp.SKIP
    retention: Retention | None = None
    tenant: str = ""
    owner: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    #: Given by the caller; empty: made.
    id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A schedule as it is stored."""

    id: str
    name: str
    cron: str
    zone: str
    job: NewJob
    description: str = ""
    enabled: bool = True
    windows: tuple[Window, ...] = ()
    after: tuple[After, ...] = ()
    skip_if_running: bool = True
    catch_up: CatchUp = CatchUp.SKIP
    retention: Retention | None = None
    tenant: str = ""
    owner: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    created: datetime
    updated: datetime
    #: None while it is disabled.
    next_run: datetime | None = None
    last_run: datetime | None = None
    #: Id of the last job; empty before the first.
    last_job: str = ""
    runs: int = 0
    #: Why its last moment passed without a job; empty when it made one.
    skipped: str = ""
    #: Grows with every change of it; its ETag.
    revision: int = 0
