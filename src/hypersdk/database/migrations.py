"""Steps that bring a database up to date, each once and in order, in one transaction."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hypersdk.database.tables import meta, metadata
from hypersdk.model.errors import DatabaseError


def _first(connection: Connection) -> None:
    metadata.create_all(connection)


#: Step N makes version N + 1. Never changed once released.
STEPS: tuple[Callable[[Connection], None], ...] = (_first,)


def apply(connection: Connection) -> None:
    """Raises DatabaseError when a later version wrote the database."""
    version = _version(connection)
    if version > len(STEPS):
        raise DatabaseError(
            f"the database has version {version}, and this program knows {len(STEPS)}",
            hint="A later version of hypersdk wrote it: run that one.",
        )
    if version == len(STEPS):
        return
    for step in STEPS[version:]:
        step(connection)
    connection.execute(sa.delete(meta).where(meta.c.name == "schema"))
    connection.execute(sa.insert(meta).values(name="schema", value=str(len(STEPS))))


def _version(connection: Connection) -> int:
    if not sa.inspect(connection).has_table(meta.name):
        return 0
    found = connection.execute(
        sa.select(meta.c.value).where(meta.c.name == "schema")
    ).scalar_one_or_none()
    return int(found or 0)
