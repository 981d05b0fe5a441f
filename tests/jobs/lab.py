"""Kinds, workers and waiting for tests of jobs."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from hypersdk.database.engine import Database
from hypersdk.jobs.budgets import FixedBudgets
from hypersdk.jobs.kinds import Kind, Kinds, Plan, Run
from hypersdk.jobs.pace import Pace
from hypersdk.jobs.store import JobStore
from hypersdk.jobs.worker import Worker
from hypersdk.model.errors import InvalidInput, StoreUnavailable
from hypersdk.model.jobs import Job, JobState, NewJob
from hypersdk.model.progress import Progress

T = TypeVar("T")

#: Everything at once, so that tests are quick.
QUICK = Pace(
    dispatch=0.02,
    wishes=0.02,
    flush=0.02,
    watch=0.1,
    lost=30.0,  # not by a machine that is busy with other tests
    probe=0.2,
    takeover=0.6,
    heartbeat=0.5,
    patience=5.0,
    grace=10.0,
    shares=0.02,
    children=0.02,
    persist=0.05,
    resume=0.1,
    schedules=0.05,
)

#: For several workers at once: their looking around must not be most of what they do.
CALM = replace(QUICK, dispatch=0.1, wishes=0.1, flush=0.2, resume=0.3)


@dataclass
class Scripted:
    """A kind whose work is a function."""

    name: str
    do: Callable[[Mapping[str, Any], Run], Mapping[str, Any]]
    waits: bool = False
    summary: str = "A kind for tests."

    def plan(self, request: Mapping[str, Any]) -> Plan:
        return Plan(name=self.name)

    def work(self, request: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
        return self.do(request, run)


def sleep(request: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
    """``seconds`` long, obeying cancels."""
    with contextlib.suppress(TimeoutError):
        run.cancel.wait(float(request.get("seconds", 0)))
    return {"slept": request.get("seconds", 0)}


def steps(request: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
    """``count`` steps. Each marks its effect in ``file`` and looks for the mark first, as whoever
    makes a snapshot does; ``tries`` in the same folder gets a line for each time it began."""
    path = Path(request["file"])
    held = _alone(path, run.job.id) if request.get("alone") else contextlib.nullcontext()
    with held:
        return _steps(request, run, path)


def _steps(request: Mapping[str, Any], run: Run, path: Path) -> Mapping[str, Any]:
    for number in range(int(request["count"])):
        run.step(f"step {number}", lambda number=number: _once(path, f"{run.job.id} {number}"))  # type: ignore[misc]
        run.cancel.wait(float(request.get("pause", 0)))
    return {"steps": request["count"]}


@contextlib.contextmanager
def _alone(path: Path, job: str) -> Iterator[None]:
    """Notes it when another process is at the same job."""
    with path.with_name(f"alone-{job}").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            append(path.with_name("overlaps"), job)
        yield


def _once(path: Path, mark: str) -> str:
    append(path.with_name("tries"), mark)
    if mark not in lines(path):
        append(path, mark)
    return mark


def append(path: Path, line: str) -> None:
    """In one write, as processes that are killed need it."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, f"{line}\n".encode())
    finally:
        os.close(descriptor)


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def fail(request: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
    """As ``error`` says: ``passing``, ``lasting`` or ``fault``."""
    match request["error"]:
        case "passing":
            raise StoreUnavailable("the store is away", hint="Wait for it.")
        case "lasting":
            raise InvalidInput("no good: password=hunter2", hint="Do better.")
        case _:
            raise ZeroDivisionError("a fault of the program")


def batch(request: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
    """Submits ``jobs`` as its children."""
    new = [NewJob(kind=each["kind"], request=each["request"]) for each in request["jobs"]]
    ended = run.children(new, stop_on_error=bool(request.get("stop_on_error")))
    return {"states": [job.state.value for job in ended]}


def copy(request: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
    """Reports progress, and waits to be told to stop."""
    run.phase("copying", "web-1")
    run.log("copies", disk="vda", password="hunter2")
    done = 0
    while True:
        done += 1
        run.reporter(Progress("web-1/vda", min(done, 99), 100, rate=10.0, eta=3.5))
        run.cancel.wait(0.01)


def known(*more: Kind) -> Kinds:
    all: Sequence[Kind] = (
        Scripted("sleep", sleep),
        Scripted("steps", steps),
        Scripted("fail", fail),
        Scripted("copy", copy),
        Scripted("backup", sleep),
        Scripted("batch", batch, waits=True),
        *more,
    )
    return Kinds({each.name: each for each in all})


@dataclass
class Lab:
    """A database with its store, and at most one worker in this process."""

    database: Database
    store: JobStore = field(init=False)

    def __post_init__(self) -> None:
        self.store = JobStore(self.database)

    def submit(self, kind: str = "sleep", **options: Any) -> str:
        """One job; ``request`` and all else is `NewJob`'s."""
        request = options.pop("request", {})
        return self.store.submit([NewJob(kind=kind, request=request, **options)])[0].id

    @contextlib.contextmanager
    def worker(
        self,
        *more: Kind,
        id: str = "one",
        slots: int = 4,
        budgets: FixedBudgets | None = None,
        pace: Pace = QUICK,
        queues: Sequence[str] = ("default",),
    ) -> Iterator[Worker]:
        worker = Worker(
            self.database,
            known(*more),
            id=id,
            queues=queues,
            slots=slots,
            budgets=budgets or FixedBudgets(),
            version="test",
            pace=pace,
        )
        worker.start()
        try:
            yield worker
        finally:
            if not worker.join(0):
                worker.stop()

    def until(self, id: str, *states: JobState, seconds: float = 30) -> Job:
        """The job, as soon as it is in one of the states (default: any ended one)."""
        wanted = states or tuple(state for state in JobState if state.ended)

        def look() -> Job | None:
            job = self.store.get(id)
            return job if job.state in wanted else None

        return eventually(look, seconds=seconds, what=lambda: f"{self.store.get(id)}")

    def messages(self, id: str) -> list[str]:
        return [line.message for line in self.store.logs(id)]


def eventually(
    look: Callable[[], T | None], *, seconds: float = 30, what: Callable[[], str] | str = ""
) -> T:
    """What ``look`` gives as soon as it is something."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"in vain: {what() if callable(what) else what}")
        time.sleep(0.01)
