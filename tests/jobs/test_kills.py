"""Workers that are killed, and workers that take over: no step's effect is lost or doubled."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from hypersdk.database import tables
from hypersdk.database.engine import Database
from hypersdk.model.jobs import JobState, NewJob
from tests.jobs.lab import Lab, append, eventually, lines
from tests.jobs.process import Nursery, kill, nursery

_KILLS = 15  # on each database
_STEPS = 30


@pytest.fixture(scope="module")
def workers() -> Iterator[Nursery]:
    with nursery() as made:
        yield made


def test_killed_again_and_again_a_job_goes_on_after_its_last_step(
    both: Lab, url: str, workers: Nursery, tmp_path: Path
) -> None:
    marks = tmp_path / "marks"
    request = {"file": str(marks), "count": _STEPS, "pause": 0.02}
    ids = [both.submit("steps", request=request) for _ in range(3)]
    seed = time.time_ns()
    chance = random.Random(seed)
    for number in range(_KILLS):
        pid = workers.worker(url)
        seen = len(lines(marks))
        if number % 3 == 0:  # at any moment of its start
            time.sleep(chance.uniform(0, 0.5))
        else:  # at any moment of its work
            eventually(lambda seen=seen: len(lines(marks)) > seen or _ended(both, ids))  # type: ignore[misc]
            time.sleep(chance.uniform(0, 0.15))
        kill(pid)
    last = workers.worker(url)
    for id in ids:
        job = both.until(id, seconds=60)
        assert (job.state, job.run) == (JobState.COMPLETED, 1), (
            f"seed {seed}: {job} {both.messages(id)}"
        )
    kill(last)
    wanted = Counter(f"{id} {step}" for id in ids for step in range(_STEPS))
    assert Counter(lines(marks)) == wanted, f"seed {seed}"
    # A finished step is not even begun again: at most the one that a kill met.
    begun = len(lines(marks.with_name("tries")))
    assert begun <= len(ids) * (_STEPS + _KILLS), f"seed {seed}"


def _ended(lab: Lab, ids: list[str]) -> bool:
    return all(lab.store.get(id).state.ended for id in ids)


@pytest.fixture
def server(postgres_url: str) -> Iterator[Lab]:
    database = Database.open(postgres_url)
    yield Lab(database)
    database.close()


def test_three_workers_share_evenly(server: Lab, postgres_url: str, workers: Nursery) -> None:
    pids = [workers.worker(postgres_url, f"w{number}") for number in range(3)]
    eventually(lambda: _living(server) == 3)
    server.store.submit([NewJob(kind="sleep", request={"seconds": 0.2})] * 300)
    eventually(lambda: server.store.counts()[JobState.COMPLETED] == 300, seconds=120)
    done = Counter(job.worker for job in server.store.list(limit=300).jobs)
    for pid in pids:
        kill(pid)
    assert set(done) == {"w0", "w1", "w2"}
    assert all(80 <= number <= 120 for number in done.values()), done


def test_jobs_of_a_killed_worker_end_elsewhere_and_none_runs_twice(
    server: Lab, postgres_url: str, workers: Nursery, tmp_path: Path
) -> None:
    marks = tmp_path / "marks"
    request = {"file": str(marks), "count": 3, "pause": 0.05, "alone": True}
    pids = [workers.worker(postgres_url, f"w{number}") for number in range(3)]
    eventually(lambda: _living(server) == 3)
    ids = [
        answer.id for answer in server.store.submit([NewJob(kind="steps", request=request)] * 90)
    ]
    eventually(lambda: server.store.counts()[JobState.COMPLETED] > 20, seconds=60)
    kill(pids[0])
    left = {
        job.id
        for job in server.store.list(limit=300).jobs
        if job.state is JobState.RUNNING and job.worker == "w0"
    }
    append(tmp_path / "left", str(len(left)))
    began = time.monotonic()
    eventually(lambda: server.store.counts()[JobState.COMPLETED] == len(ids), seconds=60)
    assert time.monotonic() - began < 60
    for id in left:
        job = server.store.get(id)
        assert job.worker in ("w1", "w2")
        assert job.run == 1
    wanted = Counter(f"{id} {step}" for id in ids for step in range(3))
    assert Counter(lines(marks)) == wanted
    assert lines(tmp_path / "overlaps") == []
    # When it comes back, nothing of it is left to run.
    back = workers.worker(postgres_url, "w0")
    eventually(lambda: _living(server) == 3)
    assert server.store.counts()[JobState.COMPLETED] == len(ids)
    for pid in (*pids[1:], back):
        kill(pid)


def test_a_worker_of_another_name_takes_over_what_was_killed(
    both: Lab, url: str, workers: Nursery, tmp_path: Path
) -> None:
    request = {"file": str(tmp_path / "marks"), "count": 10, "pause": 0.05, "alone": True}
    ids = [both.submit("steps", request=request) for _ in range(3)]
    parent = both.submit("batch", request={"jobs": [{"kind": "steps", "request": request}]})
    pid = workers.worker(url, "before-1234", slots=9)
    eventually(lambda: len(lines(tmp_path / "marks")) > 8)
    kill(pid)
    with both.worker(id="after-5678", slots=2):
        for id in (*ids, parent):
            job = both.until(id, seconds=60)
            assert (job.state, job.run, job.worker) == (JobState.COMPLETED, 1, "after-5678")
    assert sorted(Counter(lines(tmp_path / "marks")).values()) == [1] * 40
    assert lines(tmp_path / "overlaps") == []


def test_a_killed_workers_jobs_wait_for_a_worker_of_their_site(
    server: Lab, postgres_url: str, workers: Nursery
) -> None:
    id = server.submit(request={"seconds": 60})
    pid = workers.worker(postgres_url, "w0")
    server.until(id, JobState.RUNNING)
    kill(pid)
    with server.worker(id="else", queues=["elsewhere"]):
        other = server.submit(queue="elsewhere", request={"seconds": 1.5})
        server.until(other, JobState.COMPLETED)
        assert server.store.get(id).worker == "w0"


def _living(lab: Lab) -> int:
    with lab.database.read() as connection:
        states = connection.execute(sa.select(tables.workers.c.state)).scalars().all()
    return sum(state == "running" for state in states)
