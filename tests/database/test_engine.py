from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from hypersdk.database.engine import Database, unique
from hypersdk.database.tables import counters, meta
from hypersdk.model.errors import (
    DatabaseError,
    DatabaseUnavailable,
    InvalidInput,
)


def put(database: Database, name: str, value: str = "") -> None:
    with database.write() as connection:
        connection.execute(sa.insert(meta).values(name=name, value=value))


def names(database: Database) -> set[str]:
    with database.read() as connection:
        return set(connection.execute(sa.select(meta.c.name)).scalars())


@pytest.mark.parametrize(
    "url",
    ["", "nonsense", "mysql://host/db", "sqlite://", "sqlite:///:memory:"],
)
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Database.open(url)
    assert "sqlite:///" in caught.value.hint


def test_a_write_is_whole_or_not_at_all(database: Database) -> None:
    put(database, "a")

    def write() -> None:
        with database.write() as connection:
            connection.execute(sa.insert(meta).values(name="b", value=""))
            raise KeyError

    with pytest.raises(KeyError):
        write()
    assert names(database) == {"schema", "a"}


def test_a_row_that_exists_is_told_apart_from_other_errors(database: Database) -> None:
    put(database, "a")
    with pytest.raises(DatabaseError) as caught:
        put(database, "a")
    assert unique(caught.value)
    with pytest.raises(DatabaseError) as caught, database.read() as connection:
        connection.execute(sa.text("SELECT nothing FROM nowhere"))
    assert not unique(caught.value)


def test_numbers_are_taken_once_by_many(database: Database) -> None:
    taken: list[int] = []

    def take() -> None:
        for _ in range(10):
            with database.write() as connection:
                first = database.next_numbers(connection, "test", 3)
            taken.extend((first, first + 1, first + 2))

    with database.write() as connection:
        assert database.next_numbers(connection, "test") == 1
    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(2, 122))


def test_a_lock_has_one_holder(database: Database) -> None:
    lock = database.lock("a")
    assert lock is not None
    assert lock.held()
    assert database.lock("a") is None
    other = database.lock("b")
    assert other is not None
    lock.release()
    lock.release()
    again = database.lock("a")
    assert again is not None
    assert again.held()
    assert not lock.held()
    again.release()
    other.release()


_HOLD = """
import sys
from hypersdk.database.engine import Database
lock = Database.open(sys.argv[1]).lock("a")
print(lock is not None, flush=True)
sys.stdin.read()
"""


def test_a_lock_goes_with_its_killed_process(database: Database, url: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, url],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        assert database.lock("a") is None
        process.kill()
    for _ in range(1000):
        lock = database.lock("a")
        if lock is not None:
            lock.release()
            return
        threading.Event().wait(0.01)
    raise AssertionError("the lock stays")


def test_the_lock_of_a_session_that_ended_is_lost(postgres_url: str) -> None:
    database = Database.open(postgres_url)
    lock = database.lock("a")
    assert lock is not None
    with database.write() as connection:
        connection.execute(
            sa.text(
                "SELECT pg_terminate_backend(l.pid) FROM pg_locks l JOIN pg_database d"
                " ON d.oid = l.database WHERE locktype = 'advisory'"
                " AND d.datname = current_database()"
            )
        )
    assert not lock.held()
    lock.release()
    again = database.lock("a")
    assert again is not None
    again.release()
    database.close()


def test_only_its_owner_reads_the_file(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "lab.db"
    Database.open(f"sqlite:///{path}").close()
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0


def test_a_place_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DatabaseUnavailable) as caught:
        Database.open(f"sqlite:///{tmp_path}/file/lab.db")
    assert "--database" in caught.value.hint


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "lab.db").write_bytes(b"no database at all" * 1000)
    with pytest.raises(DatabaseError, match="not a database"):
        Database.open(f"sqlite:///{tmp_path}/lab.db")


def test_a_server_that_does_not_answer_is_told_without_the_password() -> None:
    with pytest.raises(DatabaseUnavailable) as caught:
        Database.open("postgresql://ann:hunter2@127.0.0.1:1/lab")
    assert "hunter2" not in str(caught.value)
    assert caught.value.retryable


@pytest.mark.parametrize("value", ["half a pair: \ud800", 1 << 70])
def test_values_that_it_cannot_hold_are_the_callers_fault(
    database: Database, value: str | int
) -> None:
    column = meta.c.value if isinstance(value, str) else counters.c.value

    def write() -> None:
        with database.write() as connection:
            connection.execute(sa.insert(column.table).values(name="a", value=value))

    with pytest.raises(InvalidInput, match=r"cannot hold|too large"):
        write()


def test_a_text_with_a_zero_is_the_callers_fault(postgres_url: str) -> None:
    database = Database.open(postgres_url)
    with pytest.raises(InvalidInput, match="cannot hold"):
        put(database, "a\0b")
    database.close()
