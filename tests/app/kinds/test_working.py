"""Kinds under the real engine: a worker on SQLite, killed with SIGKILL, and the next one."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import hypersdk
from hypersdk.app.kinds.site import JOB_TAG
from hypersdk.database.engine import Database
from hypersdk.jobs.store import JobStore
from hypersdk.model.jobs import Job, JobState, NewJob
from tests.app.kinds.lab import MIB, Lab

#: Seconds after which what was waited for does not come any more.
PATIENCE = 90.0


@pytest.fixture
def store(lab: Lab) -> Iterator[JobStore]:
    database = Database.open(f"sqlite:///{lab.root}/jobs.db")
    yield JobStore(database)
    database.close()


@contextmanager
def worker(lab: Lab) -> Iterator[subprocess.Popen[str]]:
    """Killed when the block is left."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.app.kinds.working", str(lab.root)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def until(store: JobStore, id: str, fits: Callable[[Job], bool]) -> Job:
    deadline = time.monotonic() + PATIENCE
    while not fits(job := store.get(id)):
        assert time.monotonic() < deadline, (job.state, job.progress, job.error, store.logs(id))
        assert not job.state.ended, (job.state, job.error, store.logs(id))
        time.sleep(0.02)
    return job


def submit(lab: Lab, store: JobStore, kind: str, **request: Any) -> str:
    plan = lab.kinds()[kind].plan(request)
    (made,) = store.submit(
        [NewJob(kind=kind, request=request, resources=plan.resources, queue=plan.queue)]
    )
    return made.id


def completed(job: Job) -> bool:
    return job.state is JobState.COMPLETED


def test_killed_in_the_middle_of_many_jobs(lab: Lab, store: JobStore) -> None:
    for number in range(3):
        lab.mock().create_instance(f"web-{number}", {"vda": MIB})
    backup = submit(
        lab, store, "backup", repository="main", hypervisor="lab", instance="web",
        throttle=2 * MIB, exclude=["vdb"],
    )  # fmt: skip
    export = submit(
        lab, store, "export", hypervisor="lab", instance="web", output=str(lab.root / "out"),
        format="qcow2", bandwidth=2 * MIB,
    )  # fmt: skip
    batch = submit(lab, store, "batch", operation="snapshot", hypervisor="lab", match="web-*")
    with worker(lab):
        until(store, backup, lambda job: job.progress.done > 0)
        until(store, export, lambda job: job.progress.done > 0)
    with worker(lab):
        for id in (backup, export, batch):
            until(store, id, completed)
    (point,) = lab.points()
    assert point.tags[JOB_TAG] == backup
    assert hypersdk.verify_export(lab.root / "out")
    for number in range(3):
        assert len(lab.mock().snapshots.snapshots(f"web-{number}")) == 1
    result = store.get(batch).result
    assert result is not None
    assert result["completed"] == 3


def test_cancelled_and_retried(lab: Lab, store: JobStore) -> None:
    id = submit(
        lab, store, "export", hypervisor="lab", instance="web", output=str(lab.root / "out"),
        format="raw", bandwidth=2 * MIB, snapshot=True, snapshot_quiesce=False,
    )  # fmt: skip
    with worker(lab):
        until(store, id, lambda job: job.progress.done > 0)
        store.cancel(id)
        job = until(store, id, lambda job: job.state is JobState.CANCELLED)
        assert job.ended is not None
        assert lab.mock().snapshots.snapshots("web") == []
        assert not (lab.root / "out/web-disk-0.raw").exists()
        store.retry(id)
        until(store, id, completed)
    assert hypersdk.verify_export(lab.root / "out")
