"""One run of one job, as its kind sees it; see `kinds.Run`."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any, TypeVar

from hypersdk.database.engine import Database
from hypersdk.datapath.cancel import CancelToken
from hypersdk.jobs import rows
from hypersdk.jobs.claims import Report, RunName
from hypersdk.jobs.engine import Engine
from hypersdk.jobs.family import Family
from hypersdk.jobs.outbox import Outbox
from hypersdk.jobs.pace import Pace
from hypersdk.jobs.shares import Shares
from hypersdk.model.errors import Interrupted
from hypersdk.model.jobs import Job, JobLog, JobProgress, NewJob
from hypersdk.model.progress import Progress, Reporter

T = TypeVar("T")

_LEVELS = ("debug", "info", "warning", "error")


class Reason(Enum):
    """Why a run was told to stop, later ones outweighing earlier ones."""

    #: This worker ends; the job runs again, anywhere.
    DRAIN = 1
    #: This worker was cut off from the database, and others may take its jobs over.
    LOST = 2
    PAUSE = 3
    CANCEL = 4


class Stopper:
    """A run's cancel token, with the reason for which it was raised. Safe in threads."""

    def __init__(self) -> None:
        self.token = CancelToken()
        self._lock = threading.Lock()
        self._reason: Reason | None = None

    @property
    def reason(self) -> Reason | None:
        return self._reason

    def stop(self, reason: Reason) -> None:
        """Ask the work to stop; it obeys within two seconds."""
        with self._lock:
            if self._reason is None or reason.value > self._reason.value:
                self._reason = reason
        self.token.cancel()


class JobRun:
    """Made in the thread that does the work."""

    def __init__(
        self,
        job: Job,
        *,
        lines: int,
        stopper: Stopper,
        database: Database,
        engine: Engine,
        shares: Shares,
        pace: Pace,
    ) -> None:
        """``lines``: how many its log has already."""
        self.job = job
        self.cancel = stopper.token
        self.reporter: Reporter = self._report
        self.outbox = Outbox(RunName(job.id, job.run))
        self._stopper = stopper
        self._clock = database.now
        self._engine = engine
        self._shares = shares
        self._family = Family(database, job, pace)
        self._thread = threading.get_ident()
        self._numbers = itertools.count(lines + 1)
        self._calls = itertools.count(1)
        self._lock = threading.Lock()
        self._shown = JobProgress()
        #: Tasks of the phase, such as disks that are copied at the same time.
        self._tasks: dict[str, Progress] = {}

    def phase(self, name: str, subject: str = "") -> None:
        with self._lock:
            self._tasks.clear()
            self._show(JobProgress(phase=name, subject=subject))

    def _report(self, progress: Progress) -> None:
        with self._lock:
            self._tasks[progress.task] = progress
            going = [each for each in self._tasks.values() if not each.finished] or [progress]
            self._show(_joined(self._shown.phase, progress.task, going))

    def log(self, message: str, *, level: str = "info", **details: object) -> None:
        if level not in _LEVELS:
            level = "info"
        with self._lock:  # numbers in the order of the lines
            number = next(self._numbers)
            self.outbox.say(JobLog(number, self._clock(), level, message, details))

    def step(self, name: str, work: Callable[[], T]) -> T:
        """Of the run's own thread only: steps are found again by their order."""
        if threading.get_ident() != self._thread:
            raise RuntimeError(f"step '{name}' was begun in a thread that the job started")
        self.cancel.check()
        try:
            return self._engine.step(name, work)
        except Interrupted:
            if not self.cancel.cancelled:  # the library found out before we did
                self._stopper.stop(Reason.LOST)
            raise

    def bandwidth(self) -> int | None:
        return self._shares.of(self.job.resources)

    def children(self, new: Sequence[NewJob], *, stop_on_error: bool = False) -> tuple[Job, ...]:
        call = next(self._calls)
        ids = self.step(f"children {call}", lambda: self._family.submit(call, new))
        try:
            return self._family.wait(ids, self.cancel, self._count, stop_on_error=stop_on_error)
        except Interrupted:
            if self._stopper.reason is Reason.CANCEL:
                self._family.cancel(ids)
            elif self._stopper.reason is Reason.PAUSE:
                self._family.pause(ids)
            raise

    def rest(self) -> Report | None:
        """What is to be stored with the end of the run."""
        return self.outbox.take()

    def _count(self, done: int, total: int) -> None:
        with self._lock:
            percent = 100.0 * done / total if total else None
            phase, subject = self._shown.phase, self._shown.subject
            self._show(JobProgress(phase, subject, done=done, total=total, percent=percent))

    def _show(self, progress: JobProgress) -> None:
        self._shown = progress
        self.outbox.show(progress)


def _joined(phase: str, subject: str, tasks: Sequence[Progress]) -> JobProgress:
    done = sum(each.done for each in tasks)
    total = sum(each.total for each in tasks)
    known = [each.eta for each in tasks if each.eta is not None]
    return JobProgress(
        phase=phase,
        subject=subject,
        done=done,
        total=total,
        percent=round(100.0 * done / total, 1) if total else None,
        rate=round(sum(each.rate for each in tasks), 1),
        eta=round(max(known), 1) if known else None,
    )


def plain(result: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a kind gave. Raises TypeError or ValueError when it is no mapping that JSON can hold."""
    text = json.dumps(dict(result), allow_nan=False, ensure_ascii=False)
    return rows.plain(json.loads(text))  # type: ignore[no-any-return]
