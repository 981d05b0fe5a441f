"""The list of workers."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from hypersdk.database.engine import Database
from hypersdk.database.moments import to_number
from hypersdk.database.tables import jobs, workers
from hypersdk.jobs.store import JobStore
from hypersdk.jobs.workforce import workforce
from hypersdk.model.jobs import NewJob


def test_each_with_what_it_runs(tmp_path: Path) -> None:
    database = Database.open(f"sqlite:///{tmp_path}/jobs.db")
    ids = [made.id for made in JobStore(database).submit([NewJob(kind="gc", request={})] * 3)]
    now = to_number(database.now())
    with database.write() as connection:
        for name in ("b", "a"):
            connection.execute(
                sa.insert(workers).values(
                    id=name, queues=["default"], host="h", pid=1, slots=2, version="0",
                    state="running", started=now, seen=now,
                )
            )  # fmt: skip
        connection.execute(sa.update(jobs).where(jobs.c.id == ids[0]).values(worker="b"))
        busy = sa.update(jobs).where(jobs.c.id != ids[0])
        connection.execute(busy.values(state="running", worker="b"))
    found = workforce(database)
    database.close()
    assert [(each.id, each.busy, each.queues) for each in found] == [
        ("a", 0, ("default",)),
        ("b", 2, ("default",)),
    ]
