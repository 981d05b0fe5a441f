from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from hypersdk.database.events import EventLog
from hypersdk.database.tables import job_resources, workers
from hypersdk.jobs.claims import Claims, Ending, Report, RunName
from hypersdk.jobs.dispatcher import Room
from hypersdk.model.jobs import Job, JobError, JobLog, JobProgress, JobState, Wish
from tests.jobs.conftest import Clock
from tests.jobs.lab import Lab
from tests.jobs.test_dispatcher import dispatcher

PENDING = Ending(state=JobState.PENDING)


def claimed(lab: Lab, worker: str = "one", **options: object) -> tuple[Claims, Job, RunName]:
    claims = Claims(lab.database, worker)
    claims.register(["default"], 4, "test")
    lab.submit(**options)  # type: ignore[arg-type]
    (job,) = dispatcher(lab.database, worker).tick(Room(1, 1))
    return claims, job, RunName(job.id, job.run)


def log(number: int, message: str, **details: object) -> JobLog:
    return JobLog(number, datetime(2026, 3, 1, tzinfo=UTC), "info", message, details)


def test_the_end_of_a_run_is_stored_at_once(both: Lab) -> None:
    request = {"repository": "main", "hypervisor": "lab", "instance": "web", "full": True}
    claims, job, run = claimed(both, resources=("repository:main",), kind="backup", request=request)
    ending = Ending(
        state=JobState.COMPLETED,
        result={"point": "p"},
        progress=JobProgress("done", "web-1", 10, 10, 100.0),
        logs=(log(1, "ends"),),
    )
    assert claims.finish(run, ending)
    found = both.store.get(job.id)
    assert (found.state, found.result, found.progress.percent) == (
        JobState.COMPLETED, {"point": "p"}, 100.0,
    )  # fmt: skip
    assert found.ended is not None
    assert both.messages(job.id) == ["ends"]
    with both.database.read() as connection:
        assert connection.execute(sa.select(job_resources)).all() == []
    events = EventLog(both.database).since(0)
    assert [event.name for event in events[-2:]] == ["job.completed", "backup.completed"]
    assert events[-1].subject == f"jobs/{job.id}"
    assert events[-1].data == {
        "kind": "backup", "name": job.name, "run": 1, "result": {"point": "p"},
        "repository": "main", "hypervisor": "lab", "instance": "web",
    }  # fmt: skip
    assert not claims.finish(run, PENDING)


def test_an_error_is_stored_without_secrets(both: Lab) -> None:
    claims, job, run = claimed(both)
    error = JobError("InvalidInput", "no: https://ann:hunter2@host/", "password=hunter2\0")
    claims.finish(run, Ending(state=JobState.FAILED, error=error, failed=True))
    found = both.store.get(job.id)
    assert found.error is not None
    assert "hunter2" not in repr(found)
    assert claims.failures(job.id) == 1
    both.store.retry(job.id)
    assert claims.failures(job.id) == 0


def test_log_lines_without_secrets_and_zeros(both: Lab) -> None:
    claims, job, run = claimed(both)
    lines = (log(1, "token=abc\0def", password="hunter2", at={1, 2}), log(2, "x" * 30_000))
    claims.report([Report(run, None, lines)])
    first, second = both.store.logs(job.id)
    assert "abc" not in first.message
    assert first.details["password"] == "***"
    assert len(second.message) == 20_000
    found = claims.begin(run)
    assert found is not None
    assert found[1] == 2


def test_progress_of_many_runs_in_one_write(both: Lab) -> None:
    claims = Claims(both.database, "one")
    claims.register(["default"], 4, "test")
    ids = [both.submit() for _ in range(3)]
    jobs = dispatcher(both.database).tick(Room(3, 0))
    before = both.store.revision()
    claims.report(
        Report(RunName(job.id, job.run), JobProgress(phase=f"p{at}"), ())
        for at, job in enumerate(jobs)
    )
    changed = both.store.changes(before)
    assert {job.progress.phase for job in changed} == {"p0", "p1", "p2"}
    assert sorted(job.id for job in changed) == sorted(ids)


@pytest.mark.parametrize(
    ("state", "wish", "then"),
    [
        (JobState.PAUSED, Wish.PAUSE, JobState.PAUSED),
        # Resumed while it was about to pause.
        (JobState.PAUSED, Wish.NONE, JobState.PENDING),
        (JobState.PENDING, Wish.NONE, JobState.PENDING),
        (JobState.PENDING, Wish.PAUSE, JobState.PAUSED),
        (JobState.SCHEDULED, Wish.CANCEL, JobState.CANCELLED),
        (JobState.SCHEDULED, Wish.PAUSE, JobState.PAUSED),
        (JobState.PAUSED, Wish.CANCEL, JobState.CANCELLED),
        # It was done before it heard of it.
        (JobState.COMPLETED, Wish.CANCEL, JobState.COMPLETED),
        (JobState.FAILED, Wish.PAUSE, JobState.FAILED),
    ],
)
def test_what_is_wished_by_then_counts(
    lab: Lab, state: JobState, wish: Wish, then: JobState
) -> None:
    claims, job, run = claimed(lab)
    if wish is Wish.CANCEL:
        lab.store.cancel(job.id)
    elif wish is Wish.PAUSE:
        lab.store.pause(job.id)
    assert claims.running() == {run: wish}
    claims.finish(run, Ending(state=state))
    found = lab.store.get(job.id)
    assert (found.state, found.wish) == (then, Wish.NONE)
    assert claims.running() == {}


def test_a_job_tried_again_waits_for_its_moment(still: Lab, clock: Clock) -> None:
    claims, job, run = claimed(still)
    later = clock.now + timedelta(seconds=30)
    error = JobError("StoreUnavailable", "away", retryable=True)
    claims.finish(run, Ending(state=JobState.SCHEDULED, error=error, not_before=later, failed=True))
    event = EventLog(still.database).since(0)[-1]
    assert (event.name, event.data["next"]) == ("job.retrying", later.isoformat())
    tick = dispatcher(still.database).tick
    assert tick(Room(1, 0)) == ()
    clock.pass_by(seconds=30)
    (again,) = tick(Room(1, 0))
    assert (again.id, again.run, again.error) == (job.id, 2, None)


def test_a_run_that_was_taken_over_is_not_touched(both: Lab) -> None:
    claims, job, run = claimed(both)
    other = Claims(both.database, "two")
    other.register(["default"], 4, "test")
    assert other.take_over("one", ["elsewhere"], ["sleep"], 9) == 0
    assert other.take_over("one", ["default"], ["else"], 9) == 0
    assert other.take_over("one", ["default"], ["sleep"], 9) == 1
    claims.report([Report(run, JobProgress(phase="late"), (log(1, "late"),))])
    assert claims.begin(run) is None
    assert not claims.finish(run, PENDING)
    found = both.store.get(job.id)
    assert (found.state, found.worker, found.run) == (JobState.RUNNING, "two", 1)
    assert found.progress.phase == ""
    assert both.messages(job.id) == []
    assert other.finish(run, PENDING)


def test_a_process_whose_id_was_given_to_another_changes_nothing(both: Lab) -> None:
    claims, _, run = claimed(both)
    successor = Claims(both.database, "one")
    successor.register(["default"], 4, "test")
    assert claims.begin(run) is None
    assert not claims.finish(run, PENDING)
    claims.say("stopped")
    with both.database.read() as connection:
        assert connection.execute(sa.select(workers.c.state)).scalar_one() == "running"
    assert successor.begin(run) is not None


def test_a_worker_says_how_it_is(both: Lab) -> None:
    claims = Claims(both.database, "one")
    claims.register(["a", "b"], 7, "1.2")
    claims.say("draining")
    with both.database.read() as connection:
        row = connection.execute(sa.select(workers)).one()
    assert (row.id, row.queues, row.slots, row.version, row.state) == (
        "one", ["a", "b"], 7, "1.2", "draining",
    )  # fmt: skip
