"""How the running jobs of all workers share what a resource lets through."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping

import sqlalchemy as sa

from hypersdk.database.engine import Database
from hypersdk.database.tables import job_resources
from hypersdk.jobs.budgets import Budgets
from hypersdk.model.errors import DatabaseError


class Shares:
    """Of one worker, for all its runs. Safe in threads; asks the database once per ``seconds``."""

    def __init__(
        self,
        database: Database,
        budgets: Budgets,
        *,
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._budgets = budgets
        self._seconds = seconds
        self._clock = clock
        self._one = threading.Lock()
        self._looked = float("-inf")
        self._holders: Mapping[str, int] = {}

    def of(self, resources: Iterable[str]) -> int | None:
        """Bytes per second for one of the jobs that hold them; None: no bound."""
        shares = [
            max(1, bound // max(1, self._running(name)))
            for name in set(resources)
            if (bound := self._budgets.limit(name).bandwidth) is not None
        ]
        return min(shares, default=None)

    def _running(self, resource: str) -> int:
        with self._one:
            if self._clock() - self._looked >= self._seconds:
                # A database that does not answer leaves what was known: work need not stop.
                self._holders = self._ask() or self._holders
                self._looked = self._clock()
            return self._holders.get(resource, 0)

    def _ask(self) -> Mapping[str, int] | None:
        query = sa.select(job_resources.c.resource, sa.func.count()).group_by(
            job_resources.c.resource
        )
        try:
            with self._database.read() as connection:
                return {row.resource: int(row[1]) for row in connection.execute(query)}
        except DatabaseError:
            return None
