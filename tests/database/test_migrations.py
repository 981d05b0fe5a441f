from __future__ import annotations

import threading

import pytest
import sqlalchemy as sa

from hypersdk.database import migrations
from hypersdk.database.engine import Database
from hypersdk.database.tables import meta, metadata
from hypersdk.model.errors import DatabaseError


def test_a_new_database_has_all_tables(database: Database) -> None:
    found = sa.inspect(database.engine)
    assert set(metadata.tables) <= set(found.get_table_names())
    for name, table in metadata.tables.items():
        columns = {column["name"] for column in found.get_columns(name)}
        assert columns == set(table.columns.keys()), name


def test_opened_again_nothing_changes(database: Database, url: str) -> None:
    with database.write() as connection:
        connection.execute(sa.insert(meta).values(name="mine", value="kept"))
    again = Database.open(url)
    with again.read() as connection:
        rows = connection.execute(sa.select(meta.c.name, meta.c.value)).all()
    assert sorted(tuple(row) for row in rows) == [
        ("mine", "kept"), ("schema", str(len(migrations.STEPS))),
    ]  # fmt: skip
    again.close()


def test_many_processes_may_open_a_new_one(url: str) -> None:
    errors: list[BaseException] = []

    def open_it() -> None:
        try:
            Database.open(url).close()
        except BaseException as error:  # noqa: BLE001 - shown below
            errors.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_one_of_a_later_version_is_left_alone(database: Database, url: str) -> None:
    with database.write() as connection:
        connection.execute(sa.update(meta).where(meta.c.name == "schema").values(value="99"))
    with pytest.raises(DatabaseError, match="version 99") as caught:
        Database.open(url)
    assert "later version" in caught.value.hint
