"""Locks of files, which end with whoever holds them.

``flock`` on a descriptor of one's own excludes threads as well as processes. A process that is
just being forked holds our descriptors for a moment as well, so giving up a lock is said
explicitly.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path

from hypersdk.datapath.cancel import token_in_force
from hypersdk.model.errors import HypervisorBusy


def locked(path: Path, doing: str, seconds: float) -> int:
    """A descriptor that holds the lock of the file that has this name when it is granted.

    Raises FileNotFoundError, HypervisorBusy after ``seconds``, Interrupted.
    """
    token = token_in_force()
    deadline = time.monotonic() + seconds
    pause = 0.001
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_named(descriptor, path):
                return descriptor
        except BlockingIOError:
            pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        token.check()
        if time.monotonic() > deadline:
            raise HypervisorBusy(
                f"cannot {doing}: another program has been at it for {seconds:g} s",
                hint="Try again; see who it is: fuser -v " + str(path),
            )
        time.sleep(pause)
        pause = min(2 * pause, 0.02)


def _is_named(descriptor: int, path: Path) -> bool:
    """Whether the file is still the one of this name. Raises FileNotFoundError."""
    mine, named = os.fstat(descriptor), os.stat(path)
    return (mine.st_ino, mine.st_dev) == (named.st_ino, named.st_dev)


def locked_at_once(path: Path) -> int | None:
    """A descriptor that holds the lock of a file; None while somebody else has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def is_locked(path: Path) -> bool:
    """Whether somebody holds the lock of a file. Any number may look at once."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return True
    release(descriptor)
    return False


def release(descriptor: int) -> None:
    """Give a lock up."""
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)
