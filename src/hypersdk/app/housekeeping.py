"""What nobody asks for: what has ended is forgotten after its time, and hypervisors that do not
answer are told of."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from hypersdk.accounts.answers import AnswerStore
from hypersdk.accounts.tokens import TokenStore
from hypersdk.config.daemon.sections import RetentionSettings
from hypersdk.database.engine import Database, SessionLock
from hypersdk.database.events import EventLog
from hypersdk.database.moments import to_number
from hypersdk.drivers.wrappers.breaker import BreakerState, BreakerStatus
from hypersdk.estate.deliveries import forget as forget_deliveries
from hypersdk.jobs.loops import Loop
from hypersdk.model.errors import HyperSDKError
from hypersdk.model.estate import HypervisorRecord
from hypersdk.observe.log import get_logger

_log = get_logger(__name__)

#: Seconds between looks for what is old.
EVERY = 600.0
#: Seconds between looks at circuit breakers.
WATCH_EVERY = 5.0
#: Days that answers to repeated requests, and expired tokens, are kept.
_ANSWERS_DAYS = 1
_TOKENS_DAYS = 7


class Housekeeping:
    """Runs in one worker at a time, which holds the lock ``housekeeping``."""

    def __init__(
        self,
        database: Database,
        retention: RetentionSettings,
        forget_jobs: Callable[[datetime], int],
        *,
        every: float = EVERY,
    ) -> None:
        self._database = database
        self._forget_jobs = forget_jobs
        #: Changed by a reload of the settings.
        self.retention = retention
        self._lock: SessionLock | None = None
        self._loop = Loop("housekeeping", self.turn, every)

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        self._loop.stop(seconds=10)
        if self._lock is not None:
            self._lock.release()

    def turn(self) -> None:
        """Forget what is old, unless another worker does it. Raises DatabaseUnavailable."""
        if self._lock is None or not self._lock.held():
            self._lock = self._database.lock("housekeeping")
        if self._lock is not None:
            self.forget()

    def forget(self) -> dict[str, int]:
        """What was forgotten, by its kind."""
        now, keep = self._database.now(), self.retention
        done = {"jobs": 0, "events": 0, "deliveries": 0}
        if keep.jobs_days is not None:
            done["jobs"] = self._forget_jobs(now - timedelta(days=keep.jobs_days))
        if keep.events_days is not None:
            done["events"] = EventLog(self._database).forget(now - timedelta(days=keep.events_days))
        if keep.deliveries_days is not None:
            before = now - timedelta(days=keep.deliveries_days)
            done["deliveries"] = forget_deliveries(self._database, to_number(before))
        done["answers"] = AnswerStore(self._database).forget(now - timedelta(days=_ANSWERS_DAYS))
        done["tokens"] = TokenStore(self._database).forget_expired(
            now - timedelta(days=_TOKENS_DAYS)
        )
        if any(done.values()):
            _log.info("forgot what is old", **done)
        return done


class BreakerWatch:
    """Tells once when a hypervisor stops answering this process, and once when it is back."""

    def __init__(
        self,
        events: EventLog,
        hypervisors: Callable[[], Iterable[HypervisorRecord]],
        breaker: Callable[[str], BreakerStatus],
        *,
        every: float = WATCH_EVERY,
    ) -> None:
        self._events = events
        self._hypervisors = hypervisors
        self._breaker = breaker
        self._lost: set[str] = set()
        self._loop = Loop("breakers", self.turn, every)

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        self._loop.stop(seconds=5)

    def turn(self) -> None:
        """Raises DatabaseUnavailable."""
        for record in self._hypervisors():
            try:
                status = self._breaker(record.name)
            except HyperSDKError:
                continue  # it was deleted a moment ago
            subject = f"hypervisors/{record.name}"
            if status.state is BreakerState.OPEN and record.name not in self._lost:
                self._events.tell("hypervisor.unreachable", subject, record.tenant)
                self._lost.add(record.name)
            elif status.state is BreakerState.CLOSED and record.name in self._lost:
                self._events.tell("hypervisor.reachable", subject, record.tenant)
                self._lost.discard(record.name)
