"""Jobs that wait for a moment or for other jobs: what becomes of them now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hypersdk.database.moments import to_number
from hypersdk.database.tables import jobs
from hypersdk.jobs import rows
from hypersdk.model.jobs import Dependency, JobError, JobState, Required

#: Parameters of one statement.
_MANY = 500


@dataclass(frozen=True, slots=True)
class Verdict:
    """A job waits no longer."""

    id: str
    #: Set: it fails with this, since what it waits for cannot come any more.
    error: JobError | None = None

    def changes(self, now: datetime) -> Mapping[str, Any]:
        """Of its row."""
        moment = to_number(now)
        if self.error is None:
            return {"state": JobState.PENDING.value, "updated": moment}
        return {
            "state": JobState.FAILED.value,
            "updated": moment,
            "ended": moment,
            "wish": "",
            "error": rows.error_row(self.error),
        }


def verdicts(connection: Connection, now: datetime) -> Sequence[Verdict]:
    """Of all scheduled jobs whose wait is over."""
    query = (
        sa.select(jobs.c.id, jobs.c.depends_on, jobs.c.run)
        .where(jobs.c.state == JobState.SCHEDULED.value)
        .where(sa.or_(jobs.c.not_before.is_(None), jobs.c.not_before <= to_number(now)))
        .order_by(jobs.c.number)
    )
    due = {
        # One that ran waited already, and now waits to be tried again.
        row.id: tuple(Dependency(job, Required(how)) for job, how in row.depends_on if row.run == 0)
        for row in connection.execute(query)
    }
    ended = _states(connection, {each.job for all in due.values() for each in all})
    found = []
    for id, needed in due.items():
        judged = [_judge(each, ended.get(each.job)) for each in needed]
        errors = [each for each in judged if isinstance(each, JobError)]
        if errors:
            found.append(Verdict(id, errors[0]))
        elif all(judged):
            found.append(Verdict(id))
    return found


def _judge(needed: Dependency, state: JobState | None) -> bool | JobError:
    """Whether it is fulfilled; an error when it never will be."""
    if state is None:
        return needed.required is Required.ANY or JobError(
            "NotFound",
            f"it waited for job {needed.job}, which is not there",
            "Jobs that ended long ago are forgotten. Submit it again without this dependency.",
        )
    if not state.ended:
        return False
    if needed.required is Required.ANY or state.value == needed.required.value:
        return True
    return JobError(
        "InvalidState",
        f"it waited for job {needed.job} to end as {needed.required.value}, and that one ended"
        f" as {state.value}",
        f"See why: hyperctl query -id {needed.job}. Retrying this job runs it all the same.",
    )


def _states(connection: Connection, ids: Iterable[str]) -> Mapping[str, JobState]:
    wanted = sorted(ids)
    found: dict[str, JobState] = {}
    for at in range(0, len(wanted), _MANY):
        query = sa.select(jobs.c.id, jobs.c.state).where(jobs.c.id.in_(wanted[at : at + _MANY]))
        found |= {row.id: JobState(row.state) for row in connection.execute(query)}
    return found
