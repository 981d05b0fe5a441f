"""Workers in processes of their own, which tests kill.

Run as a program it imports everything once, and then forks a worker for each line that it reads:
``URL ID SLOTS``. It answers with the worker's process id. With its end all workers end.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from hypersdk.database.engine import Database
from hypersdk.jobs.budgets import FixedBudgets
from hypersdk.jobs.worker import Worker
from tests.jobs.lab import CALM, eventually, known

_ROOT = Path(__file__).parents[2]


class Nursery:
    """Begins workers in a tenth of a second."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.jobs.process"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_ROOT,
        )  # fmt: skip

    def worker(self, url: str, id: str = "one", slots: int = 4) -> int:
        """Begin one; gives its process id."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(url, id, slots, file=self._process.stdin, flush=True)
        return int(self._process.stdout.readline())

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()


@contextlib.contextmanager
def nursery() -> Iterator[Nursery]:
    made = Nursery()
    try:
        yield made
    finally:
        made.close()


def kill(pid: int) -> None:
    """As a power cut ends it; waits until it is gone."""
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not Path(f"/proc/{pid}").exists(), what=f"process {pid} stays")


def _work(url: str, id: str, slots: int, life: int) -> None:
    def die_with_parent() -> None:
        os.read(life, 1)
        os._exit(0)

    threading.Thread(target=die_with_parent, daemon=True).start()
    worker = Worker(
        Database.open(url), known(), id=id, queues=["default"], slots=slots,
        budgets=FixedBudgets(), version="test", pace=CALM,
    )  # fmt: skip
    worker.start()
    worker.join()


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel clears them away
    life, alive = os.pipe()
    for line in sys.stdin:
        url, id, slots = line.split()
        pid = os.fork()
        if pid == 0:
            os.close(alive)
            status = 1
            try:
                _work(url, id, int(slots), life)
                status = 0
            finally:
                os._exit(status)
        print(pid, flush=True)


if __name__ == "__main__":
    main()
