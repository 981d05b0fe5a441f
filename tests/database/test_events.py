from __future__ import annotations

from datetime import timedelta

import pytest

from hypersdk.database.engine import Database
from hypersdk.database.events import EventLog, tell


def test_events_are_followed_by_number(database: Database) -> None:
    log = EventLog(database)
    assert (log.last(), log.since(0)) == (0, ())
    log.tell("vm.started", "instances/web-1", "blue", host="esx1")
    with database.write() as connection:
        tell(database, connection, [("a.b", "x", "", {}), ("c.d", "y", "", {"n": 1})])
        tell(database, connection, [])
    assert [(e.number, e.name) for e in log.since(0)] == [(1, "vm.started"), (2, "a.b"), (3, "c.d")]
    assert [e.number for e in log.since(1, limit=1)] == [2]
    first = log.since(0)[0]
    assert (first.subject, first.tenant, first.data) == (
        "instances/web-1",
        "blue",
        {"host": "esx1"},
    )
    assert log.last() == 3


def test_what_is_undone_told_nothing(database: Database) -> None:
    def write() -> None:
        with database.write() as connection:
            tell(database, connection, [("a.b", "x", "", {})])
            raise KeyError

    with pytest.raises(KeyError):
        write()
    assert EventLog(database).since(0) == ()


def test_secrets_are_taken_out(database: Database) -> None:
    log = EventLog(database)
    log.tell("a.b", "x", password="hunter2", error="https://ann:hunter2@host/")
    assert "hunter2" not in repr(log.since(0))


def test_old_ones_are_forgotten_and_numbers_go_on(database: Database) -> None:
    log = EventLog(database)
    log.tell("a.b", "x")
    assert log.forget(database.now() - timedelta(hours=1)) == 0
    assert log.forget(database.now() + timedelta(hours=1)) == 1
    log.tell("a.b", "x")
    assert log.since(0)[0].number == 2
