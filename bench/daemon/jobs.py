"""``python -m bench.daemon.jobs``: how many jobs the engine takes, and what they cost.

Each measure works on a database of its own, on SQLite; the whole run needs a minute.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import sqlalchemy as sa

from bench.daemon.figures import Figure
from hypersdk.database.engine import Database
from hypersdk.database.moments import to_number
from hypersdk.database.tables import counters, jobs
from hypersdk.jobs import rows
from hypersdk.jobs.budgets import FixedBudgets
from hypersdk.jobs.kinds import Kinds, Plan, Run
from hypersdk.jobs.store import JobStore
from hypersdk.jobs.worker import Worker
from hypersdk.model.jobs import JobState, NewJob

#: What the numbers must not exceed.
SUBMIT_SECONDS = 3.0
RUNNING_MIB = 400.0
READY_SECONDS = 2.0
LIST_SECONDS = 0.05
_BATCH = 5_000


@dataclass(frozen=True, slots=True)
class Figures:
    """Of a full run unless smaller counts were asked for."""

    #: Seconds to submit 1000 jobs in one batch.
    submit: float
    #: MiB of memory of a process in which 500 jobs run at once.
    running: float
    #: Seconds until they all ran.
    begun: float
    #: Seconds from nothing to a worker that takes jobs, with 100 000 ended jobs.
    ready: float
    #: Seconds for a list of the newest 50 of them, in the middle of five.
    newest: float


class _Sleep:
    """Sleeps until it is told to stop."""

    name = "sleep"
    summary = "Sleeps."
    waits = False

    def plan(self, request: Mapping[str, Any]) -> Plan:  # noqa: ARG002 - of the port
        return Plan(name="sleep")

    def work(self, request: Mapping[str, Any], run: Run) -> Mapping[str, Any]:  # noqa: ARG002
        run.phase("sleeping")
        run.cancel.wait(3600)
        return {}


def measure(
    folder: Path, *, submit: int = 1000, running: int = 500, ended: int = 100_000
) -> Figures:
    """All of them; ``folder`` is empty."""
    memory, begun = _running(folder / "running.db", running)
    ready, newest = _ended(folder / "ended.db", ended)
    return Figures(_submit(folder / "submit.db", submit), memory, begun, ready, newest)


def _submit(path: Path, count: int) -> float:
    store = JobStore(Database.open(f"sqlite:///{path}"))
    new = [
        NewJob(kind="backup", request={"instance": f"web-{at}"}, dedup=f"backup web-{at}")
        for at in range(count)
    ]
    return _seconds(lambda: store.submit(new))


def _running(path: Path, count: int) -> tuple[float, float]:
    database = Database.open(f"sqlite:///{path}")
    store = JobStore(database)
    store.submit([NewJob(kind="sleep", request={})] * count)
    with _worker(database, count):
        seconds = _seconds(lambda: _until(lambda: store.counts()[JobState.RUNNING] == count))
        return _resident(), seconds


def _ended(path: Path, count: int) -> tuple[float, float]:
    _fill(path, count)

    def start() -> None:
        database = Database.open(f"sqlite:///{path}")
        store = JobStore(database)
        with _worker(database, 4):
            (job,) = store.submit([NewJob(kind="sleep", request={})])
            _until(lambda: store.get(job.id).state is JobState.RUNNING)
            took.append(time.monotonic() - began)

    took: list[float] = []
    began = time.monotonic()
    start()
    store = JobStore(Database.open(f"sqlite:///{path}"))
    return took[0], median(_seconds(lambda: store.list(limit=50)) for _ in range(5))


def _fill(path: Path, count: int) -> None:
    database = Database.open(f"sqlite:///{path}")
    now = database.now()
    for first in range(1, count + 1, _BATCH):
        values = []
        for number in range(first, min(first + _BATCH, count + 1)):
            new = NewJob(
                kind="backup",
                request={"hypervisor": "lab", "instance": f"web-{number}", "repository": "main"},
                name=f"backup of web-{number}",
                id=f"old{number:08}",
                resources=("hypervisor:lab", "repository:main"),
            )
            row = rows.new_row(new, number=number, revision=number, now=now)
            ended = {"state": "completed", "run": 1, "started": row["created"]}
            values.append({**row, **ended, "ended": to_number(now), "result": {"point": "p" * 40}})
        with database.write() as connection:
            connection.execute(sa.insert(jobs), values)
    with database.write() as connection:
        connection.execute(sa.delete(counters))
        connection.execute(
            sa.insert(counters),
            [{"name": name, "value": count} for name in ("jobs.number", "jobs.revision")],
        )
    database.close()


@contextmanager
def _worker(database: Database, slots: int) -> Iterator[None]:
    worker = Worker(
        database,
        Kinds({"sleep": _Sleep()}),
        id="bench",
        queues=["default"],
        slots=slots,
        budgets=FixedBudgets(),
        version="bench",
    )
    worker.start()
    try:
        yield
    finally:
        worker.stop()


def _until(look: Callable[[], bool], seconds: float = 300.0) -> None:
    deadline = time.monotonic() + seconds
    while not look():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:.0f} s")
        time.sleep(0.02)


def _seconds(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def _resident() -> float:
    """MiB of this process."""
    status = Path("/proc/self/status").read_text()
    line = next(each for each in status.splitlines() if each.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


def named(found: Figures) -> list[Figure]:
    """For the page."""
    return [
        Figure("1000 jobs submitted in one batch", found.submit, "s", f"≤ {SUBMIT_SECONDS:g}"),
        Figure("memory with 500 jobs running", found.running, "MiB", f"≤ {RUNNING_MIB:g}"),
        Figure("500 jobs running, from their submission", found.begun, "s"),
        Figure("a worker ready with 100000 ended jobs", found.ready, "s", f"≤ {READY_SECONDS:g}"),
        Figure("newest 50 of 100000", found.newest * 1e3, "ms", f"≤ {LIST_SECONDS * 1e3:g}"),
    ]


def main() -> None:
    """Print the figures as JSON; counts may be given: submit, running, ended."""
    names = ("submit", "running", "ended")
    counts = dict(zip(names, map(int, sys.argv[1:]), strict=False))
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), **counts)
    figures = {name: round(getattr(found, name), 3) for name in Figures.__slots__}
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
