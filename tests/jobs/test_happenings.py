from __future__ import annotations

import pytest

from hypersdk.database.events import EventLog
from hypersdk.jobs.budgets import FixedBudgets
from hypersdk.jobs.claims import Claims, Ending, RunName
from hypersdk.jobs.dispatcher import Dispatcher, Room
from hypersdk.jobs.happenings import backup_ended
from hypersdk.model.jobs import Dependency, JobError, JobState
from tests.jobs.lab import Lab, known


def test_an_image_is_an_instance_of_its_name() -> None:
    request = {"repository": "main", "image": "/srv/x.img", "name": "old", "instance": ""}
    told = backup_ended("backup.completed", "j", "red", request, {"run": 1})
    assert told == (
        "backup.completed", "jobs/j", "red",
        {"run": 1, "repository": "main", "instance": "old"},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("state", "told"),
    [
        (JobState.FAILED, ["job.failed", "backup.failed"]),
        (JobState.SCHEDULED, ["job.retrying"]),
        (JobState.CANCELLED, ["job.cancelled"]),
    ],
)
def test_only_an_end_is_told_and_once(lab: Lab, state: JobState, told: list[str]) -> None:
    request = {"repository": "main", "instance": "web"}
    id = lab.submit("backup", request=request)
    waiting = lab.submit("backup", request=request, depends_on=(Dependency(id),))
    dispatcher = Dispatcher(
        database=lab.database, worker="one", queues=("default",), kinds=known(),
        budgets=FixedBudgets(),
    )  # fmt: skip
    (job,) = dispatcher.tick(Room(1, 1))
    claims = Claims(lab.database, "one")
    claims.register(["default"], 1, "test")
    last = EventLog(lab.database).last()
    error = JobError("StoreUnavailable", "away") if state is not JobState.CANCELLED else None
    assert claims.finish(RunName(id, job.run), Ending(state=state, error=error))
    events = EventLog(lab.database).since(last)
    assert [event.name for event in events] == told
    if state is not JobState.FAILED:
        return
    assert events[-1].data["error"]["kind"] == "StoreUnavailable"
    assert events[-1].data["instance"] == "web"
    # One that was never begun failed all the same.
    dispatcher.tick(Room(1, 1))
    last_told = EventLog(lab.database).since(last)[-1]
    assert (last_told.name, last_told.subject) == ("backup.failed", f"jobs/{waiting}")
    assert last_told.data["repository"] == "main"
