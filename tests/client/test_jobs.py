"""Watching jobs: few, many, and while the daemon is away."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from hypersdk.client.connection import Connection
from hypersdk.client.jobs import ACTIVE, ENDED, Jobs
from hypersdk.contract.base import Page
from hypersdk.contract.jobs import JobRecord, JobStateWord
from hypersdk.model.errors import DaemonRefused, DaemonUnreachable, HyperSDKError, OperationTimeout
from hypersdk.model.jobs import JobState

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def record(id: str, state: JobStateWord = "running") -> JobRecord:
    return JobRecord(
        id=id, kind="export", name=id, state=state, request={}, created=NOW, updated=NOW
    )


class Scripted:
    """A daemon: states of jobs, and what each look is answered with besides."""

    def __init__(self, states: Mapping[str, JobStateWord]) -> None:
        self.states = dict(states)
        self.asked: list[str] = []
        self.away: HyperSDKError | None = None

    def call(self, name: str, path: Mapping[str, str] | None = None, *, query: Any = None) -> Any:
        self.asked.append(name)
        if self.away is not None:
            raise self.away
        if name == "get_job":
            assert path is not None
            return record(path["id"], self.states[path["id"]])
        assert (name, sorted(query["state"])) == ("list_jobs", sorted(ACTIVE))
        active = [id for id, state in self.states.items() if state in ACTIVE]
        return Page[JobRecord](items=[record(id, self.states[id]) for id in active])


def jobs(daemon: Scripted) -> Jobs:
    return Jobs(cast("Connection", daemon))


def test_every_state_is_active_or_ended() -> None:
    assert {state.value for state in JobState} == ACTIVE | ENDED
    assert not ACTIVE & ENDED


def test_those_that_ended_are_not_asked_for_again() -> None:
    daemon = Scripted({"a": "completed", "b": "running"})

    def sleep(_: float) -> None:
        daemon.states["b"] = "failed"

    looks = list(jobs(daemon).watch(["a", "b"], sleep=sleep))
    assert [[job.state for job in look] for look in looks] == [
        ["completed", "running"],
        ["completed", "failed"],
    ]
    assert daemon.asked == ["get_job"] * 3


def test_many_are_asked_for_at_once() -> None:
    ids = [f"job-{at}" for at in range(100)]
    daemon = Scripted({**dict.fromkeys(ids, "running"), "other": "running"})

    def sleep(_: float) -> None:
        daemon.states |= dict.fromkeys(ids[:98], "completed")
        if len(daemon.asked) > 99:
            daemon.states |= dict.fromkeys(ids, "completed")

    *_, last = jobs(daemon).watch(ids, sleep=sleep)
    assert [job.id for job in last] == ids
    assert all(job.state == "completed" for job in last)
    assert daemon.asked.count("list_jobs") == 2
    assert daemon.asked.count("get_job") == 98 + 2, "each once, when it was not active any more"


@pytest.mark.parametrize(
    "away", [DaemonUnreachable("gone"), DaemonRefused("no database", status=503)]
)
def test_a_daemon_that_comes_back(away: HyperSDKError) -> None:
    daemon = Scripted({"a": "running"})
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        daemon.away = away if len(slept) < 4 else None
        daemon.states["a"] = "completed"

    *_, last = jobs(daemon).watch(["a"], every=0.25, sleep=sleep)
    assert last[0].state == "completed"
    assert slept == [0.25] * 4


def _away(daemon: Scripted, error: HyperSDKError) -> Callable[[float], None]:
    def sleep(_: float) -> None:
        daemon.away = error

    return sleep


def test_a_daemon_that_does_not() -> None:
    daemon = Scripted({"a": "running"})
    error = DaemonUnreachable("gone")
    with pytest.raises(DaemonUnreachable):
        list(jobs(daemon).watch(["a"], patience=0.0, sleep=_away(daemon, error)))


def test_a_refusal_is_final() -> None:
    daemon = Scripted({"a": "running"})
    error = DaemonRefused("there is no job a", status=404)
    with pytest.raises(DaemonRefused):
        list(jobs(daemon).watch(["a"], sleep=_away(daemon, error)))


def test_one_that_never_answered() -> None:
    daemon = Scripted({"a": "running"})
    daemon.away = DaemonUnreachable("nobody there")
    with pytest.raises(DaemonUnreachable):
        list(jobs(daemon).watch(["a"], sleep=lambda _: pytest.fail("it waited")))


def test_a_bound_on_the_waiting() -> None:
    with pytest.raises(OperationTimeout, match="job a is running after 0 s"):
        jobs(Scripted({"a": "running"})).wait("a", timeout=0.0)
    assert jobs(Scripted({"a": "failed"})).wait("a").state == "failed"
