from __future__ import annotations

from datetime import UTC, datetime

from hypersdk.jobs import outbox as module
from hypersdk.jobs.claims import RunName
from hypersdk.jobs.outbox import Outbox, reports
from hypersdk.model.jobs import JobLog, JobProgress

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def line(number: int) -> JobLog:
    return JobLog(number, NOW, "info", f"line {number}")


def test_only_what_is_new_is_told() -> None:
    outbox = Outbox(RunName("job", 1))
    assert outbox.take() is None
    outbox.show(JobProgress(phase="a"))
    outbox.say(line(1))
    report = outbox.take()
    assert report is not None
    assert (report.progress, report.logs) == (JobProgress(phase="a"), (line(1),))
    outbox.show(JobProgress(phase="a"))
    assert outbox.take() is None
    outbox.say(line(2))
    again = outbox.take()
    assert again is not None
    assert (again.progress, again.logs) == (None, (line(2),))


def test_what_could_not_be_stored_is_told_again_in_its_order() -> None:
    outbox = Outbox(RunName("job", 1))
    outbox.show(JobProgress(phase="a"))
    outbox.say(line(1))
    report = outbox.take()
    assert report is not None
    outbox.say(line(2))
    outbox.give_back(report)
    again = outbox.take()
    assert again is not None
    assert again.progress == JobProgress(phase="a")
    assert again.logs == (line(1), line(2))


def test_a_database_that_is_away_for_long_costs_bounded_memory() -> None:
    outbox = Outbox(RunName("job", 1))
    for number in range(module._LINES_MOST + 5):
        outbox.say(line(number))
    report = outbox.take()
    assert report is not None
    assert len(report.logs) == module._LINES_MOST
    assert report.logs[-1].number == module._LINES_MOST + 4


def test_those_who_have_nothing_to_say_are_left_out() -> None:
    quiet, loud = Outbox(RunName("a", 1)), Outbox(RunName("b", 1))
    loud.say(line(1))
    assert [report.run.job for _, report in reports([quiet, loud])] == ["b"]
