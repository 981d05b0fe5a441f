from __future__ import annotations

import pytest

from hypersdk.jobs.budgets import FixedBudgets
from hypersdk.jobs.engine import Engine
from hypersdk.jobs.run import JobRun, Reason, Stopper, plain
from hypersdk.jobs.shares import Shares
from hypersdk.model.jobs import JobProgress
from hypersdk.model.progress import Progress
from tests.jobs.lab import QUICK, Lab


@pytest.fixture
def run(lab: Lab) -> JobRun:
    return JobRun(
        lab.store.get(lab.submit()),
        lines=7,
        stopper=Stopper(),
        database=lab.database,
        engine=Engine(lab.database, "one", resume_seconds=1),
        shares=Shares(lab.database, FixedBudgets(), seconds=1),
        pace=QUICK,
    )


def shown(run: JobRun) -> JobProgress:
    report = run.rest()
    assert report is not None
    assert report.progress is not None
    return report.progress


def test_a_phase_begins_its_progress_anew(run: JobRun) -> None:
    run.phase("looking", "web-1")
    assert shown(run) == JobProgress("looking", "web-1")
    run.reporter(Progress("vda", 50, 200, rate=10.4, eta=15.04))
    assert shown(run) == JobProgress("looking", "vda", 50, 200, 25.0, 10.4, 15.0)
    run.phase("verifying")
    assert shown(run) == JobProgress("verifying")


def test_disks_that_are_copied_at_the_same_time_are_added_up(run: JobRun) -> None:
    run.reporter(Progress("vda", 10, 100, rate=1.0, eta=90.0))
    run.reporter(Progress("vdb", 30, 300, rate=2.0))
    assert shown(run) == JobProgress("", "vdb", 40, 400, 10.0, 3.0, 90.0)
    run.reporter(Progress("vda", 100, 100, rate=1.0, finished=True))
    run.reporter(Progress("vdb", 60, 300, rate=2.0))
    assert shown(run) == JobProgress("", "vdb", 60, 300, 20.0, 2.0, None)
    run.reporter(Progress("vdb", 300, 300, finished=True))
    assert shown(run).percent == 100.0


def test_nothing_to_do_has_no_percent(run: JobRun) -> None:
    run.reporter(Progress("vda", 0, 0))
    assert shown(run).percent is None


def test_lines_go_on_from_those_of_an_earlier_run(run: JobRun) -> None:
    run.log("one")
    run.log("two", level="loud", disk="vda")
    report = run.rest()
    assert report is not None
    assert [(line.number, line.message, line.level) for line in report.logs] == [
        (8, "one", "info"), (9, "two", "info"),
    ]  # fmt: skip
    assert report.logs[1].details == {"disk": "vda"}
    assert run.rest() is None


def test_reasons_to_stop_outweigh_each_other() -> None:
    stopper = Stopper()
    assert (stopper.reason, stopper.token.cancelled) == (None, False)
    for reason, then in [
        (Reason.LOST, Reason.LOST),
        (Reason.DRAIN, Reason.LOST),
        (Reason.PAUSE, Reason.PAUSE),
        (Reason.CANCEL, Reason.CANCEL),
        (Reason.PAUSE, Reason.CANCEL),
    ]:
        stopper.stop(reason)
        assert (stopper.reason, stopper.token.cancelled) == (then, True)


def test_results_are_json() -> None:
    assert plain({"a": (1, 2)}) == {"a": [1, 2]}
    with pytest.raises(TypeError):
        plain({"a": object()})
