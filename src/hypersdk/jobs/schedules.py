"""Schedules as people use them: make, change, look, trigger. `scheduler` makes their jobs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from difflib import get_close_matches
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row
from ulid import ULID

from hypersdk.database.engine import Database, unique
from hypersdk.database.events import tell
from hypersdk.database.moments import to_number
from hypersdk.database.tables import schedules
from hypersdk.jobs import calendar
from hypersdk.jobs.occasions import Occasion, Planned, Skipped, as_given
from hypersdk.jobs.schedulerows import definition_row, from_row
from hypersdk.jobs.store import JobStore
from hypersdk.model.errors import (
    AlreadyExists,
    Conflict,
    DatabaseError,
    InvalidInput,
    NotFound,
    PreconditionFailed,
)
from hypersdk.model.jobs import NewJob
from hypersdk.model.schedules import NewSchedule, Schedule

#: Schedules on one page.
PAGE_MOST = 1000
#: Moments of one preview.
PREVIEW_MOST = 1000
_PLAIN = NewJob(kind="", request={})


class ScheduleStore:
    """Safe in threads. Methods raise NotFound, DatabaseUnavailable."""

    def __init__(self, database: Database, jobs: JobStore, planned: Planned = as_given) -> None:
        """``planned``: completes a job by what is known of its request now."""
        self._database = database
        self._jobs = jobs
        self._planned = planned

    # Making and changing.

    def create(self, new: NewSchedule) -> Schedule:
        """Raises InvalidInput naming the field, AlreadyExists."""
        _check(new)
        id = new.id or str(ULID())
        now = to_number(self._database.now())
        try:
            with self._database.write() as connection:
                self._check_after(connection, new, id)
                revision = self._database.next_numbers(connection, "schedules.revision")
                row = connection.execute(
                    sa.insert(schedules)
                    .values(id=id, created=now, runs=0, **self._values(new, revision, new.enabled))
                    .returning(schedules)
                ).one()
                self._tell(connection, "schedule.created", row)
                return from_row(row)
        except DatabaseError as error:
            raise _taken(error, new.name) from error

    def replace(self, id: str, new: NewSchedule, *, revision: int | None) -> Schedule:
        """Raises InvalidInput, AlreadyExists, and PreconditionFailed when it is not at
        ``revision`` any more."""
        _check(new)
        try:
            with self._database.write() as connection:
                row = _locked(connection, id)
                if revision is not None and row.revision != revision:
                    raise PreconditionFailed(
                        f"schedule {row.name} was changed meanwhile",
                        hint="Look at it again, and change what it is now.",
                    )
                self._check_after(connection, new, id)
                number = self._database.next_numbers(connection, "schedules.revision")
                values = self._values(new, number, new.enabled)
                return self._update(connection, id, "schedule.changed", values)
        except DatabaseError as error:
            raise _taken(error, new.name) from error

    def delete(self, id: str) -> None:
        """Its jobs stay; those that its windows paused go on."""
        with self._database.write() as connection:
            row = _locked(connection, id)
            connection.execute(sa.delete(schedules).where(schedules.c.id == id))
            self._tell(connection, "schedule.deleted", row)

    def enable(self, id: str) -> Schedule:
        """Again changes nothing. Moments that passed meanwhile are not made up for."""
        return self._switch(id, enabled=True)

    def disable(self, id: str) -> Schedule:
        """What runs goes on."""
        return self._switch(id, enabled=False)

    def trigger(self, id: str) -> str:
        """Make a job of it now, in addition to its moments; gives the job's id. When its windows
        are closed the job waits until one opens. Raises Conflict."""
        with self._database.write() as connection:
            row = _locked(connection, id)
            occasion = Occasion(self._database, self._jobs, self._planned)
            try:
                return occasion.make(
                    connection, from_row(row), self._database.now(), id=str(ULID())
                )
            except Skipped as reason:
                raise Conflict(
                    f"schedule {row.name} makes no job now: {reason}",
                    hint="Try again when that has changed.",
                ) from reason

    # Looking.

    def get(self, id_or_name: str, *, tenant: str | None = None) -> Schedule:
        """``tenant``: only one of this tenant is there. Raises Conflict when several tenants have
        one of this name."""
        query = sa.select(schedules).where(
            sa.or_(schedules.c.id == id_or_name, schedules.c.name == id_or_name)
        )
        if tenant is not None:
            query = query.where(schedules.c.tenant == tenant)
        with self._database.read() as connection:
            found = connection.execute(query).all()
            exact = [row for row in found if row.id == id_or_name] or found
            if not exact:
                raise _missing(connection, id_or_name, tenant)
        if len(exact) > 1:
            raise Conflict(
                f"several tenants have a schedule called {id_or_name}", hint="Give its id."
            )
        return from_row(exact[0])

    def list(
        self,
        *,
        tenant: str | None = None,
        enabled: bool | None = None,
        limit: int = 50,
        after: str = "",
    ) -> tuple[Schedule, ...]:
        """Oldest first. ``after``: id of the last one of the page before."""
        query = sa.select(schedules).where(schedules.c.id > after)
        if tenant is not None:
            query = query.where(schedules.c.tenant == tenant)
        if enabled is not None:
            query = query.where(schedules.c.enabled == enabled)
        query = query.order_by(schedules.c.id).limit(max(1, min(limit, PAGE_MOST)))
        with self._database.read() as connection:
            return tuple(from_row(row) for row in connection.execute(query))

    def preview(self, schedule: NewSchedule | Schedule, count: int) -> tuple[datetime, ...]:
        """Its next moments, in UTC. Raises InvalidInput."""
        calendar.check(schedule.cron, schedule.zone, schedule.windows)
        return calendar.preview(
            schedule.cron,
            schedule.zone,
            self._database.now(),
            schedule.windows,
            max(0, min(count, PREVIEW_MOST)),
        )

    def counts(self) -> Mapping[str, int]:
        """How many are ``enabled``, and how many ``disabled``."""
        query = sa.select(schedules.c.enabled, sa.func.count()).group_by(schedules.c.enabled)
        with self._database.read() as connection:
            found = {bool(on): number for on, number in connection.execute(query)}
        return {"enabled": found.get(True, 0), "disabled": found.get(False, 0)}

    def _switch(self, id: str, *, enabled: bool) -> Schedule:
        with self._database.write() as connection:
            row = _locked(connection, id)
            if bool(row.enabled) == enabled:
                return from_row(row)
            revision = self._database.next_numbers(connection, "schedules.revision")
            known = from_row(row)
            values = {
                "enabled": enabled,
                "revision": revision,
                "updated": to_number(self._database.now()),
                "next_run": self._next(known) if enabled else None,
            }
            name = "schedule.enabled" if enabled else "schedule.disabled"
            return self._update(connection, id, name, values)

    def _values(self, new: NewSchedule, revision: int, enabled: bool) -> dict[str, Any]:
        return {
            "name": new.name,
            "tenant": new.tenant,
            "owner": new.owner,
            "enabled": enabled,
            "updated": to_number(self._database.now()),
            "next_run": self._next(new) if enabled else None,
            "revision": revision,
            "definition": definition_row(new),
            "skipped": "",
        }

    def _next(self, schedule: NewSchedule | Schedule) -> int | None:
        return to_number(
            calendar.next_moment(
                schedule.cron, schedule.zone, self._database.now(), schedule.windows
            )
        )

    def _update(
        self, connection: Connection, id: str, event: str, values: Mapping[str, Any]
    ) -> Schedule:
        row = connection.execute(
            sa.update(schedules).where(schedules.c.id == id).values(**values).returning(schedules)
        ).one()
        self._tell(connection, event, row)
        return from_row(row)

    def _tell(self, connection: Connection, event: str, row: Row[Any]) -> None:
        data = {"name": row.name}
        tell(self._database, connection, [(event, f"schedules/{row.id}", row.tenant, data)])

    def _check_after(self, connection: Connection, new: NewSchedule, id: str) -> None:
        """What it comes after exists, and does not come after it."""
        seen: set[str] = set()
        ways = [each.schedule for each in new.after]
        while ways:
            name = ways.pop()
            row = find(connection, name, new.tenant)
            if row is None:
                raise _missing(connection, name, new.tenant, field="after")
            if row.id == id:
                raise InvalidInput(
                    f"after: {new.name} would wait for itself",
                    hint="Leave out one of the schedules that wait for each other.",
                )
            if row.id not in seen:
                seen.add(row.id)
                ways += [other for other, _ in row.definition["after"]]


def find(connection: Connection, id_or_name: str, tenant: str) -> Row[Any] | None:
    """A schedule of the same tenant."""
    query = sa.select(schedules).where(
        sa.or_(schedules.c.id == id_or_name, schedules.c.name == id_or_name),
        schedules.c.tenant == tenant,
    )
    return connection.execute(query).first()


def _locked(connection: Connection, id: str) -> Row[Any]:
    row = connection.execute(
        sa.select(schedules).where(schedules.c.id == id).with_for_update()
    ).one_or_none()
    if row is None:
        raise _missing(connection, id, None)
    return row


def _missing(connection: Connection, name: str, tenant: str | None, field: str = "") -> NotFound:
    query = sa.select(schedules.c.name)
    if tenant is not None:
        query = query.where(schedules.c.tenant == tenant)
    near = get_close_matches(name, connection.execute(query).scalars().all(), n=1)
    meant = f"Did you mean {near[0]}? " if near else ""
    return NotFound(
        f"{field + ': ' if field else ''}there is no schedule {name}",
        hint=f"{meant}Schedules are listed by: hyperctl schedules list",
    )


def _taken(error: DatabaseError, name: str) -> DatabaseError | AlreadyExists:
    if not unique(error):
        return error
    return AlreadyExists(
        f"there is a schedule called {name} already",
        hint="Change that one, or choose another name.",
    )


def _check(new: NewSchedule) -> None:
    calendar.check(new.cron, new.zone, new.windows)
    start = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
    if new.windows and calendar.next_moment(new.cron, new.zone, start, new.windows) is None:
        raise InvalidInput(
            f"windows: no moment of '{new.cron}' is inside of them",
            hint="Widen a window, or move the schedule into one.",
        )
    if new.retention is not None and new.job.kind != "backup":
        raise InvalidInput(
            f"retention: jobs of kind {new.job.kind} leave nothing to prune",
            hint="Leave it out, or schedule a backup.",
        )
    for field in ("not_before", "depends_on", "id"):
        if getattr(new.job, field) != getattr(_PLAIN, field):
            raise InvalidInput(
                f"job.{field}: a schedule's jobs begin by the schedule",
                hint=f"Leave out job.{field}; schedules wait for each other with 'after'.",
            )
    for each in new.after:
        if each.required not in ("completed", "failed", "any"):
            raise InvalidInput(
                f"after: a job cannot end as '{each.required}'",
                hint="Write completed, failed or any.",
            )
