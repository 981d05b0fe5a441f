"""Makes jobs of schedules when their moments come, and holds jobs to their windows.

One scheduler works per database: the one whose process has the lock ``scheduler``.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from datetime import datetime, timedelta

import sqlalchemy as sa

from hypersdk.database.engine import Database, SessionLock
from hypersdk.database.moments import to_number
from hypersdk.database.tables import jobs, schedules
from hypersdk.jobs import calendar
from hypersdk.jobs.loops import Loop
from hypersdk.jobs.occasions import Occasion, Planned, Skipped, as_given
from hypersdk.jobs.pace import USUAL, Pace
from hypersdk.jobs.schedulerows import from_row
from hypersdk.jobs.store import JobStore
from hypersdk.jobs.windows import Windows
from hypersdk.model.errors import InvalidState, NotFound
from hypersdk.model.jobs import JobState
from hypersdk.model.schedules import CatchUp, Schedule
from hypersdk.observe.log import get_logger

_log = get_logger(__name__)
#: A moment that passed longer ago was missed: no daemon ran then.
LATE = timedelta(seconds=60)
#: The clock was set back when it shows so much less than the time that passed.
_SET_BACK = timedelta(seconds=30)
#: Tag of a job that was paused because its windows closed, and goes on when one opens.
PAUSED_BY = "paused-by"
_WINDOW = "window"


class Scheduler:
    """May run in every worker; those without the lock only wait for it."""

    def __init__(
        self,
        database: Database,
        store: JobStore | None = None,
        *,
        planned: Planned = as_given,
        pace: Pace = USUAL,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._store = store or JobStore(database)
        self._occasion = Occasion(database, self._store, planned)
        self._windows = Windows(database)
        self._monotonic = monotonic
        self._lock: SessionLock | None = None
        #: Both clocks, at the tick before.
        self._before: tuple[datetime, float] | None = None
        self._loop = Loop("jobs-schedules", self.tick, pace.schedules)

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        """Another scheduler may take over at once. May be called several times."""
        self._loop.stop(seconds=10)
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.release()

    def tick(self) -> None:
        """Do what is due. Raises DatabaseUnavailable."""
        if not self._held():
            return
        if self._set_back():
            self._plan_again()
        now = self._database.now()
        due = (
            sa.select(schedules.c.id)
            .where(schedules.c.enabled, schedules.c.next_run <= to_number(now))
            .order_by(schedules.c.next_run)
        )
        with self._database.read() as connection:
            ids = connection.execute(due).scalars().all()
        for id in ids:
            self._serve(id)
        self._hold_to_windows()

    def _held(self) -> bool:
        if self._lock is not None and self._lock.held():
            return True
        self._lock = self._database.lock("scheduler")
        if self._lock is None:
            return False
        self._before = None  # the clock may have been set back before our time
        return True

    def _set_back(self) -> bool:
        """Also at the first tick: an earlier process may have planned by a wrong clock."""
        now, passed = self._database.now(), self._monotonic()
        before, self._before = self._before, (now, passed)
        if before is None:
            return True
        expected = before[0] + timedelta(seconds=passed - before[1])
        return now < expected - _SET_BACK

    def _plan_again(self) -> None:
        """Moments that come earlier by the clock as it is now. Those that were served already are
        known by the ids of their jobs."""
        now = self._database.now()
        with self._database.write() as connection:
            query = (
                sa.select(schedules)
                .where(schedules.c.enabled, schedules.c.next_run > to_number(now))
                .order_by(schedules.c.id)
                .with_for_update()
            )
            for row in connection.execute(query).all():
                known = from_row(row)
                then = calendar.next_moment(known.cron, known.zone, now, known.windows)
                if then is not None and known.next_run is not None and then < known.next_run:
                    connection.execute(
                        sa.update(schedules)
                        .where(schedules.c.id == row.id)
                        .values(next_run=to_number(then))
                    )

    def _serve(self, id: str) -> None:
        with self._database.write() as connection:
            row = connection.execute(
                sa.select(schedules).where(schedules.c.id == id).with_for_update()
            ).one_or_none()
            now = self._database.now()
            if row is None or not row.enabled or row.next_run is None:
                return
            known = from_row(row)
            moment = known.next_run
            if moment is None or moment > now:
                return
            then = calendar.next_moment(known.cron, known.zone, now, known.windows)
            connection.execute(
                sa.update(schedules).where(schedules.c.id == id).values(next_run=to_number(then))
            )
            try:
                self._check_late(known, moment, now)
                self._occasion.decide(connection, known, moment)
            except Skipped as reason:
                _log.info("moment skipped", schedule=known.name, reason=str(reason))
                self._occasion.skip(connection, known, moment, str(reason))

    def _check_late(self, schedule: Schedule, moment: datetime, now: datetime) -> None:
        if now - moment > LATE and schedule.catch_up is CatchUp.SKIP:
            raise Skipped(f"no daemon ran at {moment.isoformat(timespec='minutes')}")

    def _hold_to_windows(self) -> None:
        query = sa.select(jobs.c.id, jobs.c.schedule, jobs.c.state, jobs.c.wish, jobs.c.tags).where(
            jobs.c.state.in_([JobState.RUNNING.value, JobState.PAUSED.value]),
            jobs.c.schedule != "",
        )
        with self._database.read() as connection:
            found = connection.execute(query).all()
        if not found:
            return
        closed = self._windows.closed({row.schedule for row in found})
        for row in found:
            if row.schedule in closed:
                if row.state == JobState.RUNNING.value and not row.wish:
                    self._pause(row.id)
            elif row.tags.get(PAUSED_BY) == _WINDOW:
                self._go_on(row.id)

    def _pause(self, id: str) -> None:
        with contextlib.suppress(InvalidState, NotFound):  # it ended meanwhile
            self._store.pause(id)
            self._tag(id, _WINDOW)

    def _go_on(self, id: str) -> None:
        with contextlib.suppress(InvalidState, NotFound):
            self._store.resume(id)
        self._tag(id, "")

    def _tag(self, id: str, value: str) -> None:
        with self._database.write() as connection:
            row = connection.execute(
                sa.select(jobs.c.tags).where(jobs.c.id == id).with_for_update()
            ).one_or_none()
            if row is None:
                return
            tags = {name: each for name, each in row.tags.items() if name != PAUSED_BY}
            if value:
                tags[PAUSED_BY] = value
            revision = self._database.next_numbers(connection, "jobs.revision")
            connection.execute(
                sa.update(jobs).where(jobs.c.id == id).values(tags=tags, revision=revision)
            )
