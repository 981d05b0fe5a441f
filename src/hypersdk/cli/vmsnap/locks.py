"""One vmsnap at a time per domain.

The kernel's file lock is the lock; it ends with the process that holds it, so there are no stale
ones. What the file says is only who holds it, for whoever finds it taken.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import stat
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from hypersdk import CancelToken, HyperSDKError
from hypersdk.cli import words
from hypersdk.cli.vmsnap.exits import LockReleaseFailed

#: Seconds between two looks at a lock that is taken.
_POLL_SECONDS = 0.2
#: Bytes of a note about a holder; more was not written by us.
_NOTE_MAX = 200


class LockHeld(HyperSDKError):
    """Another vmsnap works on the domain."""


class LockFolderRefused(HyperSDKError):
    """Somebody else could take our locks away, or we cannot write there."""


def lock_folder(environment: Mapping[str, str]) -> Path:
    """``$TMPDIR/vmsnap-locks``; without TMPDIR, ``/run/lock/vmsnap`` for root and a folder of the
    user's own below ``/tmp`` for others. The same from cron and from a shell."""
    if given := environment.get("TMPDIR"):
        return Path(given, "vmsnap-locks")
    if os.geteuid() == 0 and os.path.isdir("/run/lock"):
        return Path("/run/lock/vmsnap")
    return Path(tempfile.gettempdir(), f"vmsnap-locks-{os.geteuid()}")


class DomainLock:
    """A lock that is held. Made by `acquire`."""

    def __init__(self, descriptor: int, domain: str) -> None:
        self._descriptor = descriptor
        self._domain = domain

    def release(self) -> None:
        """Raises LockReleaseFailed. The file stays: another process may have it open already."""
        try:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
        except OSError as error:
            raise LockReleaseFailed(
                f"the lock of '{self._domain}' could not be released: {error.strerror}",
                hint="It ends with this process.",
            ) from error


@contextlib.contextmanager
def locked(
    folder: Path, uri: str, domain: str, *, wait: float = 0.0, cancel: CancelToken | None = None
) -> Iterator[DomainLock]:
    """Hold the lock of a domain; see `acquire`."""
    lock = acquire(folder, uri, domain, wait=wait, cancel=cancel)
    try:
        yield lock
    except BaseException as error:
        try:
            lock.release()
        except LockReleaseFailed as failure:  # what went wrong first is what matters
            error.add_note(failure.message)
        raise
    lock.release()


def acquire(
    folder: Path,
    uri: str,
    domain: str,
    *,
    wait: float = 0.0,
    cancel: CancelToken | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> DomainLock:
    """Take the lock of a domain, waiting at most ``wait`` seconds for whoever has it.

    Raises LockHeld naming the holder, LockFolderRefused, Interrupted.
    """
    descriptor = _opened(folder, _name(uri, domain))
    try:
        _take(descriptor, domain, wait, cancel or CancelToken())
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()} since {words.moment(now())}".encode(), 0)
    except BaseException:
        os.close(descriptor)
        raise
    return DomainLock(descriptor, domain)


def _name(uri: str, domain: str) -> str:
    """A digest, for names with slashes and names that are too long for a file."""
    text = "\0".join((uri, domain))
    return f"{hashlib.sha256(text.encode(errors='surrogateescape')).hexdigest()[:32]}.lock"


def _opened(folder: Path, name: str) -> int:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _require_own(folder)
        return os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise LockFolderRefused(
            f"no lock can be made in {folder}: {error.strerror}",
            hint="Name a folder that can be written to in the variable TMPDIR.",
        ) from error


def _require_own(folder: Path) -> None:
    """In ``/tmp`` anybody may have made it first. Raises LockFolderRefused, OSError."""
    found = folder.lstat()
    others_may_write = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or others_may_write:
        raise LockFolderRefused(
            f"{folder} is not a folder that only this user can write to",
            hint="Remove it, or name another place in the variable TMPDIR.",
        )


def _take(descriptor: int, domain: str, wait: float, cancel: CancelToken) -> None:
    deadline = time.monotonic() + wait
    while not _taken(descriptor):
        if time.monotonic() >= deadline:
            raise _held(domain, _note(descriptor))
        cancel.wait(_POLL_SECONDS)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _note(descriptor: int) -> str:
    return os.pread(descriptor, _NOTE_MAX, 0).decode(errors="replace")


def _held(domain: str, note: str) -> LockHeld:
    holder = f" ({note})" if note else ""
    return LockHeld(
        f"another vmsnap works on '{domain}'{holder}",
        hint="Run it again later, or let it wait: --wait SECONDS",
    )
