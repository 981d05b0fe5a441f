"""Workers that are killed with SIGKILL while they do a job.

They are forked from a process that has nothing but its imports: ``python -m
tests.app.kinds.killed`` reads a job a line, and writes how its worker ended.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

from tests.app.kinds.lab import Lab
from tests.app.kinds.running import (
    JOB,
    FakeRun,
    Steps,
    job_of,
    killing_after,
    really_killing,
)


def steps_of(root: Path, job: str = JOB) -> Steps:
    """What the worker's database would have."""
    return Steps(root / f"steps-{job}.json")


def kill(root: Path, kind: str, moment: str, request: dict[str, Any], *, job: str = JOB) -> None:
    """Begin a job in a process of its own, and have that killed at a moment: one of `FakeRun`'s,
    or a number of bytes while it copies."""
    forge = _forge()
    assert forge.stdin is not None
    assert forge.stdout is not None
    forge.stdin.write(json.dumps([str(root), kind, job, moment, request]) + "\n")
    forge.stdin.flush()
    assert forge.stdout.readline().strip() == str(signal.SIGKILL.value)


@functools.cache
def _forge() -> subprocess.Popen[str]:
    """One for all tests of the process; it ends when its input does."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.app.kinds.killed"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )


def end_forge() -> None:
    """After the last test."""
    if _forge.cache_info().currsize:
        with _forge() as forge:
            assert forge.stdin is not None
            forge.stdin.close()
    _forge.cache_clear()


def resume(lab: Lab, kind: str, request: dict[str, Any], *, job: str = JOB) -> FakeRun:
    """The same run in this process; its result is in ``run.result``."""
    run = FakeRun(job_of(kind, request, id=job), steps_of(lab.root, job))
    run.result = lab.kinds()[kind].work(request, run)
    return run


def again(lab: Lab, kind: str, request: dict[str, Any], *, job: str = JOB) -> FakeRun:
    """Another run of the same job, which remembers no steps."""
    run = FakeRun(job_of(kind, request, id=job, run=2))
    run.result = lab.kinds()[kind].work(request, run)
    return run


def work(place: str, kind: str, job: str, moment: str, request: dict[str, Any]) -> None:
    """Until it is killed."""
    lab = Lab(Path(place))
    run = FakeRun(job_of(kind, request, id=job), steps_of(lab.root, job))
    if moment.isdigit():
        run.disturb(reporter=killing_after(int(moment)), share=lambda: 2 << 20)
    else:
        run.disturb(at=really_killing(moment))
    lab.kinds()[kind].work(request, run)


def main() -> None:
    """Each worker is a child, whose end is told by the signal that ended it; 0: by itself."""
    for line in sys.stdin:
        child = os.fork()
        if not child:
            os.close(sys.stdin.fileno())
            try:
                work(*json.loads(line))
            except BaseException:  # noqa: BLE001 - nobody above is to see it
                traceback.print_exc()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print(os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0, flush=True)


if __name__ == "__main__":
    main()
