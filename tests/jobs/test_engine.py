from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dbos import DBOS

from hypersdk.jobs.claims import RunName
from hypersdk.jobs.engine import Engine, LeftToOthers, StepsChanged
from hypersdk.model.errors import Conflict, DatabaseUnavailable, Interrupted
from tests.jobs.lab import Lab, eventually

RUN = RunName("job", 1)


class Bench:
    """An engine whose work is what the test says."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.ended: list[RunName] = []
        self.errors: list[BaseException] = []
        self.steps: tuple[str, ...] = ("a", "b")
        self.done: list[str] = []
        self.stop_at = ""
        self.result: Any = None
        self.engine = self.fresh()

    def fresh(self) -> Engine:
        engine = Engine(self.lab.database, "one", resume_seconds=0.05)
        engine.open(self.work)
        self.engine = engine
        return engine

    def restart(self) -> Engine:
        self.engine.close()
        return self.fresh()

    def work(self, run: RunName) -> None:
        try:
            for name in self.steps:
                self.result = self.engine.step(name, lambda name=name: self.one(name))  # type: ignore[misc]
        except BaseException as error:
            self.errors.append(error)
            raise LeftToOthers from error
        finally:
            self.ended.append(run)

    def one(self, name: str) -> dict[str, str]:
        if name == self.stop_at:
            raise LeftToOthers
        self.done.append(name)
        return {"gave": name}

    def wait(self, count: int) -> None:
        eventually(lambda: len(self.ended) == count, what=lambda: f"{self.ended} {self.errors}")


@pytest.fixture
def bench(both: Lab) -> Iterator[Bench]:
    made = Bench(both)
    yield made
    made.engine.close()


def status(run: RunName = RUN) -> str:
    found = DBOS.get_workflow_status(str(run))
    assert found is not None
    return str(found.status)


def test_a_finished_run_is_not_resumed(bench: Bench) -> None:
    bench.engine.start(RUN)
    eventually(lambda: bench.ended and status() == "SUCCESS")
    assert bench.done == ["a", "b"]
    assert not bench.engine.resume(RUN)


def test_a_run_that_never_began_is_begun(bench: Bench) -> None:
    assert bench.engine.resume(RUN)
    bench.wait(1)
    assert bench.done == ["a", "b"]


def test_what_was_left_goes_on_after_its_last_step(bench: Bench) -> None:
    bench.stop_at = "b"
    bench.engine.start(RUN)
    bench.wait(1)
    assert isinstance(bench.errors.pop(), LeftToOthers)
    assert status() == "PENDING"
    engine = bench.restart()
    bench.stop_at = ""
    assert bench.ended == [RUN], "nothing goes on by itself"
    assert engine.resume(RUN)
    bench.wait(2)
    assert bench.done == ["a", "b"]
    assert bench.result == {"gave": "b"}
    eventually(lambda: status() == "SUCCESS")


def test_a_step_that_failed_is_begun_again(bench: Bench) -> None:
    bench.steps = ("a", "bad", "b")
    bad = [ValueError("once")]

    def one(name: str) -> dict[str, str]:
        if name == "bad" and bad:
            raise bad.pop()
        bench.done.append(name)
        return {}

    bench.one = one  # type: ignore[method-assign]
    bench.engine.start(RUN)
    bench.wait(1)
    assert isinstance(bench.errors.pop(), ValueError)
    assert bench.engine.resume(RUN)
    bench.wait(2)
    assert bench.done == ["a", "bad", "b"]


def test_other_steps_than_those_that_were_stored_are_noticed(bench: Bench) -> None:
    bench.stop_at = "b"
    bench.engine.start(RUN)
    bench.wait(1)
    bench.errors.clear()
    bench.steps = ("x", "b")
    assert bench.engine.resume(RUN)
    bench.wait(2)
    assert isinstance(bench.errors[0], StepsChanged)


def test_who_lost_a_run_to_another_stores_no_step(bench: Bench) -> None:
    """Both in one process, as the library allows it: the first stops at its next step."""
    gate, begun = threading.Event(), threading.Event()

    def one(name: str) -> dict[str, str]:
        if not begun.is_set():
            begun.set()
            gate.wait(30)
        bench.done.append(name)
        return {}

    bench.one = one  # type: ignore[method-assign]
    bench.engine.start(RUN)
    assert begun.wait(30)
    assert bench.engine.resume(RUN)
    eventually(lambda: bench.done == ["a", "b"])
    gate.set()
    bench.wait(2)
    assert isinstance(bench.errors[0], Interrupted)
    eventually(lambda: status() == "SUCCESS")


def test_one_engine_per_process(bench: Bench) -> None:
    with pytest.raises(Conflict):
        Engine(bench.lab.database, "two", resume_seconds=1).open(bench.work)


def test_forgotten_runs_can_begin_anew(bench: Bench) -> None:
    bench.engine.start(RUN)
    eventually(lambda: bench.ended and status() == "SUCCESS")
    bench.engine.forget([RUN, RunName("never", 3)])
    assert DBOS.get_workflow_status(str(RUN)) is None


def test_a_file_that_cannot_be_used_is_told(lab: Lab, tmp_path: Path) -> None:
    Path(f"{tmp_path}/lab.db.runs").write_bytes(b"this is no database" * 100)
    engine = Engine(lab.database, "one", resume_seconds=1)
    with pytest.raises(DatabaseUnavailable, match="not a database"):
        engine.open(lambda run: None)


def test_results_of_steps_are_for_the_owner_only(lab: Lab, tmp_path: Path) -> None:
    bench = Bench(lab)
    bench.engine.close()
    assert Path(f"{tmp_path}/lab.db.runs").stat().st_mode & 0o077 == 0
