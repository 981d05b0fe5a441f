"""PostgreSQL goes away and comes back."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from hypersdk.database.engine import Database
from hypersdk.jobs.kinds import Run
from hypersdk.model.errors import DatabaseUnavailable
from hypersdk.model.jobs import JobState
from tests.jobs.lab import QUICK, Lab, Scripted, eventually
from tests.postgres import Server


@pytest.fixture
def lab(postgres_url: str) -> Iterator[Lab]:
    database = Database.open(postgres_url)
    yield Lab(database)
    database.close()


class Gate:
    """A kind that waits for the test."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.begun = threading.Semaphore(0)
        self.stopped = threading.Semaphore(0)

    def kind(self) -> Scripted:
        def work(request: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
            self.begun.release()
            while not self.open.wait(0.01):
                if run.cancel.cancelled:
                    self.stopped.release()
                run.cancel.check()
            return {"run": run.job.run}

        return Scripted("gate", work)


def test_everything_goes_on_when_the_server_is_back(lab: Lab, postgres_server: Server) -> None:
    gate = Gate()
    with lab.worker(gate.kind(), pace=replace(QUICK, lost=2.0)):
        id = lab.submit("gate")
        waiting = [lab.submit(queue="default") for _ in range(3)]
        assert gate.begun.acquire(timeout=30)
        postgres_server.stop("immediate")
        try:
            # Cut off from the database, its work stops: another worker may have it by now.
            assert gate.stopped.acquire(timeout=30)
            with pytest.raises(DatabaseUnavailable):
                lab.submit()
        finally:
            postgres_server.start()
        assert gate.begun.acquire(timeout=60)
        gate.open.set()
        assert lab.until(id, seconds=60).result == {"run": 2}
        assert "cut off from the database" in lab.messages(id)[0]
        for each in waiting:
            assert lab.until(each, seconds=60).state is JobState.COMPLETED


def test_an_end_that_the_server_did_not_take_is_not_lost(lab: Lab, postgres_server: Server) -> None:
    gate = Gate()
    with lab.worker(gate.kind()):
        id = lab.submit("gate")
        assert gate.begun.acquire(timeout=30)
        gate.open.set()
        postgres_server.stop("immediate")
        postgres_server.start()
        job = lab.until(id, seconds=60)
        assert job.state is JobState.COMPLETED
        assert lab.until(lab.submit(), seconds=60).state is JobState.COMPLETED


def test_a_worker_that_lost_its_lock_takes_it_again_before_others_can(lab: Lab) -> None:
    gate = Gate()
    with lab.worker(gate.kind()):
        id = lab.submit("gate")
        assert gate.begun.acquire(timeout=30)
        with lab.database.write() as connection:
            ended = connection.execute(
                sa.text(
                    "SELECT pg_terminate_backend(pid) FROM pg_locks"
                    " WHERE locktype = 'advisory' AND database ="
                    " (SELECT oid FROM pg_database WHERE datname = current_database())"
                )
            ).all()
        assert ended
        eventually(lambda: _locked(lab))
        gate.open.set()
        assert lab.until(id, seconds=60).result == {"run": 1}


def _locked(lab: Lab) -> bool:
    lock = lab.database.lock("worker.one")
    if lock is not None:
        lock.release()
    return lock is None
