from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hypersdk.app.housekeeping import BreakerWatch, Housekeeping
from hypersdk.config.daemon.sections import RetentionSettings
from hypersdk.database.engine import Database
from hypersdk.database.events import EventLog
from hypersdk.drivers.wrappers.breaker import BreakerState, BreakerStatus
from hypersdk.estate.webhooks import WebhookStore
from hypersdk.model.errors import NotFound
from hypersdk.model.estate import HypervisorRecord


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def database(tmp_path: Path, clock: Clock) -> Iterator[Database]:
    opened = Database.open(f"sqlite:///{tmp_path}/d.db", clock=clock)
    yield opened
    opened.close()


def keeping(database: Database, forgotten: list[datetime], **days: int | None) -> Housekeeping:
    def forget(before: datetime) -> int:
        forgotten.append(before)
        return 1

    return Housekeeping(database, RetentionSettings(**days), forget)


def test_what_is_old_is_forgotten_and_the_rest_is_not(database: Database, clock: Clock) -> None:
    log = EventLog(database)
    log.tell("job.completed", "jobs/old")
    clock.now += timedelta(days=20)
    log.tell("job.completed", "jobs/new")
    clock.now += timedelta(days=20)
    forgotten: list[datetime] = []
    done = keeping(database, forgotten, jobs_days=5, events_days=30).forget()
    assert (done["jobs"], done["events"]) == (1, 1)
    assert forgotten == [clock.now - timedelta(days=5)]
    assert [each.subject for each in log.since(0)] == ["jobs/new"]


def test_nothing_is_forgotten_without_a_bound(database: Database, clock: Clock) -> None:
    EventLog(database).tell("job.completed", "jobs/old")
    store = WebhookStore(database)
    made, _ = store.create("https://93.184.216.34/")
    store.test(made.id)
    clock.now += timedelta(days=4000)
    forgotten: list[datetime] = []
    nothing = {"jobs_days": None, "events_days": None, "deliveries_days": None}
    keeping(database, forgotten, **nothing).forget()
    assert forgotten == []
    assert EventLog(database).last() > 0
    assert len(store.deliveries()) == 1


def test_one_of_several_does_it(database: Database) -> None:
    forgotten: list[datetime] = []
    first, second = keeping(database, forgotten), keeping(database, forgotten)
    first.turn()
    second.turn()
    assert len(forgotten) == 1
    first.stop()
    second.turn()
    assert len(forgotten) == 2
    second.stop()


def test_a_hypervisor_that_stops_answering_is_told_once_and_so_is_its_return(
    database: Database,
) -> None:
    now = datetime.now(UTC)
    known = [
        HypervisorRecord(name=name, url="mock:///x", tenant="red", created=now, updated=now)
        for name in ("lab", "gone")
    ]
    state = [BreakerState.CLOSED]

    def breaker(name: str) -> BreakerStatus:
        if name == "gone":
            raise NotFound("deleted meanwhile")
        return BreakerStatus(state=state[0])

    watch = BreakerWatch(EventLog(database), lambda: known, breaker)
    for each in (
        BreakerState.CLOSED, BreakerState.OPEN, BreakerState.OPEN, BreakerState.HALF_OPEN,
        BreakerState.OPEN, BreakerState.CLOSED, BreakerState.CLOSED,
    ):  # fmt: skip
        state[0] = each
        watch.turn()
    told = EventLog(database).since(0)
    assert [(each.name, each.subject, each.tenant) for each in told] == [
        ("hypervisor.unreachable", "hypervisors/lab", "red"),
        ("hypervisor.reachable", "hypervisors/lab", "red"),
    ]
