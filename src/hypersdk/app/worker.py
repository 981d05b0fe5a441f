"""The process that runs jobs: the daemon's own child, or one on another host."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata

from hypersdk.app import log
from hypersdk.app.budgets import EstateBudgets
from hypersdk.app.database import open_database
from hypersdk.app.housekeeping import BreakerWatch, Housekeeping
from hypersdk.app.jobkinds import make_kinds, planner
from hypersdk.app.notify import Notifier
from hypersdk.app.stores import Stores, all_tenants, make_stores
from hypersdk.app.traces import tracing
from hypersdk.app.usage import Measuring
from hypersdk.config.daemon import DaemonSettings
from hypersdk.estate.deliveries import Deliveries
from hypersdk.jobs.scheduler import Scheduler
from hypersdk.jobs.worker import Worker
from hypersdk.model.errors import Conflict, HyperSDKError
from hypersdk.observe.log import get_logger

_log = get_logger(__name__)

#: Seconds that the daemon's worker waits for the one of a killed daemon to end.
_PATIENCE = 20.0
#: Exit status of a worker whose work did not stop.
_LEFT = 75
#: Reads the settings again.
Again = Callable[[], DaemonSettings]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """How one worker runs."""

    #: Empty: made of host and process.
    id: str = ""
    queues: tuple[str, ...]
    slots: int
    #: Begun by the daemon, and ends with it.
    supervised: bool = False


def run_worker(settings: DaemonSettings, options: WorkerOptions, again: Again) -> int:
    """Work until a signal says otherwise; gives the exit status.

    SIGTERM and SIGINT: take no further job, give running ones `drain_seconds`, end. A second one
    ends at once; jobs go on elsewhere. SIGHUP: read the settings again.
    """
    log.configure(settings)
    signals = _Signals()
    notifier = Notifier.of({} if options.supervised else os.environ)
    if options.supervised:
        _end_with_parent(signals)
    database = open_database(settings)
    with contextlib.closing(database), tracing(settings, "hypervisord-worker"):
        stores = make_stores(settings, database)
        running = _Running(settings, options, stores)
        running.start()
        gc.freeze()
        gc.enable()
        notifier.ready(f"worker for {', '.join(options.queues)}")
        _log.info(
            "worker runs", id=running.id, queues=list(options.queues), slots=options.slots,
            database=database.place,
        )  # fmt: skip
        _wait(signals, running, again, notifier)
        notifier.stopping("draining")
        running.end(settings.drain_seconds, signals)
    _log.info("worker ended")
    return 0


class _Running:
    """Everything that runs in a worker process."""

    def __init__(self, settings: DaemonSettings, options: WorkerOptions, stores: Stores) -> None:
        database = stores.database
        self.id = options.id or f"{socket.gethostname()}-{os.getpid()}"
        self.patience = _PATIENCE if options.supervised else 0.0
        self.settings = settings
        self.stores = stores
        self.budgets = EstateBudgets(
            stores.hypervisors.list, stores.repositories.list, lambda: all_tenants(stores.tenants)
        )
        kinds = make_kinds(settings, stores)
        self.worker = Worker(
            database,
            kinds,
            id=self.id,
            queues=options.queues,
            slots=options.slots,
            budgets=self.budgets,
            version=metadata.version("hypersdk"),
        )
        self.scheduler = Scheduler(database, planned=planner(kinds, stores))
        self.deliveries = Deliveries(database, stores.webhooks)
        self.housekeeping = Housekeeping(database, settings.retention, self.worker.forget)
        self.measuring = Measuring(database, stores.usage, lambda: all_tenants(stores.tenants))
        self.watch = BreakerWatch(
            stores.events, stores.hypervisors.list, stores.connections.breaker
        )

    def start(self) -> None:
        """Raises Conflict when a worker of this id runs."""
        self.budgets.start()
        deadline = time.monotonic() + self.patience
        while True:
            try:
                self.worker.start()
                break
            except Conflict:
                # The child of a daemon that was killed is about to notice it.
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
        for each in (
            self.scheduler, self.deliveries, self.housekeeping, self.measuring, self.watch,
        ):  # fmt: skip
            each.start()

    def reload(self, settings: DaemonSettings) -> None:
        """What a worker can change while it runs."""
        log.configure(settings)
        self.stores.webhooks.allow_private = settings.webhooks_allow_private
        self.housekeeping.retention = settings.retention
        self.budgets.refresh()

    def end(self, seconds: float, signals: _Signals) -> None:
        self.scheduler.stop()
        if not signals.orphaned:
            drain = threading.Thread(target=self.worker.drain, args=(seconds,), daemon=True)
            drain.start()
            while drain.is_alive() and not signals.hurried:
                drain.join(0.2)
        if not self.worker.join(0) and not self.worker.stop():
            # Threads that do not stop hold the worker's lock, and others wait for it.
            _log.error("work does not stop; the process ends without it", left=self.worker.running)
            os._exit(_LEFT)
        for each in (
            self.deliveries, self.housekeeping, self.measuring, self.watch, self.budgets,
        ):  # fmt: skip
            each.stop()
        self.stores.connections.close()


class _Signals:
    """What was asked of this process from outside."""

    def __init__(self) -> None:
        self.changed = threading.Event()
        self.ends = 0
        self.hangups = 0
        self.orphaned = False
        signal.signal(signal.SIGTERM, self._end)
        signal.signal(signal.SIGINT, self._end)
        signal.signal(signal.SIGHUP, self._hangup)

    @property
    def ending(self) -> bool:
        return self.ends > 0 or self.orphaned

    @property
    def hurried(self) -> bool:
        return self.ends > 1 or self.orphaned

    def orphan(self) -> None:
        self.orphaned = True
        self.changed.set()

    def _end(self, number: int, frame: object) -> None:  # noqa: ARG002 - signal's form
        self.ends += 1
        self.changed.set()

    def _hangup(self, number: int, frame: object) -> None:  # noqa: ARG002
        self.hangups += 1
        self.changed.set()


def _wait(signals: _Signals, running: _Running, again: Again, notifier: Notifier) -> None:
    seen = 0
    while not signals.ending:
        # With a timeout, signals are handled while it waits.
        if signals.changed.wait(notifier.interval or 5.0):
            signals.changed.clear()
        notifier.alive()
        if signals.hangups > seen:
            seen = signals.hangups
            try:
                running.reload(again())
                _log.info("read the settings again")
            except HyperSDKError as error:
                _log.error("the settings stay as they are", error=error.message, hint=error.hint)


def _end_with_parent(signals: _Signals) -> None:
    """The daemon holds the other end of our standard input; it closes when the daemon dies."""

    def watch() -> None:
        while os.read(sys.stdin.fileno(), 1024):
            pass
        signals.orphan()

    threading.Thread(target=watch, name="parent", daemon=True).start()


def queues_of(text: str) -> Sequence[str]:
    """``a,b`` → a, b."""
    return tuple(each for part in text.split(",") if (each := part.strip()))
