"""What changes, for those who follow: one thread asks the database for all of them.

Events have numbers and are kept; a follower who comes back says which it saw last and misses none.
Progress of running jobs (``job.progress``) has none: only the newest matters. A message is encoded
once for all followers who see the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from hypersdk.contract.estate import EventRecord
from hypersdk.database.events import EventLog
from hypersdk.jobs.store import JobStore
from hypersdk.model.errors import DatabaseError
from hypersdk.model.estate import Event
from hypersdk.model.jobs import Job, JobState
from hypersdk.observe.log import get_logger

#: Seconds between looks at the database.
POLL = 0.25
#: Seconds between signs of life for followers of whom nothing else is to be told.
HEARTBEAT = 15.0
#: Parts that wait for a follower. One that reads slower than that is let go with a `gap`.
WAITING_MOST = 256
#: Events that one who comes back is told of; of more it gets a `gap` and the newest.
REPLAY_MOST = 10_000
#: Seconds that counts are good for.
_COUNTS_AGE = 1.0
#: Seconds after which jobs are counted although none changed.
_RECOUNT = 20.0
_PAGE = 1000

PROGRESS = "job.progress"
GAP = "gap"

_log = get_logger(__name__)

#: Called from the feed's thread with what changed.
Watcher = Callable[[Sequence[Job], Sequence[Event]], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a follower wants to see, and may."""

    #: Of this tenant only; None: of all.
    tenant: str | None = None
    #: Names or groups (``job.*``); empty: all.
    names: frozenset[str] = frozenset()
    #: ``jobs/01J…``; empty: all.
    subjects: frozenset[str] = frozenset()

    def takes(self, name: str, subject: str, tenant: str) -> bool:
        if name == GAP:
            return True
        if self.tenant is not None and tenant != self.tenant:
            return False
        if self.subjects and subject not in self.subjects:
            return False
        return not self.names or any(fnmatchcase(name, each) for each in self.names)


@dataclass(frozen=True, slots=True)
class Telling:
    """One message, as JSON."""

    name: str
    subject: str
    tenant: str
    json: str
    #: None for what is not kept.
    number: int | None = None

    @property
    def as_event(self) -> bytes:
        """In the form of server-sent events."""
        id = "" if self.number is None else f"id: {self.number}\n"
        return f"{id}event: {self.name}\ndata: {self.json}\n\n".encode()


@dataclass(frozen=True, slots=True)
class Part:
    """Messages that go out together; none: a sign of life."""

    tellings: tuple[Telling, ...] = ()
    as_events: bytes = b": alive\n\n"


@dataclass(eq=False, slots=True)
class Following:
    """One follower. Lives in the loop of the server."""

    wanted: Wanted
    #: Number of the last event before it; the feed tells it of those after.
    since: int
    parts: asyncio.Queue[Part | None] = field(
        default_factory=lambda: asyncio.Queue(WAITING_MOST + 2)
    )

    #: Number of the last event that it knows from elsewhere.
    known: int = 0

    async def next(self) -> Part | None:
        """The next part; None when it is over."""
        part = await self.parts.get()
        if part is None or self.known <= self.since:
            return part
        # It knows more than we had told when it came.
        fresh = [each for each in part.tellings if (each.number or self.known + 1) > self.known]
        return part if len(fresh) == len(part.tellings) else _part(fresh)


class Feed:
    """Safe in threads, except where a method says that it belongs to the loop."""

    def __init__(self, jobs: JobStore, events: EventLog, *, poll: float = POLL) -> None:
        self._jobs = jobs
        self._events = events
        self._poll = poll
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()
        self._watchers: list[Watcher] = []
        self._followers: set[Following] = set()
        self._told = 0
        self._changed = True
        self._counts: dict[str | None, tuple[float, Mapping[JobState, int]]] = {}

    # Life.

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to look; whoever follows lives in ``loop``."""
        self._loop = loop
        self._ended.clear()
        self._told = self._events.last()
        revision = self._jobs.revision()
        self._thread = threading.Thread(
            target=self._run, args=(revision, self._told), name="feed", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """End, and let all followers go. May be called several times, from anywhere."""
        self._ended.set()
        thread, self._thread = self._thread, None
        if self._loop is not None and not self._loop.is_closed():
            with contextlib.suppress(RuntimeError):  # it closed just now
                self._loop.call_soon_threadsafe(self._let_all_go)
        if thread is not None and thread is not threading.current_thread():
            thread.join(5.0)

    def watch(self, watcher: Watcher) -> None:
        """Have ``watcher`` called with every change."""
        self._watchers.append(watcher)

    # Counts.

    def counts(self, tenant: str | None = None) -> Mapping[JobState, int]:
        """Jobs by state, at most a second old."""
        known = self.cached_counts(tenant)
        return known if known is not None else self._count(tenant)

    def cached_counts(self, tenant: str | None = None) -> Mapping[JobState, int] | None:
        """The same without asking the database; None when what is known may be too old."""
        counted, found = self._counts.get(tenant, (0.0, None))
        fresh = _RECOUNT if tenant is None and self._thread is not None else _COUNTS_AGE
        return found if time.monotonic() - counted < fresh else None

    # Following: in the loop.

    @property
    def followers(self) -> int:
        return len(self._followers)

    @property
    def told(self) -> int:
        """Number of the last event that followers were told of."""
        return self._told

    def follow(self, wanted: Wanted, *, known: int = 0) -> Following:
        """Begin to follow from now on. ``known``: number of an event up to which the follower
        needs to be told of none. Belongs to the loop."""
        following = Following(wanted, self._told, known=known)
        self._followers.add(following)
        if self._ended.is_set():
            following.parts.put_nowait(None)
        return following

    def leave(self, following: Following) -> None:
        """Belongs to the loop."""
        self._followers.discard(following)

    def missed(self, wanted: Wanted, after: int, until: int) -> Part:
        """Events after number ``after`` up to ``until``, for one who comes back; first a `gap`
        when some of them are gone or too many. Asks the database."""
        start = max(after, until - REPLAY_MOST)
        tellings: list[Telling] = []
        first: int | None = None
        at = start
        while at < until:
            page = self._events.since(at, limit=min(_PAGE, until - at))
            if not page:
                break
            first = page[0].number if first is None else first
            at = page[-1].number
            tellings += [told(event) for event in page if event.number <= until]
        lost = (first or until + 1) - after - 1
        chosen = [each for each in tellings if wanted.takes(each.name, each.subject, each.tenant)]
        return _part([gap(lost), *chosen] if lost > 0 else chosen)

    # Inside.

    def _run(self, revision: int, number: int) -> None:
        beat = time.monotonic()
        wait = self._poll
        while not self._ended.wait(wait):
            try:
                jobs = self._jobs.changes(revision)
                events = self._events.since(number, limit=_PAGE)
                self._refresh(changed=bool(jobs))
            except DatabaseError as error:
                _log.warning("changes cannot be read", reason=error.message)
                wait = 1.0
                continue
            except Exception as error:  # noqa: BLE001 - without this thread nobody is told anything
                _log.error("changes cannot be read", exc_info=error)
                wait = 1.0
                continue
            wait = 0.0 if len(jobs) >= _PAGE or len(events) >= _PAGE else self._poll
            tellings = _tellings(jobs, events)
            if events and (lost := events[0].number - number - 1) > 0:
                tellings.insert(0, gap(lost))  # they were forgotten before we came
            revision = jobs[-1].revision if jobs else revision
            number = events[-1].number if events else number
            if jobs or events:
                self._watched(jobs, events)
                self._hand_out(tellings, number)
            if time.monotonic() - beat >= HEARTBEAT:
                beat = time.monotonic()
                self._hand_out([], number)

    def _watched(self, jobs: Sequence[Job], events: Sequence[Event]) -> None:
        for watcher in self._watchers:
            try:
                watcher(jobs, events)
            except Exception as error:  # noqa: BLE001 - followers must be told all the same
                _log.error("a watcher of changes failed", exc_info=error)

    def _refresh(self, *, changed: bool) -> None:
        """Keep the counts of all fresh, so that whoever asks for them never waits."""
        self._changed = self._changed or changed
        counted, _ = self._counts.get(None, (0.0, None))
        age = time.monotonic() - counted
        # Jobs that are forgotten do not count as changes.
        if (self._changed and age >= _COUNTS_AGE / 2) or age >= _RECOUNT / 2:
            self._changed = False
            self._count(None)

    def _count(self, tenant: str | None) -> Mapping[JobState, int]:
        counted = self._jobs.counts(tenant=tenant)
        self._counts[tenant] = (time.monotonic(), counted)
        return counted

    def _hand_out(self, tellings: Sequence[Telling], number: int) -> None:
        if self._loop is not None and not self._ended.is_set():
            with contextlib.suppress(RuntimeError):  # the loop closed meanwhile
                self._loop.call_soon_threadsafe(self._deliver, tellings, number)

    def _deliver(self, tellings: Sequence[Telling], number: int) -> None:
        self._told = number
        parts: dict[Wanted, Part] = {}
        for following in list(self._followers):
            part = parts.get(following.wanted)
            if part is None:
                part = parts[following.wanted] = _chosen(tellings, following.wanted)
            if part.tellings or not tellings:
                self._give(following, part)

    def _give(self, following: Following, part: Part) -> None:
        waiting = following.parts
        if waiting.qsize() < WAITING_MOST:
            waiting.put_nowait(part)
            return
        # Everything it has not read yet is lost to it; it comes back with the last it saw.
        waiting.put_nowait(_part([gap(None)]))
        waiting.put_nowait(None)
        self._followers.discard(following)

    def _let_all_go(self) -> None:
        for following in list(self._followers):
            with contextlib.suppress(asyncio.QueueFull):
                following.parts.put_nowait(None)
        self._followers.clear()


def told(event: Event) -> Telling:
    """An event as a message."""
    record = EventRecord(
        number=event.number,
        time=event.time,
        name=event.name,
        subject=event.subject,
        tenant=event.tenant,
        data=dict(event.data),
    )
    return Telling(event.name, event.subject, event.tenant, record.model_dump_json(), event.number)


def gap(lost: int | None) -> Telling:
    """Says that a follower does not get everything; ``lost``: how many events, if that is known."""
    number = "null" if lost is None else str(lost)
    return Telling(GAP, "", "", f'{{"name":"{GAP}","lost":{number}}}')


def _progress(job: Job) -> Telling:
    progress = job.progress
    record = EventRecord(
        time=job.updated,
        name=PROGRESS,
        subject=f"jobs/{job.id}",
        tenant=job.tenant,
        data={
            "kind": job.kind,
            "name": job.name,
            "state": job.state.value,
            "wish": job.wish.value,
            "phase": progress.phase,
            "subject": progress.subject,
            "done": progress.done,
            "total": progress.total,
            "percent": progress.percent,
            "rate": progress.rate,
            "eta": progress.eta,
            "revision": job.revision,
        },
    )
    return Telling(PROGRESS, record.subject, job.tenant, record.model_dump_json())


def _tellings(jobs: Iterable[Job], events: Iterable[Event]) -> list[Telling]:
    running = (job for job in jobs if job.state is JobState.RUNNING)
    return list(itertools.chain(map(told, events), map(_progress, running)))


def _chosen(tellings: Sequence[Telling], wanted: Wanted) -> Part:
    if not tellings:
        return Part()
    return _part([each for each in tellings if wanted.takes(each.name, each.subject, each.tenant)])


def _part(tellings: Sequence[Telling]) -> Part:
    return Part(tuple(tellings), b"".join(each.as_event for each in tellings))
