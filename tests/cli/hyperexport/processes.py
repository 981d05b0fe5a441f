"""hyperexport as a process of its own, for tests that kill it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

#: Seconds that anything may take.
_PATIENCE = 60.0
_PROGRAM = "from hypersdk.cli.hyperexport.main import main; main()"


@contextmanager
def running(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    """The process; it is killed (SIGKILL) at the end of the block, if it still runs."""
    words = [str(argument) for argument in arguments]
    child = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, *words], stderr=subprocess.PIPE, text=True
    )
    try:
        yield child
    finally:
        child.kill()
        child.wait()
        assert child.stderr is not None
        child.stderr.close()


def wait_for(true: Callable[[], object], child: subprocess.Popen[str]) -> None:
    """Return when it is so. Fails when the process ends before."""
    deadline = time.monotonic() + _PATIENCE
    while not true():
        assert time.monotonic() < deadline
        assert child.poll() is None, said(child)
        time.sleep(0.01)


def said(child: subprocess.Popen[str]) -> str:
    """On stderr, by one that ended."""
    assert child.stderr is not None
    return child.stderr.read()
