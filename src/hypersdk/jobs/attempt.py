"""From the begin of a run to its stored end, in the run's own thread."""

from __future__ import annotations

import random
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TypeVar

from hypersdk.database.engine import Database
from hypersdk.jobs.claims import Claims, Ending, RunName
from hypersdk.jobs.engine import Engine, LeftToOthers, StepsChanged
from hypersdk.jobs.kinds import Kinds
from hypersdk.jobs.pace import Pace
from hypersdk.jobs.retrying import delay, tried_again
from hypersdk.jobs.roster import Place, Roster
from hypersdk.jobs.run import JobRun, Reason, plain
from hypersdk.jobs.shares import Shares
from hypersdk.model.errors import DatabaseUnavailable, HyperSDKError, Interrupted
from hypersdk.model.jobs import JobError, JobState
from hypersdk.observe.log import get_logger

_log = get_logger(__name__)
T = TypeVar("T")

#: Seconds until a job is run again whose work met a database that was away.
_DATABASE_DELAY = 5.0

#: What becomes of a job whose run was told to stop.
_STOPPED = {
    Reason.CANCEL: JobState.CANCELLED,
    Reason.PAUSE: JobState.PAUSED,
    Reason.DRAIN: JobState.PENDING,
    Reason.LOST: JobState.PENDING,
}
_WHY = {
    Reason.DRAIN: "its worker ends",
    Reason.LOST: "its worker was cut off from the database",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """Called by the engine for every run."""

    database: Database
    claims: Claims
    engine: Engine
    kinds: Kinds
    roster: Roster
    shares: Shares
    pace: Pace
    #: Of the jitter of retries.
    chance: random.Random
    _closing: threading.Event = field(default_factory=threading.Event)

    def __call__(self, name: RunName) -> None:
        """Raises LeftToOthers when the run is not to be ended here."""
        place = self.roster.take(name)
        if place is None:
            raise LeftToOthers
        try:
            found = self._persist(lambda: self.claims.begin(name))
            if found is None:
                raise LeftToOthers
            job, lines = found
            run = JobRun(
                job,
                lines=lines,
                stopper=place.stopper,
                database=self.database,
                engine=self.engine,
                shares=self.shares,
                pace=self.pace,
            )
            place.outbox = run.outbox
            self._finish(name, self._work(run, place), run)
        finally:
            self.roster.remove(place)

    def give_up(self, place: Place) -> None:
        """A run that the library takes for finished, while its job is not: it begins anew."""
        try:
            self._persist(lambda: self.claims.finish(place.name, Ending(state=JobState.PENDING)))
        finally:
            self.roster.remove(place)

    def close(self) -> None:
        """Writes that wait for a database which is away are given up: the process ends."""
        self._closing.set()

    def _work(self, run: JobRun, place: Place) -> Ending:
        try:
            with run.cancel.scope():
                result = self.kinds[run.job.kind].work(run.job.request, run)
            return Ending(state=JobState.COMPLETED, result=plain(result))
        except LeftToOthers:
            raise
        except BaseException as error:  # noqa: BLE001 - every error is the job's, as data
            return self._failed(error, run, place.stopper.reason)

    def _failed(self, error: BaseException, run: JobRun, reason: Reason | None) -> Ending:
        expected = isinstance(error, HyperSDKError)
        if not expected:
            run.log(
                "".join(traceback.format_exception(error)),
                level="error",
                error=type(error).__name__,
            )
        if reason is not None:
            if expected and not isinstance(error, Interrupted):
                run.log(f"while it stopped: {error}", level="warning")
            if reason in _WHY:
                run.log(f"interrupted, since {_WHY[reason]}: it begins anew", level="warning")
            return Ending(state=_STOPPED[reason])
        if isinstance(error, StepsChanged):
            run.log("its steps changed with the program: it begins anew", level="warning")
            return Ending(state=JobState.PENDING)
        if isinstance(error, DatabaseUnavailable):
            run.log(str(error), level="error")
            return self._later(Ending(state=JobState.SCHEDULED), _DATABASE_DELAY)
        return self._tried(error, run)

    def _tried(self, error: BaseException, run: JobRun) -> Ending:
        said = JobError.of(error)
        failures = 1 + self._persist(lambda: self.claims.failures(run.job.id))
        failed = Ending(state=JobState.FAILED, error=said, failed=True)
        if not tried_again(run.job.retry, failures, error):
            run.log(said.message, level="error", error=said.kind)
            return failed
        seconds = delay(run.job.retry, failures, self.chance)
        run.log(
            f"{said.message}; tried again in {seconds:.0f} s",
            level="warning",
            error=said.kind,
            failures=failures,
        )
        return self._later(replace(failed, state=JobState.SCHEDULED), seconds)

    def _later(self, ending: Ending, seconds: float) -> Ending:
        return replace(ending, not_before=self.database.now() + timedelta(seconds=seconds))

    def _finish(self, name: RunName, ending: Ending, run: JobRun) -> None:
        rest = run.rest()
        complete = replace(
            ending,
            progress=rest.progress if rest else None,
            logs=rest.logs if rest else (),
        )
        try:
            stored = self._persist(lambda: self.claims.finish(name, complete))
        except Exception as error:  # noqa: BLE001 - whatever it is must not leave the job running
            _log.error("the end of a run was refused", job=name.job, error=str(error))
            failed = Ending(state=JobState.FAILED, error=JobError.of(error), failed=True)
            stored = self._persist(lambda: self.claims.finish(name, failed))
        if not stored:
            raise LeftToOthers

    def _persist(self, write: Callable[[], T]) -> T:
        """Until the database took it. Raises LeftToOthers when this process ends before."""
        told = False
        while True:
            try:
                return write()
            except DatabaseUnavailable as error:
                if not told:
                    _log.error("waits for the database", error=error.message)
                    told = True
                if self._closing.wait(self.pace.persist):
                    raise LeftToOthers from error
