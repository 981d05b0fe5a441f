"""Locks that exclude threads as well as processes, and that nobody waits for in vain.

A lock is a ``flock`` on a file. Threads of this process first take turns among themselves: polling
for the file is then only needed against other processes.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from weakref import WeakValueDictionary

from hypersdk.datapath.cancel import WAIT_SLICE, token_in_force
from hypersdk.model.errors import HypervisorBusy

#: Seconds after which a lock that others hold is given up.
BUSY_SECONDS = 30.0
#: Seconds between attempts against other processes: short at first, then longer.
_FIRST_WAIT, _LONGEST_WAIT = 0.0005, 0.02


class _Turn:
    """Whose turn it is among the threads of this process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()


_turns: WeakValueDictionary[str, _Turn] = WeakValueDictionary()
_turns_lock = threading.Lock()


@contextmanager
def locked(path: Path, *, busy_seconds: float = BUSY_SECONDS) -> Iterator[None]:
    """Hold the lock file ``path``, which must exist.

    Raises FileNotFoundError once the file is gone, Interrupted, and HypervisorBusy when others
    hold it for too long.
    """
    deadline = time.monotonic() + busy_seconds
    with _turns_lock:
        turn = _turns.setdefault(str(path), _Turn())
    while not turn.lock.acquire(timeout=WAIT_SLICE):
        _still(path, deadline)
    try:
        descriptor = _acquire(path, deadline)
        try:
            yield
        finally:
            os.close(descriptor)
    finally:
        turn.lock.release()


def _still(path: Path, deadline: float) -> None:
    token_in_force().check()
    if time.monotonic() > deadline:
        raise HypervisorBusy(
            f"others have held {path} for a long time", hint="Try again when they are done."
        )


def _acquire(path: Path, deadline: float) -> int:
    """Lock the file that has this name when the lock is granted; closing unlocks it."""
    wait = _FIRST_WAIT
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            mine, named = os.fstat(descriptor), os.stat(path)
            if (mine.st_ino, mine.st_dev) == (named.st_ino, named.st_dev):
                return descriptor
            os.close(descriptor)
        except BlockingIOError:
            os.close(descriptor)
            _still(path, deadline)
            token_in_force().wait(wait)
            wait = min(2 * wait, _LONGEST_WAIT)
        except BaseException:
            os.close(descriptor)
            raise
