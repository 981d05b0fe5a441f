"""Events, written in the transaction of what they tell of: none is lost, none tells of nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hypersdk.database.engine import Database
from hypersdk.database.moments import from_number, to_number
from hypersdk.database.tables import events
from hypersdk.model.estate import Event
from hypersdk.observe.redact import redact

#: Name, subject, tenant, data.
Happening = tuple[str, str, str, Mapping[str, Any]]


def tell(database: Database, connection: Connection, happened: Sequence[Happening]) -> None:
    """In a write: note what it does."""
    if not happened:
        return
    first = database.next_numbers(connection, "events.number", len(happened))
    now = to_number(database.now())
    connection.execute(
        sa.insert(events),
        [
            {
                "number": first + at,
                "time": now,
                "name": name,
                "subject": subject,
                "tenant": tenant,
                "data": redact(dict(data)),
            }
            for at, (name, subject, tenant, data) in enumerate(happened)
        ],
    )


class EventLog:
    """Events for those who follow them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def tell(self, name: str, subject: str, tenant: str = "", **data: Any) -> None:
        """Note something that is no part of a write."""
        with self._database.write() as connection:
            tell(self._database, connection, [(name, subject, tenant, data)])

    def since(self, number: int, *, limit: int = 1000) -> tuple[Event, ...]:
        """Those after ``number``, in their order."""
        query = (
            sa.select(events).where(events.c.number > number).order_by(events.c.number).limit(limit)
        )
        with self._database.read() as connection:
            return tuple(
                Event(
                    number=row.number,
                    time=from_number(row.time),
                    name=row.name,
                    subject=row.subject,
                    tenant=row.tenant,
                    data=row.data or {},
                )
                for row in connection.execute(query)
            )

    def before(self, moment: datetime) -> int:
        """Number of the newest of before a moment; 0 when there is none."""
        query = sa.select(sa.func.max(events.c.number)).where(events.c.time < to_number(moment))
        with self._database.read() as connection:
            return int(connection.execute(query).scalar() or 0)

    def last(self) -> int:
        """Number of the newest; 0 when there is none."""
        with self._database.read() as connection:
            return int(connection.execute(sa.select(sa.func.max(events.c.number))).scalar() or 0)

    def forget(self, before: datetime) -> int:
        """Delete those before a moment; gives how many."""
        with self._database.write() as connection:
            done = connection.execute(sa.delete(events).where(events.c.time < to_number(before)))
            return int(done.rowcount)
