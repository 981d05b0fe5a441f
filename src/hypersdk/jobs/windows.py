"""Which schedules may not run anything now."""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa

from hypersdk.database.engine import Database
from hypersdk.database.tables import schedules
from hypersdk.jobs.calendar import inside
from hypersdk.jobs.schedulerows import windows_of


class Windows:
    """Safe in threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def closed(self, ids: Collection[str] | None = None) -> frozenset[str]:
        """Those of the schedules (None: of all) that have windows, none of which is open. One
        that was deleted is not closed."""
        query = sa.select(schedules.c.id, schedules.c.definition)
        if ids is not None:
            query = query.where(schedules.c.id.in_(list(ids)))
        now = self._database.now()
        with self._database.read() as connection:
            return frozenset(
                row.id
                for row in connection.execute(query)
                if row.definition["windows"] and not inside(windows_of(row.definition), now)
            )
