"""How runs end; most of it is in test_worker."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from hypersdk.jobs import attempt as module
from hypersdk.jobs.claims import Claims, Ending, RunName
from hypersdk.jobs.engine import Engine, StepsChanged
from hypersdk.jobs.kinds import Run
from hypersdk.model.errors import DatabaseUnavailable, Interrupted, InvalidInput, StoreFull
from hypersdk.model.jobs import JobState
from tests.jobs.lab import Lab, Scripted, eventually
from tests.jobs.test_claims import claimed


def once(error: Exception) -> Scripted:
    """A kind whose first run raises."""

    def work(request: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
        if run.job.run == 1:
            raise error
        return {"run": run.job.run}

    return Scripted("once", work)


def test_a_run_of_another_version_of_the_program_begins_anew(lab: Lab) -> None:
    with lab.worker(once(StepsChanged("they changed"))):
        id = lab.submit("once")
        assert lab.until(id).result == {"run": 2}
        assert "begins anew" in lab.messages(id)[0]


def test_a_database_that_was_away_is_no_failure_of_the_job(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_DATABASE_DELAY", 0.01)
    with lab.worker(once(DatabaseUnavailable("away"))):
        assert lab.until(lab.submit("once")).result == {"run": 2}


def test_an_error_while_it_stops_is_told_and_does_not_change_the_end(lab: Lab) -> None:
    def work(request: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
        try:
            run.cancel.wait(60)
        except Interrupted:
            raise StoreFull("no room to clean up") from None
        return {}

    with lab.worker(Scripted("messy", work)):
        id = lab.submit("messy")
        lab.until(id, JobState.RUNNING)
        lab.store.cancel(id)
        job = lab.until(id)
        assert (job.state, job.error) == (JobState.CANCELLED, None)
        assert "no room to clean up" in lab.messages(id)[0]


def test_work_that_ended_before_it_heard_of_a_cancel_is_completed(lab: Lab) -> None:
    def work(request: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
        eventually(lambda: run.cancel.cancelled)
        return {"done": True}

    with lab.worker(Scripted("deaf", work)):
        id = lab.submit("deaf")
        lab.until(id, JobState.RUNNING)
        lab.store.cancel(id)
        assert lab.until(id).state is JobState.COMPLETED


def test_an_end_that_cannot_be_stored_fails_the_job(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = Claims.finish

    def finish(self: Claims, run: RunName, ending: Ending) -> bool:
        if ending.state is JobState.COMPLETED:
            raise InvalidInput("the database cannot hold one of the values")
        return stored(self, run, ending)

    monkeypatch.setattr(Claims, "finish", finish)
    with lab.worker():
        job = lab.until(lab.submit())
        assert job.state is JobState.FAILED
        assert job.error is not None
        assert "cannot hold" in job.error.message


@pytest.mark.parametrize("value", ["\0", "file \udcff", float("nan")])
def test_odd_values_neither_stop_a_job_nor_its_log(both: Lab, value: object) -> None:
    def work(request: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
        run.phase("copying", f"disk {value}")
        run.log(f"a line with {value}", value=value)
        if isinstance(value, str):
            return {"value": value}
        raise StoreFull(f"no room for {value}")

    with both.worker(Scripted("odd", work)):
        id = both.submit("odd")
        job = both.until(id)
        assert job.state is (JobState.COMPLETED if isinstance(value, str) else JobState.FAILED)
        (line, *_) = both.store.logs(id)
        assert line.message.startswith("a line with")
        json.dumps([job.result, line.message, job.progress.subject], ensure_ascii=False).encode()


def test_what_the_library_takes_for_finished_begins_anew(lab: Lab) -> None:
    engine = Engine(lab.database, "one", resume_seconds=1)
    _, job, run = claimed(lab, kind="sleep")
    engine.open(lambda name: None)
    engine.start(run)
    eventually(lambda: not engine.resume(run))
    engine.close()
    with lab.worker():
        found = lab.until(job.id)
        assert (found.state, found.run) == (JobState.COMPLETED, 2)
