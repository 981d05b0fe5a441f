"""The workers that there are, for people."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from hypersdk.database.engine import Database
from hypersdk.database.moments import from_number
from hypersdk.database.tables import jobs, workers
from hypersdk.model.jobs import JobState


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStatus:
    """A worker as it said of itself last."""

    id: str
    host: str
    pid: int
    queues: tuple[str, ...]
    #: Jobs at once.
    slots: int
    #: Jobs that it runs now, also those that only wait for others.
    busy: int
    version: str
    #: ``running``, ``draining`` or ``stopped``.
    state: str
    started: datetime
    seen: datetime


def workforce(database: Database) -> tuple[WorkerStatus, ...]:
    """By id. One that died without a word is ``running`` until another notices: see ``seen``."""
    running = (
        sa.select(jobs.c.worker, sa.func.count().label("busy"))
        .where(jobs.c.state == JobState.RUNNING.value)
        .group_by(jobs.c.worker)
        .subquery()
    )
    query = (
        sa.select(workers, sa.func.coalesce(running.c.busy, 0).label("busy"))
        .outerjoin(running, running.c.worker == workers.c.id)
        .order_by(workers.c.id)
    )
    with database.read() as connection:
        return tuple(
            WorkerStatus(
                id=row.id,
                host=row.host,
                pid=row.pid,
                queues=tuple(row.queues),
                slots=row.slots,
                busy=row.busy,
                version=row.version,
                state=row.state,
                started=from_number(row.started),
                seen=from_number(row.seen),
            )
            for row in connection.execute(query)
        )
