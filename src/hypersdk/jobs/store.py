"""Jobs as everybody but their workers uses them: submit, look, wish.

What a wish needs of a running job its worker does (`claims`); of any other job it is done here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from ulid import ULID

from hypersdk.database.engine import Database
from hypersdk.database.events import tell
from hypersdk.database.moments import from_number, to_number
from hypersdk.database.tables import job_logs, jobs
from hypersdk.jobs import rows
from hypersdk.model.errors import InvalidInput, InvalidState, NotFound, TooLarge
from hypersdk.model.jobs import (
    Job,
    JobFilter,
    JobLog,
    JobState,
    NewJob,
    Wish,
    follow,
)

#: Jobs in one submission.
SUBMIT_MOST = 10_000
#: Jobs on one page.
PAGE_MOST = 1000
_PRIORITIES = range(101)
#: Made once: putting it together took longer than carrying it out.
_ONE = sa.select(jobs).where(jobs.c.id == sa.bindparam("job"))


@dataclass(frozen=True, slots=True)
class Submitted:
    """The answer to one submitted job."""

    id: str
    #: False: an active job of the same key was there, and ``id`` is its.
    new: bool


@dataclass(frozen=True, slots=True)
class Page:
    """Newest first."""

    jobs: tuple[Job, ...]
    #: Give it as ``before`` for the next page; None on the last one.
    next: int | None


class JobStore:
    """Safe in threads. Methods raise NotFound, InvalidState, DatabaseUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # Submitting.

    def submit(self, new: Sequence[NewJob]) -> tuple[Submitted, ...]:
        """Store all of them in one transaction, or none. Raises InvalidInput, TooLarge."""
        if len(new) > SUBMIT_MOST:
            raise TooLarge(
                f"{len(new)} jobs at once are too many", hint=f"Submit {SUBMIT_MOST} at a time."
            )
        for each in new:
            _check(each)
        with self._database.write() as connection:
            return self.submit_within(connection, new)

    def submit_within(self, connection: Connection, new: Sequence[NewJob]) -> tuple[Submitted, ...]:
        """In a write that does more, such as moving a schedule to its next moment."""
        now = self._database.now()
        known = _active_by_dedup(connection, new)
        ids = _existing(connection, [each.id for each in new if each.id])
        answers, fresh = [], []
        for each in new:
            key = (each.tenant, each.dedup)
            if each.id in ids:
                answers.append(Submitted(each.id, new=False))
            elif each.dedup and key in known:
                answers.append(Submitted(known[key], new=False))
            else:
                complete = replace(each, id=each.id or str(ULID()), name=each.name or each.kind)
                if each.dedup:
                    known[key] = complete.id
                fresh.append(complete)
                answers.append(Submitted(complete.id, new=True))
        if fresh:
            number = self._database.next_numbers(connection, "jobs.number", len(fresh))
            revision = self._database.next_numbers(connection, "jobs.revision", len(fresh))
            values = [
                rows.new_row(each, number=number + at, revision=revision + at, now=now)
                for at, each in enumerate(fresh)
            ]
            connection.execute(sa.insert(jobs), values)
            tell(
                self._database,
                connection,
                [
                    ("job.created", f"jobs/{each.id}", each.tenant, {"kind": each.kind})
                    for each in fresh
                ],
            )
        return tuple(answers)

    # Looking.

    def get(self, id: str, *, tenant: str | None = None) -> Job:
        """``tenant``: only a job of this one is there. Raises NotFound."""
        with self._database.read() as connection:
            row = connection.execute(_ONE, {"job": id}).one_or_none()
        if row is None or (tenant is not None and row.tenant != tenant):
            raise NotFound(f"there is no job {id}", hint="Jobs are listed by: hyperctl query -all")
        return rows.from_row(row)

    def list(
        self, wanted: JobFilter | None = None, *, limit: int = 50, before: int | None = None
    ) -> Page:
        """Newest first. ``before``: what the page before this one gave as ``next``."""
        limit = max(1, min(limit, PAGE_MOST))
        query = sa.select(jobs).where(*_conditions(wanted or JobFilter()))
        if before is not None:
            query = query.where(jobs.c.number < before)
        query = query.order_by(jobs.c.number.desc()).limit(limit + 1)
        with self._database.read() as connection:
            found = connection.execute(query).all()
        page = found[:limit]
        return Page(
            tuple(rows.from_row(row) for row in page),
            page[-1].number if len(found) > limit else None,
        )

    def counts(self, *, tenant: str | None = None) -> Mapping[JobState, int]:
        """How many jobs are in each state."""
        query = sa.select(jobs.c.state, sa.func.count()).group_by(jobs.c.state)
        if tenant is not None:
            query = query.where(jobs.c.tenant == tenant)
        with self._database.read() as connection:
            found = {JobState(state): number for state, number in connection.execute(query)}
        return {state: found.get(state, 0) for state in JobState}

    def changes(self, since: int, *, limit: int = PAGE_MOST) -> tuple[Job, ...]:
        """Jobs that changed after revision ``since``, in the order of their last changes."""
        query = (
            sa.select(jobs)
            .where(jobs.c.revision > since)
            .order_by(jobs.c.revision)
            .limit(min(limit, PAGE_MOST))
        )
        with self._database.read() as connection:
            return tuple(rows.from_row(row) for row in connection.execute(query))

    def revision(self) -> int:
        """The last change there is; where following begins."""
        with self._database.read() as connection:
            return int(connection.execute(sa.select(sa.func.max(jobs.c.revision))).scalar() or 0)

    def logs(self, id: str, *, after: int = 0, limit: int = PAGE_MOST) -> tuple[JobLog, ...]:
        """Lines after number ``after``, in their order."""
        query = (
            sa.select(job_logs)
            .where(job_logs.c.job == id, job_logs.c.number > after)
            .order_by(job_logs.c.number)
            .limit(limit)
        )
        with self._database.read() as connection:
            return tuple(
                JobLog(row.number, from_number(row.time), row.level, row.message, row.details or {})
                for row in connection.execute(query)
            )

    # Wishing.

    def cancel(self, id: str) -> Job:
        """Stop it: at once when it does not run, else within two seconds. Cancelling a cancelled
        job succeeds. Raises InvalidState when it ended otherwise."""
        return self._wish(id, Wish.CANCEL, JobState.CANCELLED)

    def pause(self, id: str) -> Job:
        """Stop it for now. Pausing a paused job succeeds. Raises InvalidState."""
        return self._wish(id, Wish.PAUSE, JobState.PAUSED)

    def resume(self, id: str) -> Job:
        """Have a paused job run again; one that is about to pause goes on. Raises InvalidState."""
        return self._again(id, frozenset({JobState.PAUSED}), "paused")

    def retry(self, id: str) -> Job:
        """Have a failed or cancelled job run again, now. Raises InvalidState."""
        return self._again(id, frozenset({JobState.FAILED, JobState.CANCELLED}), "failed")

    def prioritise(self, id: str, priority: int) -> Job:
        """Raises InvalidInput, NotFound."""
        if priority not in _PRIORITIES:
            raise InvalidInput(
                f"{priority} is no priority", hint="It is a number from 0 to 100; 50 is usual."
            )
        with self._database.write() as connection:
            _locked(connection, id)
            return self._change(connection, id, priority=priority)

    def delete(self, ended_before: datetime, *, limit: int = 1000) -> int:
        """Forget jobs that ended before a moment, with their logs; gives how many."""
        old = (
            sa.select(jobs.c.id)
            .where(jobs.c.ended < to_number(ended_before))
            .where(jobs.c.state.in_([state.value for state in JobState if state.ended]))
            .limit(limit)
        )
        with self._database.write() as connection:
            ids = connection.execute(old).scalars().all()
            connection.execute(sa.delete(job_logs).where(job_logs.c.job.in_(ids)))
            connection.execute(sa.delete(jobs).where(jobs.c.id.in_(ids)))
        return len(ids)

    def forget(self, id: str) -> None:
        """Delete one that ended, with its log. Raises NotFound, InvalidState."""
        with self._database.write() as connection:
            job = _locked(connection, id)
            if not job.state.ended:
                raise InvalidState(
                    f"job {id} is {job.state.value}",
                    hint=f"Stop it first: hyperctl cancel -id {id}",
                )
            connection.execute(sa.delete(job_logs).where(job_logs.c.job == id))
            connection.execute(sa.delete(jobs).where(jobs.c.id == id))

    def _wish(self, id: str, wish: Wish, then: JobState) -> Job:
        with self._database.write() as connection:
            job = _locked(connection, id)
            if job.state is then or (job.state is JobState.RUNNING and job.wish is wish):
                return job
            follow(job.state, then, id)
            if job.state is JobState.RUNNING:
                return self._change(connection, id, wish=wish.value)
            ended = to_number(self._database.now()) if then.ended else None
            changed = self._change(connection, id, state=then.value, wish="", ended=ended)
            tell(
                self._database,
                connection,
                [(f"job.{then.value}", f"jobs/{id}", job.tenant, {"kind": job.kind})],
            )
            return changed

    def _again(self, id: str, states: frozenset[JobState], word: str) -> Job:
        with self._database.write() as connection:
            job = _locked(connection, id)
            if job.state is JobState.RUNNING and job.wish is Wish.PAUSE and word == "paused":
                return self._change(connection, id, wish="")
            if job.state not in states:
                raise _not_in(job, word)
            # One that was paused before its first run still waits for other jobs.
            waits = job.state is JobState.PAUSED and job.run == 0 and bool(job.depends_on)
            then = JobState.SCHEDULED if waits else JobState.PENDING
            changed = self._change(
                connection,
                id,
                state=then.value,
                wish="",
                ended=None,
                error=None,
                not_before=None,
                progress=None,
                failures=0,
            )
            tell(
                self._database,
                connection,
                [(f"job.{then.value}", f"jobs/{id}", job.tenant, {"kind": job.kind})],
            )
            return changed

    def _change(self, connection: Connection, id: str, **values: Any) -> Job:
        revision = self._database.next_numbers(connection, "jobs.revision")
        row = connection.execute(
            sa.update(jobs)
            .where(jobs.c.id == id)
            .values(revision=revision, updated=to_number(self._database.now()), **values)
            .returning(jobs)
        ).one()
        return rows.from_row(row)


def _locked(connection: Connection, id: str) -> Job:
    row = connection.execute(sa.select(jobs).where(jobs.c.id == id).with_for_update()).one_or_none()
    if row is None:
        raise NotFound(f"there is no job {id}", hint="Jobs are listed by: hyperctl query -all")
    return rows.from_row(row)


def _not_in(job: Job, word: str) -> InvalidState:
    return InvalidState(
        f"job {job.id} is {job.state.value}, not {word}",
        hint=f"See what it does: hyperctl query -id {job.id}",
    )


def _conditions(wanted: JobFilter) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    if wanted.states:
        found.append(jobs.c.state.in_(sorted(state.value for state in wanted.states)))
    if wanted.ids:
        found.append(jobs.c.id.in_(sorted(wanted.ids)))
    if wanted.kinds:
        found.append(jobs.c.kind.in_(sorted(wanted.kinds)))
    if wanted.tenant is not None:
        found.append(jobs.c.tenant == wanted.tenant)
    if wanted.schedule:
        found.append(jobs.c.schedule == wanted.schedule)
    if wanted.parent:
        found.append(jobs.c.parent == wanted.parent)
    if wanted.since is not None:
        found.append(jobs.c.created >= to_number(wanted.since))
    if wanted.until is not None:
        found.append(jobs.c.created < to_number(wanted.until))
    if wanted.text:
        text = wanted.text.lower()
        found.append(
            sa.or_(
                sa.func.lower(jobs.c.name).contains(text, autoescape=True),
                sa.func.lower(sa.cast(jobs.c.request, sa.Text)).contains(text, autoescape=True),
            )
        )
    return found


def _active_by_dedup(connection: Connection, new: Iterable[NewJob]) -> dict[tuple[str, str], str]:
    keys = sorted({each.dedup for each in new if each.dedup})
    active = [state.value for state in JobState if not state.ended]
    found: dict[tuple[str, str], str] = {}
    for at in range(0, len(keys), 500):  # databases bound the number of parameters
        query = sa.select(jobs.c.tenant, jobs.c.dedup, jobs.c.id).where(
            jobs.c.dedup.in_(keys[at : at + 500]), jobs.c.state.in_(active)
        )
        found |= {(row.tenant, row.dedup): row.id for row in connection.execute(query)}
    return found


def _existing(connection: Connection, ids: Sequence[str]) -> frozenset[str]:
    found: set[str] = set()
    for at in range(0, len(ids), 500):
        query = sa.select(jobs.c.id).where(jobs.c.id.in_(ids[at : at + 500]))
        found |= set(connection.execute(query).scalars())
    return frozenset(found)


def _check(job: NewJob) -> None:
    if job.priority not in _PRIORITIES:
        raise InvalidInput(
            f"{job.priority} is no priority", hint="It is a number from 0 to 100; 50 is usual."
        )
    if job.retry.attempts < 1:
        raise InvalidInput("a job is tried once at least", hint="Give retry.attempts of 1 or more.")
