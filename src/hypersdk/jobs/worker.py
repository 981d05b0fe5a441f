"""A worker: claims jobs of its queues and runs them, each in a thread.

::

    dispatch   every 0.2 s    runs that are ours and do not run here are begun; then new jobs
    pulse      every 0.25 s   wishes, drain and a lost lock become cancels; progress and log lines
    watch      every second   do we still hold our lock?
    probe      every 4 s      whose lock is free? Their jobs become ours

A run that ends, however it ends, writes that in one transaction, for as long as the database says
that the run is this worker's.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from hypersdk.database.engine import Database
from hypersdk.database.moments import to_number
from hypersdk.database.tables import jobs, workers
from hypersdk.jobs.attempt import Attempt
from hypersdk.jobs.budgets import Budgets
from hypersdk.jobs.claims import Claims, RunName
from hypersdk.jobs.dispatcher import Dispatcher, Room
from hypersdk.jobs.engine import Engine
from hypersdk.jobs.forgetting import forget
from hypersdk.jobs.kinds import Kinds
from hypersdk.jobs.loops import Loop
from hypersdk.jobs.outbox import reports
from hypersdk.jobs.pace import USUAL, Pace
from hypersdk.jobs.presence import Obituaries, Presence
from hypersdk.jobs.roster import Place, Roster
from hypersdk.jobs.run import Reason
from hypersdk.jobs.shares import Shares
from hypersdk.jobs.whereabouts import Whereabouts
from hypersdk.jobs.windows import Windows
from hypersdk.model.errors import DatabaseError, DatabaseUnavailable
from hypersdk.model.jobs import JobState, Wish
from hypersdk.observe.log import get_logger

_log = get_logger(__name__)
#: Jobs of kinds that only wait, at once; each takes a thread that sleeps.
WAITING_MOST = 500
_WISHES = {Wish.CANCEL: Reason.CANCEL, Wish.PAUSE: Reason.PAUSE}


class Worker:
    """At most one per process. Methods may be called from any thread."""

    def __init__(
        self,
        database: Database,
        kinds: Kinds,
        *,
        id: str,
        queues: Sequence[str],
        slots: int,
        budgets: Budgets,
        version: str,
        pace: Pace = USUAL,
    ) -> None:
        """``id`` stays the same when the worker is started again, so that it finds its jobs."""
        self.id = id
        self._database = database
        self._kinds = kinds
        self._queues = tuple(queues)
        self._slots = slots
        self._version = version
        self._pace = pace
        self._claims = Claims(database, id)
        self._engine = Engine(database, id, resume_seconds=pace.resume)
        self._presence = Presence(database, id, pace)
        self._obituaries = Obituaries(database, pace.takeover)
        whereabouts = Whereabouts(database, kinds, budgets)
        self._dispatcher = Dispatcher(
            database=database,
            worker=id,
            queues=self._queues,
            kinds=kinds,
            budgets=budgets,
            closed=Windows(database).closed,
            whereabouts=whereabouts,
        )
        self._roster = Roster()
        self._attempt = Attempt(
            database=database,
            claims=self._claims,
            engine=self._engine,
            kinds=kinds,
            roster=self._roster,
            shares=Shares(database, budgets, seconds=pace.shares),
            pace=pace,
            chance=random.Random(),  # noqa: S311 - spreads retries, guards nothing
        )
        self._draining = False
        self._present = False
        self._beat = float("-inf")
        self._flushed = float("-inf")
        self._continued = float("-inf")
        self._ended = threading.Event()
        self._closing = threading.Lock()
        self._dispatch = Loop("jobs-dispatch", self._dispatch_turn, pace.dispatch)
        self._pulse = Loop("jobs-pulse", self._pulse_turn, min(pace.wishes, pace.flush))
        self._watch = Loop("jobs-watch", self._watch_turn, pace.watch)
        self._probe = Loop("jobs-probe", self._probe_turn, pace.probe)
        self._roster.when_ended = self._dispatch.wake
        whereabouts.when_known = self._dispatch.wake

    # Its life.

    def start(self) -> None:
        """Begin, and go on with what this worker ran when it ended. Raises Conflict when a worker
        of this id runs, DatabaseUnavailable."""
        self._presence.take()
        try:
            self._claims.register(self._queues, self._slots, self._version)
            self._present = True
            self._engine.open(self._attempt)
        except BaseException:
            self._presence.release()
            raise
        for loop in (self._dispatch, self._pulse, self._watch, self._probe):
            loop.start()
        _log.info("worker began", worker=self.id, queues=list(self._queues), slots=self._slots)

    @property
    def running(self) -> int:
        """Runs in this process now."""
        return len(self._roster)

    def wake(self) -> None:
        """A job was submitted: look now."""
        self._dispatch.wake()

    def drain(self, seconds: float) -> bool:
        """Begin nothing more, wait so long for what runs, then interrupt the rest, whose jobs
        become pending again. Blocks; ends the worker. Called again meanwhile, the
        shorter wait counts. False: work did not stop within
        `Pace.grace`, and the process has to be ended to stop it."""
        self._draining = True
        with contextlib.suppress(DatabaseError):
            self._claims.say("draining")
        # Those that only wait for others are begun again for nothing: no need to wait for them.
        for place in self._roster.places():
            if place.waits:
                place.stopper.stop(Reason.DRAIN)
        self._roster.wait(seconds)
        for place in self._roster.places():
            place.stopper.stop(Reason.DRAIN)
        stopped = self._roster.wait(self._pace.grace)
        self._close(stopped)
        return stopped

    def stop(self) -> bool:
        """Interrupt everything now; see `drain`."""
        return self.drain(0.0)

    def join(self, seconds: float | None = None) -> bool:
        """Wait until the worker ended. False: it has not."""
        return self._ended.wait(seconds)

    def forget(self, before: datetime) -> int:
        """Delete jobs that ended before a moment, with their logs and what is stored of their
        steps; gives how many."""
        return forget(self._database, self._engine, before)

    def _close(self, stopped: bool) -> None:
        with self._closing:
            if not self._ended.is_set():
                self._end(stopped)

    def _end(self, stopped: bool) -> None:
        self._attempt.close()
        for loop in (self._dispatch, self._probe, self._watch, self._pulse):
            loop.stop(seconds=self._pace.grace)
        with contextlib.suppress(DatabaseError):
            self._flush()
            if stopped:
                self._claims.say("stopped")
        self._engine.close()
        if stopped:  # else the lock goes with the process, and its jobs only then
            self._presence.release()
        self._ended.set()
        _log.info("worker ended", worker=self.id, left=len(self._roster))

    # Its loops.

    def _dispatch_turn(self) -> None:
        if self._draining or not self._present or not self._presence.held:
            return
        if time.monotonic() - self._continued >= self._pace.watch:
            self._continue()
            self._continued = time.monotonic()
        working, waiting = self._roster.counts()
        room = Room(self._slots - working, WAITING_MOST - waiting)
        # Nobody looks in between which runs are ours and have no place: that is this thread's.
        places = [
            self._roster.add(RunName(job.id, job.run), waits=self._kinds[job.kind].waits)
            for job in self._dispatcher.tick(room)
        ]
        self._begin(places, new=True)

    def _continue(self) -> None:
        """Begin what is ours and does not run here: after a restart, a takeover, a failed begin."""
        known = frozenset(self._roster.names())  # first: a run that ends now is not lost
        lost = [name for name in self._claims.running() if name not in known]
        kinds = self._kinds_of(lost)
        places = [
            self._roster.add(name, waits=kinds.get(name.job) in self._waiting_kinds())
            for name in lost
            if not self._roster.has(name.job)
        ]
        for place in places:
            _log.info("job goes on", job=place.name.job, run=place.name.number)
        self._begin(places, new=False)

    def _begin(self, places: Sequence[Place], *, new: bool) -> None:
        """Raises the first error, after all were tried. `_continue` tries those again."""
        failed: Exception | None = None
        for place in places:
            try:
                if new:
                    self._engine.start(place.name)
                elif not self._engine.resume(place.name):
                    self._attempt.give_up(place)
            except Exception as error:  # noqa: BLE001 - raised below
                self._roster.remove(place)
                failed = failed or error
        if failed is not None:
            raise failed

    def _pulse_turn(self) -> None:
        if not self._presence.safe:
            for place in self._roster.places():
                place.stopper.stop(Reason.LOST)
        elif len(self._roster):
            self._obey()
        if time.monotonic() - self._flushed >= self._pace.flush:
            self._flushed = time.monotonic()
            self._flush()

    def _obey(self) -> None:
        places = self._roster.places()  # first: what is claimed after this is not in the answer
        wished = self._claims.running()
        for place in places:
            if place.name not in wished:
                place.stopper.stop(Reason.LOST)
            elif wished[place.name] in _WISHES:
                place.stopper.stop(_WISHES[wished[place.name]])

    def _flush(self) -> None:
        found = reports(each.outbox for each in self._roster.places() if each.outbox is not None)
        if not found:
            return
        try:
            self._claims.report(report for _, report in found)
        except DatabaseUnavailable:  # any other error would come again with the same lines
            for outbox, report in found:
                outbox.give_back(report)
            raise

    def _watch_turn(self) -> None:
        if not self._presence.confirm():
            self._present = False
            return
        if not self._present:
            self._claims.register(self._queues, self._slots, self._version)
            self._present = True
            _log.info("worker is back", worker=self.id)
        if time.monotonic() - self._beat >= self._pace.heartbeat:
            self._beat = time.monotonic()
            self._claims.say()

    def _probe_turn(self) -> None:
        if self._draining or not self._present or not self._presence.held:
            return
        for dead in self._suspects():
            lock = self._obituaries.dead(dead)
            if lock is None:
                continue
            try:
                self._inherit(dead)
            finally:
                lock.release()

    def _inherit(self, dead: str) -> None:
        """Its jobs are shared by those who live, also beyond their slots: they ran already."""
        with self._database.read() as connection:
            left, living = connection.execute(
                sa.select(
                    sa.select(sa.func.count())
                    .where(jobs.c.state == JobState.RUNNING.value, jobs.c.worker == dead)
                    .scalar_subquery(),
                    sa.select(sa.func.count())
                    .where(workers.c.state == "running", workers.c.id != dead)
                    .scalar_subquery(),
                )
            ).one()
        share = -(-left // max(1, living))
        taken = self._claims.take_over(dead, self._queues, sorted(self._kinds.known), share)
        if taken:
            _log.warning("jobs of a dead worker taken over", dead=dead, jobs=taken)
            self._continued = float("-inf")
            self._dispatch.wake()
        if taken == left:
            self._claims.bury(dead)
            self._obituaries.forget(dead)

    def _suspects(self) -> list[str]:
        """Other workers with running jobs, and those that were not heard of for long."""
        quiet = to_number(self._database.now()) - int(6 * self._pace.heartbeat * 1_000_000)
        having = sa.select(jobs.c.worker).where(jobs.c.state == JobState.RUNNING.value)
        silent = sa.select(workers.c.id).where(workers.c.state != "stopped", workers.c.seen < quiet)
        with self._database.read() as connection:
            found = set(connection.execute(sa.union(having, silent)).scalars())
        return sorted(found - {self.id})

    # What is known of kinds.

    def _waiting_kinds(self) -> frozenset[str]:
        return frozenset(name for name, kind in self._kinds.known.items() if kind.waits)

    def _kinds_of(self, names: Sequence[RunName]) -> dict[str, str]:
        if not names:
            return {}
        query = sa.select(jobs.c.id, jobs.c.kind).where(jobs.c.id.in_([each.job for each in names]))
        with self._database.read() as connection:
            return {row.id: row.kind for row in connection.execute(query)}
