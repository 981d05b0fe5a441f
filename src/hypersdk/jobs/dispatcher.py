"""Which jobs begin now: those whose moment came and whose budgets have room, greatest priority
first.

Everything is looked at without a lock first, and only when something would happen again in a
write, where it is decided: an idle daemon writes nothing. On PostgreSQL all dispatchers of a
database decide one after another, so that a budget is never overdrawn.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from hypersdk.database.engine import Database
from hypersdk.database.events import Happening, tell
from hypersdk.database.moments import to_number
from hypersdk.database.tables import job_resources, jobs
from hypersdk.jobs import dependencies, rows
from hypersdk.jobs.budgets import Budgets
from hypersdk.jobs.happenings import backup_ended
from hypersdk.jobs.kinds import Kinds
from hypersdk.jobs.whereabouts import PLACES, Whereabouts
from hypersdk.model.estate import Budget
from hypersdk.model.jobs import Job, JobState

#: Jobs begun in one tick, so that several workers share many jobs evenly.
BATCH = 8
#: Candidates read at once.
_PAGE = 200
_MINUTE = timedelta(minutes=1)
#: Newest jobs among which those are looked for that began within the last minute.
_LOOKED_AT = 10_000

#: Ids of schedules → those of them whose windows are closed now.
Closed = Callable[[Collection[str]], frozenset[str]]


def never_closed(schedules: Collection[str]) -> frozenset[str]:  # noqa: ARG001 - of the port
    """Of a worker that knows no windows."""
    return frozenset()


@dataclass(frozen=True, slots=True)
class Room:
    """For how many more jobs a worker has room."""

    #: Of kinds that work.
    slots: int
    #: Of kinds that only wait for others.
    waiting: int


@dataclass(frozen=True, slots=True)
class _Chosen:
    """A job that may begin now."""

    id: str
    #: All that it holds while it runs; with its places, which its row does not have yet.
    resources: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatcher:
    """Of one worker. `tick` is called by one thread at a time."""

    database: Database
    #: Id of the worker that jobs are claimed for.
    worker: str
    queues: Sequence[str]
    kinds: Kinds
    budgets: Budgets
    closed: Closed = never_closed
    batch: int = BATCH
    #: Of jobs that have budgets for hosts and datastores; None: nobody asks for those.
    whereabouts: Whereabouts | None = None
    _one: threading.Lock = field(default_factory=threading.Lock)

    def tick(self, room: Room) -> tuple[Job, ...]:
        """Move what waited long enough to pending, and claim jobs; gives those claimed, which
        this worker now has to run. Raises DatabaseUnavailable."""
        with self._one:
            with self.database.read() as connection:
                if not self._something(connection, room):
                    return ()
            with self.database.write() as connection:
                self.database.lock_for_now(connection, "dispatch")
                self._promote(connection)
                return self._claim(connection, self._chosen(connection, room))

    def _something(self, connection: Connection, room: Room) -> bool:
        """Whether a write would change anything; of an idle database this costs one query."""
        states = [JobState.SCHEDULED.value, JobState.PENDING.value]
        waits = sa.select(sa.exists().where(jobs.c.state.in_(states)))
        if not connection.execute(waits).scalar():
            return False
        now = self.database.now()
        return bool(dependencies.verdicts(connection, now) or self._chosen(connection, room))

    def _promote(self, connection: Connection) -> None:
        now = self.database.now()
        found = dependencies.verdicts(connection, now)
        states = {each.id: each for each in found}
        waiting = connection.execute(
            sa.select(jobs.c.id, jobs.c.tenant, jobs.c.kind, jobs.c.request)
            .where(jobs.c.id.in_(list(states)[:500]), jobs.c.state == JobState.SCHEDULED.value)
            .order_by(jobs.c.id)
            .with_for_update()
        ).all()
        if not waiting:
            return
        revision = self.database.next_numbers(connection, "jobs.revision", len(waiting))
        failed: list[Happening] = []
        for at, row in enumerate(waiting):
            verdict = states[row.id]
            connection.execute(
                sa.update(jobs)
                .where(jobs.c.id == row.id)
                .values(revision=revision + at, **verdict.changes(now))
            )
            if verdict.error is not None:
                data = {"kind": row.kind, "error": rows.error_row(verdict.error)}
                failed.append(("job.failed", f"jobs/{row.id}", row.tenant, data))
                if row.kind == "backup":
                    failed.append(
                        backup_ended("backup.failed", row.id, row.tenant, row.request, data)
                    )
        tell(self.database, connection, failed)

    def _claim(self, connection: Connection, chosen: Sequence[_Chosen]) -> tuple[Job, ...]:
        held_by = {each.id: each.resources for each in chosen}
        ids = (
            connection.execute(
                sa.select(jobs.c.id)
                .where(jobs.c.id.in_(list(held_by)))
                .where(jobs.c.state == JobState.PENDING.value)
                .order_by(jobs.c.priority.desc(), jobs.c.number)
                .with_for_update(skip_locked=True)
            )
            .scalars()
            .all()
        )
        if not ids:
            return ()
        revision = self.database.next_numbers(connection, "jobs.revision", len(ids))
        claimed = tuple(
            self._begin(connection, id, revision + at, held_by[id]) for at, id in enumerate(ids)
        )
        held = [
            {"job": job.id, "resource": resource}
            for job in claimed
            for resource in sorted(set(job.resources))
        ]
        if held:
            connection.execute(sa.insert(job_resources), held)
        tell(
            self.database,
            connection,
            [
                (
                    "job.started",
                    f"jobs/{job.id}",
                    job.tenant,
                    {"kind": job.kind, "name": job.name, "run": job.run, "worker": job.worker},
                )
                for job in claimed
            ],
        )
        return claimed

    def _begin(
        self, connection: Connection, id: str, revision: int, resources: Sequence[str]
    ) -> Job:
        now = to_number(self.database.now())
        row = connection.execute(
            sa.update(jobs)
            .where(jobs.c.id == id)
            .values(
                state=JobState.RUNNING.value,
                wish="",
                worker=self.worker,
                resources=list(resources),
                run=jobs.c.run + 1,
                started=sa.func.coalesce(jobs.c.started, now),
                updated=now,
                progress=None,
                error=None,
                revision=revision,
            )
            .returning(jobs)
        ).one()
        return rows.from_row(row)

    # Choosing.

    def _chosen(self, connection: Connection, room: Room) -> list[_Chosen]:
        waiting = [name for name, kind in self.kinds.known.items() if kind.waits]
        working = [name for name, kind in self.kinds.known.items() if not kind.waits]
        used = _Used(connection, self.budgets, self.database.now())
        closed = _ClosedSchedules(self.closed)
        found: list[_Chosen] = []
        for names, most in ((waiting, room.waiting), (working, room.slots)):
            left = min(most, self.batch)
            for row in self._candidates(connection, names) if names and left > 0 else ():
                if closed.shut(row.schedule):
                    continue
                places = self._places(row)
                resources = _with_places(row.resources, places)
                if not used.take(resources):
                    continue
                if places is None or self._settled(row, places):
                    found.append(_Chosen(row.id, resources))
                # One whose hypervisor is still being asked keeps its place before lesser ones.
                left -= 1
                if left == 0:
                    break
        return found

    def _places(self, row: Row[Any]) -> tuple[str, ...] | None:
        """Hosts and datastores that a job would use, as far as they are known; None: nobody
        counts them."""
        if self.whereabouts is None or not self.whereabouts.counted(row.kind, row.resources):
            return None
        return self.whereabouts.last(row.id)

    def _settled(self, row: Row[Any], places: tuple[str, ...]) -> bool:
        """Whether these are all. If not, its hypervisor is asked from now on."""
        return self.whereabouts is not None and self.whereabouts.of(row.id, row.kind) == places

    def _candidates(self, connection: Connection, kinds: Sequence[str]) -> Iterator[Any]:
        query = (
            sa.select(
                jobs.c.id,
                jobs.c.kind,
                jobs.c.number,
                jobs.c.priority,
                jobs.c.resources,
                jobs.c.schedule,
            )
            .where(jobs.c.state == JobState.PENDING.value)
            .where(jobs.c.queue.in_(list(self.queues)), jobs.c.kind.in_(kinds))
            .order_by(jobs.c.priority.desc(), jobs.c.number)
            .limit(_PAGE)
        )
        page = connection.execute(query).all()
        while page:
            yield from page
            last = page[-1]
            behind = sa.or_(
                jobs.c.priority < last.priority,
                sa.and_(jobs.c.priority == last.priority, jobs.c.number > last.number),
            )
            page = connection.execute(query.where(behind)).all() if len(page) == _PAGE else []


def _with_places(resources: Sequence[str], places: Sequence[str] | None) -> tuple[str, ...]:
    """Those of an earlier run may be others by now."""
    if places is None:
        return tuple(resources)
    return (*(each for each in resources if not each.startswith(PLACES)), *places)


class _Used:
    """What running jobs, and those that were just chosen, hold of each resource."""

    def __init__(self, connection: Connection, budgets: Budgets, now: datetime) -> None:
        query = sa.select(job_resources.c.resource, sa.func.count()).group_by(
            job_resources.c.resource
        )
        self._used = {row.resource: int(row[1]) for row in connection.execute(query)}
        self._budgets = budgets
        self._limits: dict[str, Budget] = {}
        self._recent = cache(lambda: _begun(connection, now - _MINUTE))

    def take(self, resources: Collection[str]) -> bool:
        """Take one of each, or none and give False."""
        names = set(resources)
        if not all(self._room(name) for name in names):
            return False
        for name in names:
            self._used[name] = self._used.get(name, 0) + 1
            if self._limits[name].starts is not None:
                self._recent()[name] += 1
        return True

    def _room(self, name: str) -> bool:
        if name not in self._limits:
            self._limits[name] = self._budgets.limit(name)
        limit = self._limits[name]
        if limit.jobs is not None and self._used.get(name, 0) >= limit.jobs:
            return False
        return limit.starts is None or self._recent()[name] < limit.starts


def _begun(connection: Connection, since: datetime) -> Counter[str]:
    """Resource → jobs of it that first began after a moment, of the newest ten thousand."""
    newest = sa.select(sa.func.max(jobs.c.number)).scalar_subquery()
    query = sa.select(jobs.c.resources).where(
        jobs.c.number > newest - _LOOKED_AT, jobs.c.started > to_number(since)
    )
    return Counter(name for (names,) in connection.execute(query) for name in set(names))


class _ClosedSchedules:
    """Asks once per schedule."""

    def __init__(self, closed: Closed) -> None:
        self._closed = closed
        self._known: dict[str, bool] = {"": False}

    def shut(self, schedule: str) -> bool:
        if schedule not in self._known:
            self._known[schedule] = bool(self._closed([schedule]))
        return self._known[schedule]
