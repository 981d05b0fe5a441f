"""Leases: alive, dead, lost, and by whose clock."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from hypersdk.model.errors import Conflict, LeaseLost, StoreDenied, StoreUnavailable
from hypersdk.repository.ciphers import checksum_cipher
from hypersdk.repository.format import Context, Protection
from hypersdk.repository.layout import LEASES
from hypersdk.repository.leases import (
    COLLECT,
    DEAD_AFTER,
    SKEW,
    VALID,
    WRITE,
    Lease,
    bury_lease,
    exclusive,
    read_leases,
)
from hypersdk.repository.store.faults import FaultStore
from hypersdk.repository.store.memory import MemoryStore
from tests.repository.examples import Clock, keys_below
from tests.repository.lab import Meanwhile

CONTEXT = Context(bytes(16), checksum_cipher(), Protection.NONE)
SECOND = timedelta(seconds=1)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> FaultStore:
    return FaultStore(MemoryStore(clock=clock))


@pytest.fixture
def lease(store: FaultStore) -> Iterator[Lease]:
    lease = Lease(store, CONTEXT, WRITE)
    lease.begin()
    yield lease
    lease.abandon()


def test_a_lease_is_a_row_of_objects(store: FaultStore, lease: Lease, clock: Clock) -> None:
    began = clock.now
    clock.pass_(minutes=5)
    assert lease.renew() == clock.now
    (info,) = read_leases(store)
    assert (info.session, info.purpose) == (lease.session, WRITE)
    assert (info.started, info.renewed) == (began, clock.now)
    lease.release()
    assert keys_below(store, LEASES) == []


def test_it_dies_of_age_by_the_clock_of_the_storage(
    store: FaultStore, lease: Lease, clock: Clock
) -> None:
    (info,) = read_leases(store)
    assert info.alive(clock.now + DEAD_AFTER - SECOND)
    assert not info.alive(clock.now + DEAD_AFTER)


@pytest.mark.parametrize(
    ("leap", "lapsed"),
    [(VALID, False), (VALID + SECOND, True), (-SKEW, False), (-SKEW - SECOND, True)],
)
def test_an_absence_is_noticed(lease: Lease, clock: Clock, leap: timedelta, lapsed: bool) -> None:
    """Also when the storage's clock was set back: others then took this writer for a later one."""
    clock.now += leap
    lease.renew()
    assert lease.lapsed is lapsed
    clock.pass_(minutes=5)
    lease.renew()
    assert lease.lapsed is lapsed  # a later renewal does not make it undone


def test_what_was_written_after_an_absence_is_not_covered(lease: Lease, clock: Clock) -> None:
    assert lease.covers(clock.now + VALID)
    assert not lease.covers(clock.now + VALID + SECOND)
    assert lease.lapsed
    with pytest.raises(LeaseLost, match="nothing was committed"):
        lease.require()


def test_a_storage_that_was_away_is_an_absence(
    store: FaultStore, lease: Lease, clock: Clock
) -> None:
    store.fail("put_if_absent", StoreUnavailable("away"), times=2)
    for _ in range(2):
        clock.pass_(minutes=20)
        with pytest.raises(StoreUnavailable):
            lease.renew()
    lease.renew()
    assert lease.lapsed


def test_a_lost_answer_is_no_loss(store: FaultStore, lease: Lease, clock: Clock) -> None:
    store.fail("put_if_absent", StoreUnavailable("no answer"), after=True)
    clock.pass_(minutes=5)
    with pytest.raises(StoreUnavailable):
        lease.renew()
    clock.pass_(minutes=5)
    lease.renew()
    assert not lease.lapsed
    lease.release()
    assert keys_below(store, LEASES) == []


def test_who_comes_back_is_not_buried(store: FaultStore, lease: Lease, clock: Clock) -> None:
    clock.pass_(hours=7)
    (dead,) = read_leases(store)
    lease.renew()
    bury_lease(store, dead)
    (info,) = read_leases(store)
    assert info.alive(clock.now)


def test_who_was_buried_between_two_calls_begins_anew(
    store: FaultStore, lease: Lease, clock: Clock
) -> None:
    """The object of a renewal is gone before its time was asked for."""

    def sleep() -> None:
        clock.pass_(hours=7)
        for info in read_leases(store):
            bury_lease(store, info)

    slow = Lease(Meanwhile(store, 2, sleep), CONTEXT, WRITE)
    slow.begin()
    assert slow.lapsed
    assert [info.session for info in read_leases(store)] == [slow.session]
    slow.release()


def test_a_host_that_may_not_delete_leaves_its_lease(store: FaultStore, lease: Lease) -> None:
    store.fail("delete", StoreDenied("append only"), times=None)
    lease.release()
    assert len(read_leases(store)) == 1


def test_two_collectors_that_see_each_other_stop(store: FaultStore, clock: Clock) -> None:
    with exclusive(store, Lease(store, CONTEXT, COLLECT)):
        with (
            pytest.raises(Conflict, match="another garbage collection") as caught,
            exclusive(store, Lease(store, CONTEXT, COLLECT)),
        ):
            pytest.fail("two collectors at once")
        assert "six hours" in caught.value.hint
        assert len(read_leases(store)) == 1
    assert read_leases(store) == []


def test_a_dead_collector_stops_nobody(store: FaultStore, clock: Clock) -> None:
    dead = Lease(store, CONTEXT, COLLECT)
    dead.begin()
    dead.abandon()
    clock.now += DEAD_AFTER
    with exclusive(store, Lease(store, CONTEXT, COLLECT)):
        pass


def test_a_writer_does_not_stop_a_collector(store: FaultStore, lease: Lease) -> None:
    with exclusive(store, Lease(store, CONTEXT, COLLECT)):
        pass
