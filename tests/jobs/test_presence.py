from __future__ import annotations

from dataclasses import replace

import pytest

from hypersdk.database.engine import SessionLock
from hypersdk.jobs.pace import USUAL
from hypersdk.jobs.presence import Obituaries, Presence
from hypersdk.model.errors import Conflict, DatabaseUnavailable
from tests.jobs.lab import QUICK, Lab


class FakeLock:
    def __init__(self) -> None:
        self.ours = True
        self.released = False

    def held(self) -> bool:
        return self.ours

    def release(self) -> None:
        self.released = True


class FakeDatabase:
    """As PostgreSQL answers about locks."""

    sqlite = False
    place = "fake"

    def __init__(self) -> None:
        self.gives: list[FakeLock | None] = []
        self.away = False

    def lock(self, name: str) -> SessionLock | None:
        if self.away:
            raise DatabaseUnavailable("away")
        return self.gives.pop(0) if self.gives else None


class Seconds:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def presence(database: FakeDatabase, seconds: Seconds) -> Presence:
    return Presence(database, "one", replace(USUAL, patience=0.0), seconds)  # type: ignore[arg-type]


def test_work_stops_in_time_when_the_database_does_not_answer() -> None:
    database, seconds = FakeDatabase(), Seconds()
    database.gives = [FakeLock()]
    one = presence(database, seconds)
    one.take()
    assert (one.held, one.safe) == (True, True)
    seconds.now += USUAL.lost - 0.1
    assert (one.held, one.safe) == (True, True)
    seconds.now += 0.2
    assert (one.held, one.safe) == (False, False)
    assert one.confirm()
    assert (one.held, one.safe) == (True, True)
    # Two seconds for work to stop, and some for a slow machine.
    assert USUAL.lost + USUAL.wishes + 2 < USUAL.takeover


def test_a_lost_lock_holds_up_new_work_at_once_and_running_work_later() -> None:
    database, seconds = FakeDatabase(), Seconds()
    lock, later = FakeLock(), FakeLock()
    database.gives = [lock]
    one = presence(database, seconds)
    one.take()
    lock.ours = False
    database.away = True
    with pytest.raises(DatabaseUnavailable):
        one.confirm()
    assert (one.held, one.safe) == (False, True)
    seconds.now += USUAL.lost
    assert (one.held, one.safe) == (False, False)
    database.away = False
    assert not one.confirm()  # somebody else has it
    database.gives = [later]
    assert one.confirm()
    assert (one.held, one.safe) == (True, True)
    one.release()
    assert (later.released, one.held) == (True, False)


def test_who_keeps_the_lock_is_told_with_what_to_do() -> None:
    with pytest.raises(Conflict, match="called one runs on fake") as caught:
        presence(FakeDatabase(), Seconds()).take()
    assert "--id" in caught.value.hint


def test_a_file_is_not_lost(lab: Lab) -> None:
    one = Presence(lab.database, "one", replace(QUICK, lost=-1.0))
    one.take()
    assert (one.held, one.safe) == (True, True)
    one.release()
    assert (one.held, one.safe) == (False, True)


def test_dead_is_whose_lock_is_free_for_long(both: Lab) -> None:
    seconds = Seconds()
    dead = Obituaries(both.database, 10.0, seconds).dead
    lock = both.database.lock("worker.w1")
    assert lock is not None
    assert dead("w1") is None
    lock.release()
    assert dead("w1") is None
    seconds.now += 9
    assert dead("w1") is None
    seconds.now += 1
    kept = dead("w1")
    assert kept is not None
    assert both.database.lock("worker.w1") is None, "it cannot come back meanwhile"
    kept.release()


def test_who_comes_back_is_not_dead(both: Lab) -> None:
    seconds = Seconds()
    dead = Obituaries(both.database, 10.0, seconds).dead
    assert dead("w1") is None
    lock = both.database.lock("worker.w1")
    assert lock is not None
    seconds.now += 20
    assert dead("w1") is None
    lock.release()
    assert dead("w1") is None  # counts from here
    seconds.now += 9
    assert dead("w1") is None
