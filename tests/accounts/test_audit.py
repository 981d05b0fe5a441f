from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hypersdk.accounts.audit import AuditFilter, AuditLog, Head
from hypersdk.database.engine import Database
from hypersdk.database.tables import audit as table
from hypersdk.database.tables import counters
from hypersdk.model.accounts import LOCAL, Principal, Role
from tests.accounts.conftest import Clock

EVE = Principal("eve", Role.OPERATOR, "acme", token="1")


@pytest.fixture
def log(database: Database) -> AuditLog:
    return AuditLog(database)


def filled(log: AuditLog, number: int = 5) -> None:
    for at in range(number):
        log.record(EVE, "10.0.0.1", "schedule.update", f"schedules/{at}", after={"at": at})


def test_an_entry_is_as_it_was_written(log: AuditLog, clock: Clock) -> None:
    written = log.record(
        EVE,
        "10.0.0.1",
        "schedule.update",
        "schedules/nightly",
        before={"cron": "0 1 * * *"},
        after={"cron": "0 2 * * *", "half": 0.5, "names": ["ä", None, True]},
        request_id="r1",
    )
    (found,) = log.list()
    assert found == written
    assert (found.number, found.user, found.tenant, found.time) == (1, "eve", "acme", clock.moment)
    assert found.details == {"request_id": "r1"}
    assert log.verify() is None


def test_secrets_are_taken_out(log: AuditLog) -> None:
    entry = log.record(
        EVE,
        "",
        "hypervisor.create",
        "hypervisors/vsphere://user:hunter2222@vc",
        before={"password": "hunter2222"},
        after={"url": "vsphere://user:hunter2222@vc", "nested": [{"token": "hunter2222"}]},
        note="password=hunter2222",
    )
    assert "hunter2222" not in str(entry)
    assert "hunter2222" not in "".join(log.export())


def test_what_a_database_would_not_keep_is_kept(log: AuditLog) -> None:
    log.record(
        EVE,
        "",
        "a",
        "with\0 and \ud800",
        after={"\0": [math.inf, math.nan], "big": 1 << 70, "half": "\udfff"},
    )
    assert log.verify() is None
    (entry,) = log.list()
    assert entry.after is not None
    assert entry.after["big"] == 1 << 70
    assert entry.subject == "with\ufffd and ?"


def test_what_is_too_long_is_cut(log: AuditLog) -> None:
    entry = log.record(EVE, "", "a", "b", after={"text": "x" * 100_000})
    assert entry.after is not None
    assert list(entry.after) == ["cut"]


def change(connection: Connection) -> None:
    connection.execute(sa.update(table).where(table.c.number == 3).values(user="mallory"))


def change_json(connection: Connection) -> None:
    connection.execute(sa.update(table).where(table.c.number == 3).values(after={"at": 99}))


def remove(connection: Connection) -> None:
    connection.execute(sa.delete(table).where(table.c.number == 3))


def swap(connection: Connection) -> None:
    for old, new in ((3, -1), (4, 3), (-1, 4)):
        connection.execute(sa.update(table).where(table.c.number == old).values(number=new))


def remove_and_close_the_gap(connection: Connection) -> None:
    remove(connection)
    for old in (4, 5):
        connection.execute(sa.update(table).where(table.c.number == old).values(number=old - 1))


@pytest.mark.parametrize(
    "deed", [change, change_json, remove, swap, remove_and_close_the_gap], ids=lambda f: f.__name__
)
def test_what_was_done_to_it_is_found(
    log: AuditLog, database: Database, deed: Callable[[Connection], None]
) -> None:
    filled(log)
    assert log.verify() is None
    with database.write() as connection:
        deed(connection)
    assert log.verify() == 3


def test_an_end_that_was_cut_off_is_found(log: AuditLog, database: Database) -> None:
    filled(log)
    with database.write() as connection:
        connection.execute(sa.delete(table).where(table.c.number > 3))
    assert log.verify() == 4


def test_a_log_that_was_written_anew_does_not_lead_to_a_known_head(
    log: AuditLog, database: Database
) -> None:
    filled(log)
    head = log.head()
    assert head.number == 5
    filled(log)
    assert log.verify(head) is None
    with database.write() as connection:
        connection.execute(sa.delete(table))
        connection.execute(sa.delete(counters))
    filled(log, 3)
    assert log.verify() is None  # by itself it is consistent
    assert log.verify(head) == 4
    filled(log, 7)
    assert log.verify(head) is None or log.verify(Head(5, "0" * 64)) == 5


def test_an_export_can_be_checked_without_us(log: AuditLog) -> None:
    filled(log)
    digest = ""
    for line in log.export():
        entry = json.loads(line)
        expected = entry.pop("digest")
        canonical = json.dumps(entry, sort_keys=True, separators=(",", ":"))
        digest = hashlib.sha256((digest + canonical).encode()).hexdigest()
        assert digest == expected
    assert log.head().digest == digest


def test_filters(log: AuditLog, clock: Clock) -> None:
    log.record(EVE, "", "user.create", "users/a")
    clock.pass_by(hours=1)
    log.record(LOCAL, "", "user.delete", "users/b", outcome="refused")
    log.record(None, "", "job.cancel", "jobs/1")

    def numbers(wanted: AuditFilter) -> list[int]:
        return [entry.number for entry in log.list(wanted)]

    assert numbers(AuditFilter()) == [3, 2, 1]
    assert numbers(AuditFilter(user="eve")) == [1]
    assert numbers(AuditFilter(tenant="acme")) == [1]
    assert numbers(AuditFilter(tenant="")) == [3, 2]
    assert numbers(AuditFilter(action="user.*")) == [2, 1]
    assert numbers(AuditFilter(action="user.create")) == [1]
    assert numbers(AuditFilter(subject="users/")) == [2, 1]
    assert numbers(AuditFilter(outcome="refused")) == [2]
    assert numbers(AuditFilter(since=clock.moment)) == [3, 2]
    assert numbers(AuditFilter(until=clock.moment - timedelta(minutes=1))) == [1]
    assert numbers(AuditFilter(user="a\0")) == []


def test_pages(log: AuditLog) -> None:
    filled(log, 7)
    assert [entry.number for entry in log.list(limit=3)] == [7, 6, 5]
    assert [entry.number for entry in log.list(before=5, limit=10)] == [4, 3, 2, 1]


def test_a_long_log_is_read_in_pages(log: AuditLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hypersdk.accounts.audit.PAGE_MOST", 3)
    filled(log, 9)
    assert log.verify() is None
    assert [json.loads(line)["number"] for line in log.export()] == list(range(1, 10))


def crowd(database: Database) -> None:
    """Writers in many threads, each with a log of its own."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: filled(AuditLog(database), 5), range(8)))
    log = AuditLog(database)
    assert log.head().number == 40
    assert log.verify() is None


def test_entries_follow_each_other(database: Database) -> None:
    crowd(database)


def test_entries_follow_each_other_on_postgresql(postgres_url: str) -> None:
    database = Database.open(postgres_url)
    try:
        crowd(database)
        AuditLog(database).record(EVE, "", "a", "with\0 and \ud800", after={"\0": ["\udfff\0"]})
        assert AuditLog(database).verify() is None
    finally:
        database.close()
