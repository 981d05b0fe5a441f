"""Old jobs and workers are deleted, with everything that is stored of them."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from hypersdk.database.engine import Database
from hypersdk.database.moments import to_number
from hypersdk.database.tables import job_logs, jobs, workers
from hypersdk.jobs.claims import RunName
from hypersdk.jobs.engine import Engine
from hypersdk.model.jobs import JobState

#: Jobs in one transaction.
_MANY = 200


def forget(database: Database, engine: Engine, before: datetime) -> int:
    """Those that ended before a moment; gives how many jobs.

    What is stored of their steps goes first: after a crash in between they are found again. A job
    whose parent or child has not ended is old all the same.
    """
    done = 0
    _forget_workers(database, engine, before)
    while found := _old(database, before):
        engine.forget([RunName(id, run + 1) for id, runs in found for run in range(runs)])
        with database.write() as connection:
            ids = [id for id, _ in found]
            gone = connection.execute(
                sa.delete(jobs).where(jobs.c.id.in_(ids), *_ended(before)).returning(jobs.c.id)
            ).scalars()
            connection.execute(sa.delete(job_logs).where(job_logs.c.job.in_(list(gone))))
        done += len(found)
    return done


def _forget_workers(database: Database, engine: Engine, before: datetime) -> None:
    """Those that ended; one that was killed is noted as ended when its jobs were taken over."""
    gone = workers.c.state == "stopped", workers.c.seen < to_number(before)
    with database.write() as connection:
        ids = connection.execute(sa.delete(workers).where(*gone).returning(workers.c.id)).scalars()
        ended = list(ids)
    for id in ended:
        engine.forget_worker(id)


def _old(database: Database, before: datetime) -> list[tuple[str, int]]:
    query = sa.select(jobs.c.id, jobs.c.run).where(*_ended(before)).limit(_MANY)
    with database.read() as connection:
        return [(row.id, row.run) for row in connection.execute(query)]


def _ended(before: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    states = [state.value for state in JobState if state.ended]
    return jobs.c.ended < to_number(before), jobs.c.state.in_(states)
