"""Who lives: a worker's own lock, and the workers whose locks are free.

A lock is a session's of PostgreSQL or a file's of this host, so it goes with its holder's process.
A worker that lost its lock to a broken connection stops its work within `Pace.lost` and two
seconds, and is taken for dead only after `Pace.takeover`: no job runs twice at the same time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from hypersdk.database.engine import Database, SessionLock
from hypersdk.jobs.pace import Pace
from hypersdk.model.errors import Conflict
from hypersdk.observe.log import get_logger

_log = get_logger(__name__)


class Presence:
    """Of one worker."""

    def __init__(
        self,
        database: Database,
        worker: str,
        pace: Pace,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._worker = worker
        self._pace = pace
        self._clock = clock
        self._lock: SessionLock | None = None
        self._confirmed = float("-inf")
        self._wait = threading.Event()

    @property
    def held(self) -> bool:
        """Whether new work may begin. Asks nobody."""
        return self._lock is not None and self.safe

    @property
    def safe(self) -> bool:
        """Whether nobody can have taken us for dead yet, so that running work may go on: also when
        the lock is lost for a moment, or a question to the database is not answered."""
        if self._database.sqlite:  # a file's lock is lost with its process
            return True
        return self._clock() - self._confirmed < self._pace.lost

    def take(self) -> None:
        """Raises Conflict when another process keeps the lock."""
        deadline = self._clock() + self._pace.patience
        while not self._try():
            if self._clock() >= deadline:
                raise Conflict(
                    f"a worker called {self._worker} runs on {self._database.place} already",
                    hint="Stop that one, or give this one another name with --id.",
                )
            self._wait.wait(0.1)

    def confirm(self) -> bool:
        """Ask the database. True: held, or taken again. Raises DatabaseUnavailable."""
        if self._lock is not None:
            asked = self._clock()
            if self._lock.held():
                self._confirmed = asked
                return True
            _log.error("the lock of this worker is lost", worker=self._worker)
            self._lock = None
        return self._try()

    def release(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.release()

    def _try(self) -> bool:
        asked = self._clock()
        self._lock = self._database.lock(lock_name(self._worker))
        if self._lock is None:
            return False
        self._confirmed = asked
        return True


class Obituaries:
    """Since when the locks of other workers are seen to be free."""

    def __init__(
        self, database: Database, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._seconds = seconds
        self._clock = clock
        self._free: dict[str, float] = {}

    def dead(self, worker: str) -> SessionLock | None:
        """The worker's own lock when it is dead, to be released after its jobs were taken over:
        it cannot come back in between. None: it lives, or was not dead for long enough."""
        lock = self._database.lock(lock_name(worker))
        if lock is None:
            self._free.pop(worker, None)
            return None
        now = self._clock()
        if now - self._free.setdefault(worker, now) >= self._seconds:
            return lock
        lock.release()
        return None

    def forget(self, worker: str) -> None:
        self._free.pop(worker, None)


def lock_name(worker: str) -> str:
    """Of a worker's lock in the database."""
    return f"worker.{worker}"
