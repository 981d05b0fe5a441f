"""One moment of one schedule: a job, or the reason why there is none."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from ulid import ULID

from hypersdk.database.engine import Database
from hypersdk.database.events import tell
from hypersdk.database.moments import from_number, to_number
from hypersdk.database.tables import jobs, schedules
from hypersdk.jobs.store import JobStore
from hypersdk.model.errors import HyperSDKError
from hypersdk.model.jobs import Dependency, JobState, NewJob, Required
from hypersdk.model.schedules import After, Schedule

#: Completes a job by what is known of its request now: resources, queue, name. Raises what is
#: wrong with the request by now, such as a hypervisor that is not known any more.
Planned = Callable[[NewJob], NewJob]


def as_given(job: NewJob) -> NewJob:
    """Of those who plan a schedule's job once, when it is made."""
    return job


class Skipped(Exception):
    """The moment passes without a job; its text says why."""


@dataclass(frozen=True, slots=True)
class Occasion:
    """In a write that holds the schedule's row."""

    database: Database
    store: JobStore
    planned: Planned

    def decide(self, connection: Connection, schedule: Schedule, moment: datetime) -> str:
        """Make the job of a moment, unless it must not be; gives its id. Raises Skipped."""
        if schedule.skip_if_running:
            self._check_running(connection, schedule)
        waits = [
            needed
            for each in schedule.after
            if (needed := self._needed(connection, schedule, each)) is not None
        ]
        # The same for the same moment: a clock that is set back does not bring it twice.
        id = moment_id(schedule.id, moment)
        return self.make(connection, schedule, moment, id=id, depends_on=tuple(waits))

    def make(
        self,
        connection: Connection,
        schedule: Schedule,
        moment: datetime,
        *,
        id: str,
        depends_on: tuple[Dependency, ...] = (),
    ) -> str:
        """Make a job; gives its id. Raises Skipped."""
        try:
            job = self.planned(_job_of(schedule))
        except HyperSDKError as error:
            raise Skipped(error.message) from error
        job = replace(job, id=id, depends_on=depends_on)
        (answer,) = self.store.submit_within(connection, [job])
        if not answer.new:
            again = answer.id == id
            raise Skipped(
                "this moment was served before the clock was set back"
                if again
                else f"the same job runs already: {answer.id}"
            )
        connection.execute(
            sa.update(schedules)
            .where(schedules.c.id == schedule.id)
            .values(
                last_run=to_number(self.database.now()),
                last_job=answer.id,
                runs=schedules.c.runs + 1,
                skipped="",
            )
        )
        data = {"name": schedule.name, "job": answer.id, "moment": moment.isoformat()}
        self.tell(connection, "schedule.started", schedule, data)
        return answer.id

    def skip(
        self, connection: Connection, schedule: Schedule, moment: datetime, reason: str
    ) -> None:
        """Note why a moment passes without a job."""
        connection.execute(
            sa.update(schedules).where(schedules.c.id == schedule.id).values(skipped=reason)
        )
        data = {"name": schedule.name, "reason": reason, "moment": moment.isoformat()}
        self.tell(connection, "schedule.skipped", schedule, data)

    def tell(
        self, connection: Connection, event: str, schedule: Schedule, data: dict[str, Any]
    ) -> None:
        subject = f"schedules/{schedule.id}"
        tell(self.database, connection, [(event, subject, schedule.tenant, data)])

    def _check_running(self, connection: Connection, schedule: Schedule) -> None:
        active = [state.value for state in JobState if not state.ended]
        found = connection.execute(
            sa.select(jobs.c.id, jobs.c.state)
            .where(jobs.c.schedule == schedule.id, jobs.c.state.in_(active))
            .order_by(jobs.c.number.desc())
        ).first()
        if found is not None:
            raise Skipped(f"an earlier job has not ended: {found.id} is {found.state}")

    def _needed(
        self, connection: Connection, schedule: Schedule, after: After
    ) -> Dependency | None:
        """What its job has to wait for; None when that ended already. Raises Skipped."""
        other = connection.execute(
            sa.select(schedules.c.name, schedules.c.last_job).where(
                sa.or_(schedules.c.id == after.schedule, schedules.c.name == after.schedule),
                schedules.c.tenant == schedule.tenant,
            )
        ).first()
        if other is None:
            raise Skipped(f"schedule {after.schedule}, which it comes after, is not there")
        last = connection.execute(
            sa.select(jobs.c.state, jobs.c.ended).where(jobs.c.id == other.last_job)
        ).one_or_none()
        required = Required(after.required)
        if last is None:
            raise Skipped(f"schedule {other.name} has not run yet")
        if not JobState(last.state).ended:
            return Dependency(other.last_job, required)
        if required is not Required.ANY and last.state != required.value:
            raise Skipped(f"the last job of schedule {other.name} ended as {last.state}")
        if schedule.last_run is not None and from_number(last.ended) <= schedule.last_run:
            raise Skipped(f"schedule {other.name} has not ended a job since the last one here")
        return None


def moment_id(schedule: str, moment: datetime) -> str:
    """A job's id, made of its schedule and its planned moment."""
    digest = hashlib.sha256(schedule.encode()).digest()
    milliseconds = to_number(moment) // 1000
    return str(ULID.from_bytes(milliseconds.to_bytes(6, "big") + digest[:10]))


def _job_of(schedule: Schedule) -> NewJob:
    request = dict(schedule.job.request)
    if schedule.retention is not None:
        request["retention"] = dict(schedule.retention.rules)
    return replace(
        schedule.job,
        request=request,
        schedule=schedule.id,
        tenant=schedule.tenant,
        owner=schedule.owner,
        tags={**schedule.tags, **schedule.job.tags},
    )
