"""Locks between all connections and processes of one user on this host that work on one thing.

A libvirtd elsewhere may have users on other hosts, of whom these locks know nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from hypersdk.datapath.cancel import WAIT_SLICE, token_in_force
from hypersdk.model.errors import HypervisorError


@dataclass(frozen=True, slots=True)
class SharedLock:
    """Held together with others until it is closed. The file is there as long as anybody holds it:
    whoever finds that he is the last removes it."""

    path: str
    descriptor: int

    @classmethod
    def of(cls, uri: str, thing: str) -> Self:
        """Waits as long as somebody holds it exclusively. Raises HypervisorError, Interrupted."""
        return cls(*_locked(uri, thing, fcntl.LOCK_SH))

    def is_last(self) -> bool:
        """Whether nobody else holds it; nobody can have it then until it is closed."""
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def close(self, *, last: bool = False) -> None:
        if last:
            os.unlink(self.path)
        os.close(self.descriptor)


@contextlib.contextmanager
def alone(uri: str, thing: str) -> Iterator[None]:
    """Nobody else works on it meanwhile. Raises HypervisorError, Interrupted."""
    lock = SharedLock(*_locked(uri, thing, fcntl.LOCK_EX))
    try:
        yield
    finally:
        lock.close(last=True)


def _locked(uri: str, thing: str, kind: int) -> tuple[str, int]:
    name = hashlib.sha256(f"{uri}\0{thing}".encode(errors="surrogateescape")).hexdigest()[:32]
    path = os.path.join(tempfile.gettempdir(), f".hypersdk-{os.getuid()}-{name}.lock")
    while True:
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(path, flags, 0o600)
        except OSError as error:
            raise HypervisorError(
                f"cannot lock {path}: {error.strerror}", hint="Remove it: nobody may use it but us."
            ) from error
        try:
            if _taken(descriptor, kind):
                return path, descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _taken(descriptor: int, kind: int) -> bool:
    """False when the last user has removed the file meanwhile."""
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            token_in_force().wait(WAIT_SLICE)
        else:
            return os.fstat(descriptor).st_nlink > 0
