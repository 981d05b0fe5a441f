"""What a worker writes about the jobs that it runs.

Every write holds only while the job's row says that this run is this worker's: one that was taken
for dead, and comes back after another took its jobs over, changes nothing.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hypersdk.database.engine import Database
from hypersdk.database.events import Happening, tell
from hypersdk.database.moments import to_number
from hypersdk.database.tables import job_logs, job_resources, jobs, workers
from hypersdk.jobs import rows
from hypersdk.jobs.happenings import backup_ended
from hypersdk.model.jobs import Job, JobError, JobLog, JobProgress, JobState, Wish
from hypersdk.observe.redact import redact

#: Characters of one log line; a library's error may hold a whole document.
_LINE_MOST = 20_000
#: Parameters of one statement.
_MANY = 500


@dataclass(frozen=True, slots=True)
class RunName:
    """One run of one job."""

    job: str
    number: int

    def __str__(self) -> str:
        return f"{self.job}.{self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a run ended, and what becomes of its job."""

    state: JobState
    result: Mapping[str, Any] | None = None
    error: JobError | None = None
    #: With ``scheduled``: when it is tried again.
    not_before: datetime | None = None
    #: Counts against the retry policy.
    failed: bool = False
    progress: JobProgress | None = None
    logs: tuple[JobLog, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """What a run has to say in between; None: nothing new."""

    run: RunName
    progress: JobProgress | None
    logs: tuple[JobLog, ...]


class Claims:
    """Of one worker. Safe in threads. Methods raise DatabaseUnavailable."""

    def __init__(self, database: Database, worker: str) -> None:
        self._database = database
        self.worker = worker
        #: Tells this process from another one that was given the same id.
        self._epoch = to_number(database.now())

    # The worker itself.

    def register(self, queues: Sequence[str], slots: int, version: str) -> None:
        """Say that this worker begins, or is back. Call it while holding its lock only."""
        now = to_number(self._database.now())
        with self._database.write() as connection:
            row = connection.execute(
                sa.select(workers.c.started).where(workers.c.id == self.worker).with_for_update()
            ).one_or_none()
            if row is None or row.started != self._epoch:
                # A clock that was set back must not make us our own predecessor.
                self._epoch = max(self._epoch, now, row.started + 1 if row else 0)
            connection.execute(sa.delete(workers).where(workers.c.id == self.worker))
            connection.execute(
                sa.insert(workers).values(
                    id=self.worker,
                    queues=list(queues),
                    host=socket.gethostname(),
                    pid=os.getpid(),
                    slots=slots,
                    version=version,
                    state="running",
                    started=self._epoch,
                    seen=now,
                )
            )

    def say(self, state: str = "") -> None:
        """Note that this worker lives; ``state``: ``draining`` or ``stopped``."""
        values: dict[str, Any] = {"seen": to_number(self._database.now())}
        if state:
            values["state"] = state
        with self._database.write() as connection:
            connection.execute(sa.update(workers).where(*self._me()).values(**values))

    # Its runs.

    def running(self) -> Mapping[RunName, Wish]:
        """Runs that are this worker's, with what is wished of them."""
        query = sa.select(jobs.c.id, jobs.c.run, jobs.c.wish).where(
            jobs.c.state == JobState.RUNNING.value, jobs.c.worker == self.worker
        )
        with self._database.read() as connection:
            return {RunName(row.id, row.run): Wish(row.wish) for row in connection.execute(query)}

    def begin(self, run: RunName) -> tuple[Job, int] | None:
        """The job, and how many lines its log has; None when the run is not this worker's."""
        with self._database.read() as connection:
            row = connection.execute(sa.select(jobs).where(*_of(run), *self._mine())).one_or_none()
            if row is None:
                return None
            last = connection.execute(
                sa.select(sa.func.max(job_logs.c.number)).where(job_logs.c.job == run.job)
            ).scalar()
            return rows.from_row(row), int(last or 0)

    def report(self, reports: Iterable[Report]) -> None:
        """Store progress and log lines of several runs in one write."""
        said = {each.run.job: each for each in reports}
        with self._database.write() as connection:
            mine = self._lock(connection, said)
            told = [said[id] for id in mine if said[id].progress is not None]
            if told:
                revision = self._database.next_numbers(connection, "jobs.revision", len(told))
                self._store_progress(connection, told, revision)
            self._store_logs(connection, {id: said[id].logs for id in mine})

    def finish(self, run: RunName, ending: Ending) -> bool:
        """Store the end of a run and give back what its job held. False: it was not this
        worker's any more, and nothing was stored."""
        with self._database.write() as connection:
            row = connection.execute(
                sa.select(jobs).where(*_of(run), *self._mine()).with_for_update()
            ).one_or_none()
            if row is None:
                return False
            job = rows.from_row(row)
            settled = _settled(ending, job.wish)
            now = to_number(self._database.now())
            revision = self._database.next_numbers(connection, "jobs.revision")
            changes = _changes(settled, now)
            if settled.failed:
                changes["failures"] = jobs.c.failures + 1
            connection.execute(
                sa.update(jobs).where(jobs.c.id == run.job).values(revision=revision, **changes)
            )
            connection.execute(sa.delete(job_resources).where(job_resources.c.job == run.job))
            self._store_logs(connection, {run.job: ending.logs})
            tell(self._database, connection, _happened(job, settled))
            return True

    def failures(self, job: str) -> int:
        """Runs of it that failed, before this one."""
        query = sa.select(jobs.c.failures).where(jobs.c.id == job)
        with self._database.read() as connection:
            return int(connection.execute(query).scalar_one_or_none() or 0)

    def take_over(self, dead: str, queues: Sequence[str], kinds: Sequence[str], most: int) -> int:
        """Make running jobs of a dead worker this one's, while nobody can hold its lock; gives how
        many. They go on with the same run."""
        with self._database.write() as connection:
            ids = (
                connection.execute(
                    sa.select(jobs.c.id)
                    .where(jobs.c.state == JobState.RUNNING.value, jobs.c.worker == dead)
                    .where(jobs.c.queue.in_(list(queues)), jobs.c.kind.in_(list(kinds)))
                    .order_by(jobs.c.id)
                    .limit(most)
                    .with_for_update()
                )
                .scalars()
                .all()
            )
            if not ids:
                return 0
            revision = self._database.next_numbers(connection, "jobs.revision", len(ids))
            now = to_number(self._database.now())
            for at, id in enumerate(ids):
                connection.execute(
                    sa.update(jobs)
                    .where(jobs.c.id == id)
                    .values(worker=self.worker, updated=now, revision=revision + at)
                )
            return len(ids)

    def bury(self, dead: str) -> None:
        """Note that a worker ended without saying so, while nobody can hold its lock."""
        with self._database.write() as connection:
            connection.execute(
                sa.update(workers).where(workers.c.id == dead).values(state="stopped")
            )

    def _me(self) -> tuple[sa.ColumnElement[bool], ...]:
        return workers.c.id == self.worker, workers.c.started == self._epoch

    def _mine(self) -> tuple[sa.ColumnElement[bool], ...]:
        return (
            jobs.c.state == JobState.RUNNING.value,
            jobs.c.worker == self.worker,
            sa.exists().where(*self._me()),
        )

    def _lock(self, connection: Connection, said: Mapping[str, Report]) -> list[str]:
        ids = sorted(said)
        found: list[str] = []
        for at in range(0, len(ids), _MANY):
            query = (
                sa.select(jobs.c.id, jobs.c.run)
                .where(jobs.c.id.in_(ids[at : at + _MANY]), *self._mine())
                .order_by(jobs.c.id)
                .with_for_update()
            )
            found += [
                row.id for row in connection.execute(query) if row.run == said[row.id].run.number
            ]
        return found

    def _store_progress(
        self, connection: Connection, told: Sequence[Report], revision: int
    ) -> None:
        now = to_number(self._database.now())
        connection.execute(
            sa.update(jobs)
            .where(jobs.c.id == sa.bindparam("of"))
            .values(
                progress=sa.bindparam("progress"), revision=sa.bindparam("revision"), updated=now
            ),
            [
                {
                    "of": each.run.job,
                    "progress": rows.progress_row(each.progress or JobProgress()),
                    "revision": revision + at,
                }
                for at, each in enumerate(told)
            ],
        )

    def _store_logs(self, connection: Connection, logs: Mapping[str, Sequence[JobLog]]) -> None:
        lines = [_log_row(job, line) for job, all in logs.items() for line in all]
        if lines:
            connection.execute(sa.insert(job_logs), lines)


def _of(run: RunName) -> tuple[sa.ColumnElement[bool], ...]:
    return jobs.c.id == run.job, jobs.c.run == run.number


def _settled(ending: Ending, wish: Wish) -> Ending:
    """The end of a run, seen together with what is wished of its job by now."""
    if ending.state.ended:
        return ending
    if wish is Wish.CANCEL:
        return replace(ending, state=JobState.CANCELLED, not_before=None)
    if wish is Wish.PAUSE:
        return replace(ending, state=JobState.PAUSED, not_before=None)
    if ending.state is JobState.PAUSED:  # resumed while it was about to pause
        return replace(ending, state=JobState.PENDING)
    return ending


def _changes(ending: Ending, now: int) -> dict[str, Any]:
    changes: dict[str, Any] = {
        "state": ending.state.value,
        "wish": "",
        "updated": now,
        "ended": now if ending.state.ended else None,
        "not_before": to_number(ending.not_before),
        "error": rows.error_row(ending.error) if ending.error else None,
        "result": dict(ending.result) if ending.result is not None else None,
    }
    if ending.progress is not None:
        changes["progress"] = rows.progress_row(ending.progress)
    return changes


#: State after a run → name of its event.
_EVENTS = {
    JobState.COMPLETED: "job.completed",
    JobState.FAILED: "job.failed",
    JobState.CANCELLED: "job.cancelled",
    JobState.PAUSED: "job.paused",
    JobState.PENDING: "job.pending",
    JobState.SCHEDULED: "job.retrying",
}


def _happened(job: Job, ending: Ending) -> list[Happening]:
    data: dict[str, Any] = {"kind": job.kind, "name": job.name, "run": job.run}
    if ending.error is not None:
        data["error"] = rows.error_row(ending.error)
    if ending.not_before is not None:
        data["next"] = ending.not_before.isoformat()
    subject = f"jobs/{job.id}"
    happened: list[Happening] = [(_EVENTS[ending.state], subject, job.tenant, data)]
    if job.kind == "backup" and ending.state in (JobState.COMPLETED, JobState.FAILED):
        more = {**data, "result": dict(ending.result)} if ending.result is not None else data
        name = f"backup.{ending.state.value}"
        happened.append(backup_ended(name, job.id, job.tenant, job.request, more))
    return happened


def _log_row(job: str, line: JobLog) -> dict[str, Any]:
    return {
        "job": job,
        "number": line.number,
        "time": to_number(line.time),
        "level": line.level,
        "message": rows.clean(line.message)[:_LINE_MOST],
        "details": rows.plain(redact(dict(line.details))) or None,
    }
