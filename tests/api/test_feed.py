"""The feed by itself: who is told what, when, and what becomes of those who are slow."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from hypersdk.api import feed as feeds
from hypersdk.api.feed import Feed, Following, Part, Wanted
from hypersdk.database.engine import Database
from hypersdk.database.events import EventLog
from hypersdk.jobs.store import JobStore
from hypersdk.model.errors import DatabaseUnavailable
from hypersdk.model.estate import Event
from hypersdk.model.jobs import JobState, NewJob
from tests.api.serving import DEADLINE, until


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    found = Database.open(f"sqlite:///{tmp_path}/feed.db")
    yield found
    found.close()


@asynccontextmanager
async def started(database: Database) -> AsyncIterator[Feed]:
    feed = Feed(JobStore(database), EventLog(database), poll=0.01)
    feed.start(asyncio.get_running_loop())
    try:
        yield feed
    finally:
        feed.stop()


async def names(following: Following, number: int) -> list[str]:
    found: list[str] = []
    while len(found) < number:
        part = await asyncio.wait_for(following.next(), DEADLINE)
        assert part is not None
        found += [each.name for each in part.tellings]
    return found


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(work(), 2 * DEADLINE)

    asyncio.run(bounded())


def test_each_is_told_what_it_wants_and_may_see(database: Database) -> None:
    events = EventLog(database)

    async def work() -> None:
        async with started(database) as feed:
            everything = feed.follow(Wanted())
            starts = feed.follow(Wanted(names=frozenset({"vm.start*"})))
            red = feed.follow(Wanted(tenant="red"))
            one = feed.follow(Wanted(subjects=frozenset({"s/2"})))
            events.tell("vm.started", "s/1", "blue")
            events.tell("vm.stopped", "s/2", "red")
            assert await names(everything, 2) == ["vm.started", "vm.stopped"]
            assert await names(starts, 1) == ["vm.started"]
            assert await names(red, 1) == ["vm.stopped"]
            assert await names(one, 1) == ["vm.stopped"]

    run(work)


def test_those_who_want_the_same_share_one_message(database: Database) -> None:
    async def work() -> None:
        async with started(database) as feed:
            two = [feed.follow(Wanted()) for _ in range(2)]
            EventLog(database).tell("vm.started", "s/1")
            first, second = [await asyncio.wait_for(each.next(), DEADLINE) for each in two]
            assert first is second

    run(work)


def test_a_slow_one_is_let_go_with_a_gap(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "WAITING_MOST", 2)

    async def work() -> None:
        async with started(database) as feed:
            slow = feed.follow(Wanted())
            events = EventLog(database)
            while feed.followers:
                events.tell("vm.started", "s/1")
                await asyncio.sleep(0.02)
            parts: list[Part | None] = [await slow.next() for _ in range(4)]
            assert parts[-1] is None
            assert parts[-2] is not None
            assert json.loads(parts[-2].tellings[0].json) == {"name": "gap", "lost": None}

    run(work)


def test_what_one_knows_already_is_not_told_again(database: Database) -> None:
    async def work() -> None:
        async with started(database) as feed:
            events = EventLog(database)
            ahead = feed.follow(Wanted(), known=2)
            for name in ("vm.started", "vm.paused", "vm.stopped"):
                events.tell(name, "s/1")
            assert await names(ahead, 1) == ["vm.stopped"]

    run(work)


def test_what_was_missed_is_told_up_to_where_following_began(database: Database) -> None:
    events = EventLog(database)
    for number in range(5):
        events.tell("vm.started", f"s/{number}")
    feed = Feed(JobStore(database), events)
    part = feed.missed(Wanted(), 1, 4)
    assert [each.subject for each in part.tellings] == ["s/1", "s/2", "s/3"]
    assert feed.missed(Wanted(names=frozenset({"job.*"})), 1, 4).tellings == ()


def test_too_much_that_was_missed_is_a_gap(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "REPLAY_MOST", 2)
    events = EventLog(database)
    for number in range(5):
        events.tell("vm.started", f"s/{number}")
    part = Feed(JobStore(database), events).missed(Wanted(), 0, 5)
    assert [each.name for each in part.tellings] == ["gap", "vm.started", "vm.started"]
    assert json.loads(part.tellings[0].json)["lost"] == 3


def test_counts_follow_the_jobs(database: Database) -> None:
    jobs = JobStore(database)

    async def work() -> None:
        async with started(database) as feed:
            assert feed.counts()[JobState.PENDING] == 0
            jobs.submit([NewJob(kind="gc", request={}, tenant="red")])
            end = asyncio.get_running_loop().time() + DEADLINE
            while feed.counts()[JobState.PENDING] != 1:
                assert asyncio.get_running_loop().time() < end
                await asyncio.sleep(0.01)
            assert feed.counts("red")[JobState.PENDING] == 1
            assert feed.counts("blue")[JobState.PENDING] == 0

    run(work)


class _Away(EventLog):
    """A database that goes away and comes back."""

    away = False

    def since(self, number: int, *, limit: int = 1000) -> tuple[Event, ...]:
        if self.away:
            raise DatabaseUnavailable("gone", hint="wait")
        return super().since(number, limit=limit)


def test_it_goes_on_when_the_database_is_back(database: Database) -> None:
    events = _Away(database)

    async def work() -> None:
        feed = Feed(JobStore(database), events, poll=0.01)
        feed.start(asyncio.get_running_loop())
        following = feed.follow(Wanted())
        events.away = True
        events.tell("vm.started", "s/1")
        await asyncio.sleep(0.1)
        assert following.parts.empty()
        events.away = False
        assert await names(following, 1) == ["vm.started"]
        feed.stop()
        assert await asyncio.wait_for(following.next(), DEADLINE) is None

    run(work)


def test_a_watcher_that_fails_stops_nobody(database: Database) -> None:
    seen: list[str] = []

    async def work() -> None:
        async with started(database) as feed:

            def failing(_: object, __: object) -> None:
                raise RuntimeError("out of order")

            feed.watch(failing)
            feed.watch(lambda _, events: seen.extend(each.name for each in events))
            following = feed.follow(Wanted())
            EventLog(database).tell("vm.started", "s/1")
            assert await names(following, 1) == ["vm.started"]

    run(work)
    until(lambda: seen == ["vm.started"], "the other watcher")
