from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from hypersdk.model.jobs import NewJob
from tests.api.known.daemons import Known

#: Of a task that waits.
TASK = {"task_id", "name", "status", "progress", "message", "updated_at"}


@pytest.fixture
def task(known: Known) -> Iterator[str]:
    """A job that waits, without a worker that would begin it."""
    new = NewJob(kind="export", name="export of web", request={"instance": uuid4().hex})
    id = known.daemon.services.jobs.submit([new])[0].id
    yield id
    known.daemon.services.jobs.cancel(id)


def test_tasks_are_listed(known: Known, task: str) -> None:
    found = known.get("/api/v1/progress")
    assert set(found) == {"tasks", "total", "timestamp"}
    mine = next(each for each in found["tasks"] if each["task_id"] == task)
    assert set(mine) == TASK
    assert (mine["status"], mine["name"]) == ("pending", "export of web")
    assert known.get(f"/api/v1/progress/{task}") == mine
    known.refused("GET", "/api/v1/progress/nobody", status=404)
    known.refused("GET", "/api/v1/stream/nobody", status=404)


def test_a_task_is_streamed_until_it_ended(known: Known, task: str) -> None:
    with known.client.stream("GET", f"/api/v1/stream/{task}") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = _data(answer)
        assert next(lines)["status"] == "pending"
        known.daemon.services.jobs.cancel(task)
        last = next(lines)
        assert last["status"] == "failed"
        assert set(last) == TASK | {"completed_at"}
        assert next(lines, None) is None, "the stream ends with the task"


def _data(answer: httpx.Response) -> Iterator[dict[str, Any]]:
    for line in answer.iter_lines():
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))
