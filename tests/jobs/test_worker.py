from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from dbos import DBOS

from hypersdk.database.engine import Database
from hypersdk.database.tables import job_logs, job_resources, workers
from hypersdk.jobs.budgets import FixedBudgets
from hypersdk.jobs.claims import Claims
from hypersdk.jobs.kinds import Run
from hypersdk.model.errors import Conflict, DatabaseUnavailable, Interrupted, NotFound
from hypersdk.model.estate import Budget
from hypersdk.model.jobs import Backoff, JobState, NewJob, RetryPolicy, Wish
from tests.jobs.lab import QUICK, Lab, Scripted, eventually, lines
from tests.jobs.test_claims import claimed

RUNNING = JobState.RUNNING


def test_jobs_complete_with_their_results(both: Lab) -> None:
    with both.worker():
        ids = [both.submit(request={"seconds": 0.01}) for _ in range(10)]
        for id in ids:
            job = both.until(id)
            assert (job.state, job.result, job.worker) == (
                JobState.COMPLETED, {"slept": 0.01}, "one",
            )  # fmt: skip


def test_progress_and_log_are_seen_while_it_runs(lab: Lab) -> None:
    with lab.worker():
        id = lab.submit("copy")
        eventually(lambda: lab.store.get(id).progress.done > 3)
        progress = lab.store.get(id).progress
        assert (progress.phase, progress.subject) == ("copying", "web-1/vda")
        assert (progress.total, progress.rate, progress.eta) == (100, 10.0, 3.5)
        assert progress.percent == progress.done
        (line,) = lab.store.logs(id)
        assert (line.number, line.message, line.level) == (1, "copies", "info")
        assert line.details == {"disk": "vda", "password": "***"}


@pytest.mark.parametrize("kind", ["sleep", "batch"])
def test_a_cancel_stops_within_two_seconds(lab: Lab, kind: str) -> None:
    request: dict[str, Any] = {"seconds": 60}
    if kind == "batch":
        request = {"jobs": [{"kind": "sleep", "request": {"seconds": 60}}]}
    with lab.worker():
        id = lab.submit(kind, request=request)
        lab.until(id, RUNNING)
        began = time.monotonic()
        assert lab.store.cancel(id).wish is Wish.CANCEL
        assert lab.until(id).state is JobState.CANCELLED
        assert time.monotonic() - began < 2


def test_a_paused_job_goes_on_with_another_run(lab: Lab) -> None:
    with lab.worker():
        id = lab.submit(request={"seconds": 60})
        lab.until(id, RUNNING)
        lab.store.pause(id)
        job = lab.until(id, JobState.PAUSED)
        assert (job.run, job.wish) == (1, Wish.NONE)
        with lab.database.read() as connection:
            assert connection.execute(sa.select(job_resources)).all() == []
        lab.store.resume(id)
        assert lab.until(id, RUNNING).run == 2
        lab.store.cancel(id)
        lab.until(id, JobState.CANCELLED)


def test_what_failed_is_told_as_data(lab: Lab) -> None:
    with lab.worker():
        id = lab.submit("fail", request={"error": "lasting"})
        job = lab.until(id)
        assert job.state is JobState.FAILED
        assert job.error is not None
        assert (job.error.kind, job.error.hint) == ("InvalidInput", "Do better.")
        assert "hunter2" not in repr(job) + repr(lab.messages(id))


def test_a_fault_leaves_its_traceback_in_the_log(lab: Lab) -> None:
    with lab.worker():
        id = lab.submit("fail", request={"error": "fault"}, retry=RetryPolicy(attempts=5))
        job = lab.until(id)
        assert job.error is not None
        assert job.error.kind == "ZeroDivisionError"
        assert job.run == 1
        assert "a fault of the program" in lab.messages(id)[0]
        assert "Traceback" in lab.messages(id)[0]


def test_what_may_pass_is_tried_again(lab: Lab) -> None:
    retry = RetryPolicy(attempts=3, delay=0.02, backoff=Backoff.LINEAR)
    with lab.worker():
        id = lab.submit("fail", request={"error": "passing"}, retry=retry)
        job = lab.until(id)
        assert (job.state, job.run) == (JobState.FAILED, 3)
        assert sum("tried again" in message for message in lab.messages(id)) == 2
        assert [line.number for line in lab.store.logs(id)] == [1, 2, 3]


def test_a_result_that_is_no_json_fails_the_job(lab: Lab) -> None:
    with lab.worker(Scripted("odd", lambda request, run: {"it": object()})):
        error = lab.until(lab.submit("odd")).error
        assert error is not None
        assert error.kind == "TypeError"


def test_an_interruption_that_nobody_asked_for_is_a_failure(lab: Lab) -> None:
    def work(request: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
        raise Interrupted("by itself")

    with lab.worker(Scripted("odd", work)):
        assert lab.until(lab.submit("odd")).state is JobState.FAILED


def test_work_that_exits_is_a_failure_of_its_job_only(lab: Lab) -> None:
    def work(request: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
        raise SystemExit(3)

    with lab.worker(Scripted("odd", work)):
        assert lab.until(lab.submit("odd")).state is JobState.FAILED
        assert lab.until(lab.submit()).state is JobState.COMPLETED


def test_slots_bound_what_runs_at_once(lab: Lab) -> None:
    with lab.worker(slots=2) as worker:
        for _ in range(4):
            lab.submit(request={"seconds": 60})
        eventually(lambda: lab.store.counts()[RUNNING] == 2)
        parent = lab.submit("batch", request={"jobs": [{"kind": "sleep", "request": {}}]})
        lab.until(parent, RUNNING)
        assert lab.store.counts()[RUNNING] == 3
        assert worker.running == 3


def test_bandwidth_is_shared_by_those_that_run(lab: Lab) -> None:
    budgets = FixedBudgets(
        {"hypervisor:lab": Budget(bandwidth=900), "repository:main": Budget(bandwidth=500)}
    )
    seen: dict[str, int | None] = {}

    def work(request: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
        while True:
            seen[run.job.name] = run.bandwidth()
            run.cancel.wait(0.01)

    with lab.worker(Scripted("read", work), budgets=budgets):
        lab.submit("read", name="a", resources=("hypervisor:lab", "repository:main"))
        lab.submit("read", name="free", resources=("hypervisor:else",))
        eventually(lambda: seen.get("a") == 500 and "free" in seen)
        b = lab.submit("read", name="b", resources=("hypervisor:lab",))
        lab.submit("read", name="c", resources=("hypervisor:lab",))
        eventually(lambda: (seen["a"], seen.get("b"), seen["free"]) == (300, 300, None))
        lab.store.cancel(b)
        eventually(lambda: seen["a"] == 450)


# Draining.


def test_a_drain_lets_work_end_and_begins_nothing(lab: Lab) -> None:
    with lab.worker(slots=1) as worker:
        short = lab.submit(request={"seconds": 0.3})
        lab.until(short, RUNNING)
        later = lab.submit()
        assert worker.drain(30)
        assert lab.store.get(short).state is JobState.COMPLETED
        assert lab.store.get(later).state is JobState.PENDING
    with lab.database.read() as connection:
        assert connection.execute(sa.select(workers.c.state)).scalar_one() == "stopped"


def test_what_a_drain_interrupts_runs_again(lab: Lab) -> None:
    with lab.worker() as worker:
        id = lab.submit(request={"seconds": 60})
        waiting = lab.submit("sleep", request={"seconds": 60})
        lab.until(id, RUNNING)
        lab.until(waiting, RUNNING)
        lab.store.pause(waiting)
        began = time.monotonic()
        assert worker.drain(0.2)
        assert time.monotonic() - began < 5
        assert worker.join(0)
    assert lab.store.get(id).state is JobState.PENDING
    assert lab.store.get(waiting).state is JobState.PAUSED
    with lab.worker():
        assert lab.until(id, RUNNING).run == 2


def test_a_drain_does_not_wait_for_those_that_only_wait(lab: Lab) -> None:
    request = {"jobs": [{"kind": "sleep", "request": {}}]}
    with lab.worker(slots=0) as worker:
        id = lab.submit("batch", request=request)
        lab.until(id, RUNNING)
        began = time.monotonic()
        assert worker.drain(60)
        assert time.monotonic() - began < 20
    assert lab.store.get(id).state is JobState.PENDING


def test_work_that_does_not_stop_keeps_the_lock(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    free = threading.Event()

    def work(request: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
        free.wait(60)
        return {}

    with lab.worker(Scripted("stuck", work), pace=replace(QUICK, grace=0.2)) as worker:
        id = lab.submit("stuck")
        lab.until(id, RUNNING)
        eventually(lambda: worker.running == 1)
        assert not worker.stop()
        assert worker.join(0)
        assert lab.store.get(id).state is RUNNING
        assert lab.database.lock("worker.one") is None
        free.set()
        eventually(lambda: worker.running == 0)


def test_a_worker_goes_on_with_what_it_left(lab: Lab) -> None:
    """As a process that was killed leaves it: a running row, and no workflow."""
    _, job, _ = claimed(lab, kind="sleep")
    with lab.worker():
        found = lab.until(job.id)
        assert (found.state, found.run) == (JobState.COMPLETED, 1)


def test_a_second_worker_of_the_same_id_is_refused(both: Lab) -> None:
    held = both.database.lock("worker.one")
    assert held is not None
    with (
        pytest.raises(Conflict, match="worker called one") as caught,
        both.worker(pace=replace(QUICK, patience=0.1)),
    ):
        raise AssertionError("began")
    assert "--id" in caught.value.hint
    held.release()
    with both.worker():
        assert both.until(both.submit()).state is JobState.COMPLETED


def test_two_workers_in_one_process_are_refused(lab: Lab) -> None:
    with lab.worker(), pytest.raises(Conflict, match="in this process"), lab.worker(id="two"):
        raise AssertionError("began")


# What a kind may do.


def test_steps_are_of_the_jobs_own_thread(lab: Lab) -> None:
    def work(request: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
        said: list[str] = []

        def other() -> None:
            try:
                run.step("there", lambda: 1)
            except RuntimeError as error:
                said.append(str(error))

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        inner = run.step("outer", lambda: run.step("inner", lambda: (1, 2)))
        return {"said": said, "inner": inner}

    with lab.worker(Scripted("threads", work)):
        result = lab.until(lab.submit("threads")).result
        assert result is not None
        assert "'there'" in result["said"][0]
        assert result["inner"] == [1, 2]


def test_a_step_that_fails_raises_what_it_raised(lab: Lab) -> None:
    def work(request: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
        def missing() -> None:
            raise NotFound("gone", hint="Look.")

        try:
            run.step("look", missing)
        except NotFound as error:
            return {"hint": error.hint, "then": run.step("then", lambda: "done")}
        return {}

    with lab.worker(Scripted("look", work)):
        assert lab.until(lab.submit("look")).result == {"hint": "Look.", "then": "done"}


def test_a_batch_ends_with_its_children(both: Lab) -> None:
    jobs = [
        {"kind": "sleep", "request": {"seconds": 0.05}},
        {"kind": "fail", "request": {"error": "lasting"}},
    ]
    with both.worker(slots=1):
        parent = both.submit("batch", request={"jobs": jobs}, tenant="blue", owner="ann")
        job = both.until(parent)
        assert job.result == {"states": ["completed", "failed"]}
        assert (job.progress.done, job.progress.total) == (2, 2)
        children = [each for each in both.store.list().jobs if each.parent == parent]
        assert {(each.tenant, each.owner) for each in children} == {("blue", "ann")}


def test_the_first_failure_may_cancel_the_rest(lab: Lab) -> None:
    jobs = [
        {"kind": "sleep", "request": {"seconds": 60}},
        {"kind": "fail", "request": {"error": "lasting"}},
    ]
    with lab.worker():
        parent = lab.submit("batch", request={"jobs": jobs, "stop_on_error": True})
        assert lab.until(parent).result == {"states": ["cancelled", "failed"]}


def test_pausing_a_batch_pauses_its_children_and_resuming_makes_none_anew(lab: Lab) -> None:
    jobs = [
        {"kind": "sleep", "request": {"seconds": 60}},
        {"kind": "sleep", "request": {"seconds": 0}},
    ]
    with lab.worker():
        parent = lab.submit("batch", request={"jobs": jobs})
        eventually(lambda: lab.store.counts()[JobState.COMPLETED] == 1)
        lab.store.pause(parent)
        lab.until(parent, JobState.PAUSED)
        eventually(lambda: lab.store.counts()[JobState.PAUSED] == 2)
        lab.store.resume(parent)
        eventually(lambda: lab.store.counts()[RUNNING] == 2)
        assert len(lab.store.list().jobs) == 3
        lab.store.cancel(parent)
        eventually(lambda: lab.store.counts()[JobState.CANCELLED] == 2)


def test_retrying_a_batch_retries_what_failed_only(lab: Lab) -> None:
    def once(request: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
        if run.job.run == 1:
            raise NotFound("not yet")
        return {}

    def batch(request: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
        new = [NewJob(kind=each, request={}) for each in ("once", "sleep")]
        if any(job.state is JobState.FAILED for job in run.children(new)):
            raise NotFound("a child failed")
        return {}

    with lab.worker(Scripted("once", once), Scripted("all", batch, waits=True)):
        parent = lab.submit("all")
        assert lab.until(parent).state is JobState.FAILED
        lab.store.retry(parent)
        assert lab.until(parent, JobState.COMPLETED).run == 2
        runs = {job.kind: job.run for job in lab.store.list().jobs}
        assert runs == {"all": 2, "once": 2, "sleep": 1}


# Trouble.


class Failing:
    """Makes writes of a database fail, as a full disk does."""

    def __init__(self, database: Database) -> None:
        self.on = False
        self.met = 0
        sa.event.listen(database.engine, "before_cursor_execute", self)

    def __call__(self, connection: object, cursor: object, statement: str, *more: object) -> None:
        if self.on and statement.startswith(("INSERT", "UPDATE", "DELETE")):
            self.met += 1
            raise sqlite3.OperationalError("database or disk is full")


def test_a_full_disk_loses_nothing(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    failing = Failing(lab.database)
    gate = threading.Event()

    def work(request: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
        while not gate.wait(0.01):
            run.cancel.check()
        run.log("passed the gate")
        return {"done": True}

    with lab.worker(Scripted("gate", work)):
        id = lab.submit("gate")
        lab.until(id, RUNNING)
        waiting = lab.submit()
        failing.on = True
        gate.set()
        eventually(lambda: failing.met > 10)
        with pytest.raises(DatabaseUnavailable, match="disk is full"):
            lab.submit()
        assert lab.store.get(id).state is RUNNING
        failing.on = False
        assert lab.until(id).result == {"done": True}
        assert lab.messages(id) == ["passed the gate"]
        assert lab.until(waiting).state is JobState.COMPLETED


def test_forgotten_jobs_leave_nothing(both: Lab) -> None:
    with both.worker() as worker:
        ids = [both.submit("fail", request={"error": "lasting"}) for _ in range(3)]
        for id in ids:
            both.until(id)
        going = both.submit(request={"seconds": 60})
        both.until(going, RUNNING)
        eventually(lambda: worker.running == 1)
        assert worker.forget(both.database.now() - timedelta(hours=1)) == 0
        assert worker.forget(both.database.now() + timedelta(hours=1)) == 3
        assert [job.id for job in both.store.list().jobs] == [going]
        with both.database.read() as connection:
            assert connection.execute(sa.select(job_logs)).all() == []
        left = [each.workflow_id for each in DBOS.list_workflows()]
        assert left == [f"{going}.1"]


def test_workers_that_ended_long_ago_are_forgotten(both: Lab) -> None:
    dead = Claims(both.database, "dead")
    dead.register([], 1, "test")
    dead.say("stopped")
    with both.worker() as worker:
        worker.forget(both.database.now() - timedelta(hours=1))
        assert _workers(both) == {"dead", "one"}
        worker.forget(both.database.now() + timedelta(hours=1))
        assert _workers(both) == {"one"}


def _workers(lab: Lab) -> set[str]:
    with lab.database.read() as connection:
        return set(connection.execute(sa.select(workers.c.id)).scalars())


def test_nothing_is_kept_of_ended_jobs(lab: Lab) -> None:
    with lab.worker() as worker:
        for id in [lab.submit() for _ in range(20)]:
            lab.until(id)
        eventually(lambda: worker.running == 0)
        assert worker._roster.places() == []


def test_the_library_says_nothing_by_itself(lab: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    with lab.worker():
        lab.until(lab.submit("fail", request={"error": "fault"}))
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger("dbos").propagate


def test_lines_of_the_lab(lab: Lab, tmp_path: Any) -> None:
    with lab.worker():
        id = lab.submit("steps", request={"file": str(tmp_path / "marks"), "count": 3})
        lab.until(id, JobState.COMPLETED)
    assert lines(tmp_path / "marks") == [f"{id} {number}" for number in range(3)]
