"""Kill -9 at random moments of a real process that works on a real folder."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import hypersdk
from hypersdk import Key, RestorePoint
from tests.flows.backup_loop import back_up, content_of
from tests.flows.examples import CHUNK, leftovers, repository_at
from tests.repository.examples import IDENTITY

KILLS = 50
#: Seconds of work at most before a kill: two or three backups and a collection.
LONGEST = 0.25
#: Never removed by the process: it prunes another instance.
FIRST = 1_000_000


def test_fifty_kills_lose_nothing(tmp_path: Path) -> None:
    seed = int(os.environ.get("HYPERSDK_TEST_SEED", "") or random.randrange(1 << 32))
    print(f"HYPERSDK_TEST_SEED={seed}")
    dice = random.Random(seed)
    with repository_at(tmp_path) as repository:
        back_up(tmp_path, repository, FIRST, name="first")
    with forge(tmp_path) as ask:
        for number in range(KILLS):
            work_and_kill(ask, first=number * 100, seconds=dice.uniform(0, LONGEST))
            check(tmp_path, restore_all=number % 5 == 4)
            if number % 10 == 9:
                six_hours_pass(tmp_path)
    six_hours_pass(tmp_path)
    finish(tmp_path)


def work_and_kill(ask: subprocess.Popen[str], first: int, seconds: float) -> None:
    assert ask.stdin is not None
    assert ask.stdout is not None
    ask.stdin.write(f"{first}\n")
    ask.stdin.flush()
    process = int(ask.stdout.readline())
    time.sleep(seconds)
    os.kill(process, signal.SIGKILL)
    assert ask.stdout.readline() == "ended\n"


def check(folder: Path, *, restore_all: bool) -> None:
    """What a user does the next morning: verify, restore, back up again."""
    with reopened(folder) as repository:
        report = hypersdk.verify(repository)
        assert report.ok, report.damage
        points = repository.points()
        assert points[0].instance == "first"
        for point in points if restore_all else points[-1:]:
            assert_restores(repository, point, folder)
        back_up(folder, repository, int(points[-1].tags["seed"]) + 1)
        assert_restores(repository, repository.points("web")[-1], folder)


def finish(folder: Path) -> None:
    """Hours later all that dead processes left is cleared away, and all points are still there."""
    with reopened(folder) as repository:
        hypersdk.collect_garbage(repository, grace=hypersdk.GRACE * 0)
        assert hypersdk.verify(repository).ok
        for point in repository.points():
            assert_restores(repository, point, folder)
    root = folder / "repository"
    assert [path for path in (root / ".hypersdk/leases").rglob("*") if path.is_file()] == []
    assert leftovers(folder / "out") == []


def assert_restores(repository: hypersdk.Repository, point: RestorePoint, folder: Path) -> None:
    out = folder / "out"
    out.mkdir(exist_ok=True)
    hypersdk.restore(repository, point, out / "disk.raw")
    assert (out / "disk.raw").read_bytes() == content_of(int(point.tags["seed"]))
    (out / "disk.raw").unlink()


def six_hours_pass(folder: Path) -> None:
    """For the leases of the dead: their objects are as old as they will be then."""
    past = time.time() - 7 * 3600
    for path in (folder / "repository/.hypersdk/leases").rglob("*"):
        if path.is_file():
            os.utime(path, (past, past))


@contextmanager
def reopened(folder: Path) -> Iterator[hypersdk.Repository]:
    with hypersdk.open_repository(
        folder / "repository", key=Key.identity(IDENTITY), cache=folder / "cache"
    ) as repository:
        assert repository.chunk_size == CHUNK
        yield repository


@contextmanager
def forge(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """The process that makes the processes that are killed."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.flows.backup_loop", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "IDENTITY": IDENTITY},
        cwd=Path(__file__).parents[2],
    ) as process:
        try:
            yield process
        finally:
            process.kill()
