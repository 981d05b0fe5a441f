"""What a tenant uses, and that it does not use more than it may.

Jobs that run are counted in the database. Instances and bytes are what was measured last
(`Quotas.measured`: by an inventory, after garbage was collected, every hour) and what was added
since (`Quotas.grew`), so a quota is exceeded at most by what begins between two looks.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hypersdk.accounts.names import missing
from hypersdk.database.engine import Database
from hypersdk.database.tables import counters, jobs, tenants
from hypersdk.model.accounts import Quota
from hypersdk.model.errors import NotFound, QuotaExceeded

#: Rows of ``counters`` that hold amounts.
_INSTANCES = "usage.instances:"
_BYTES = "usage.bytes:"


@dataclass(frozen=True, slots=True)
class Usage:
    """What a tenant uses now."""

    instances: int = 0
    #: Bytes kept in repositories.
    bytes: int = 0
    #: Jobs that run.
    jobs: int = 0


def check(tenant: str, quota: Quota, used: Usage, more: Usage) -> None:
    """Raise QuotaExceeded when ``more`` does not fit. A tenant that is over its quota already may
    go on with what adds nothing."""
    for word in ("instances", "bytes", "jobs"):
        most, now, asked = getattr(quota, word), getattr(used, word), getattr(more, word)
        if most is not None and asked > 0 and now + asked > most:
            raise QuotaExceeded(
                f"the tenant {tenant} has {now} of {most} {word}, and {asked} more were asked for",
                hint="Delete what is not needed, or ask an administrator for a greater quota.",
            )


class Quotas:
    """Safe in threads. The tenant "" has no quota. Methods raise NotFound, DatabaseUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def used(self, tenant: str) -> Usage:
        with self._database.read() as connection:
            return _used(connection, tenant)

    def check(self, tenant: str, *, instances: int = 0, bytes: int = 0) -> None:
        """Before something is made for it. Raises QuotaExceeded."""
        if not tenant:
            return
        with self._database.read() as connection:
            quota, used = _quota(connection, tenant), _used(connection, tenant)
        check(tenant, quota, used, Usage(instances=instances, bytes=bytes))

    def check_bytes(self, tenant: str) -> None:
        """Before more is stored in a repository of it; how much, nobody knows yet. A tenant that
        only the settings name has no quota. Raises QuotaExceeded when it used up what it may."""
        with contextlib.suppress(NotFound):
            self.check(tenant, bytes=1)

    def grew(self, tenant: str, *, instances: int = 0, bytes: int = 0) -> None:
        """Something was made for it, or deleted: negative."""
        self._note(tenant, {_INSTANCES: instances, _BYTES: bytes}, add=True)

    def measured(
        self, tenant: str, *, instances: int | None = None, bytes: int | None = None
    ) -> None:
        """So much there is."""
        found = {_INSTANCES: instances, _BYTES: bytes}
        self._note(tenant, {key: value for key, value in found.items() if value is not None})

    def _note(self, tenant: str, amounts: dict[str, int], *, add: bool = False) -> None:
        if not tenant:
            return
        with self._database.write() as connection:
            self._database.lock_for_now(connection, f"usage:{tenant}")
            for key, amount in amounts.items():
                if add and amount == 0:
                    continue
                name = key + tenant
                grown = counters.c.value + amount
                value = sa.case((grown < 0, 0), else_=grown) if add else amount
                changed = connection.execute(
                    sa.update(counters).where(counters.c.name == name).values(value=value)
                )
                if changed.rowcount == 0:
                    connection.execute(sa.insert(counters).values(name=name, value=max(0, amount)))


def _quota(connection: Connection, tenant: str) -> Quota:
    stored = connection.execute(
        sa.select(tenants.c.quota).where(tenants.c.name == tenant)
    ).scalar_one_or_none()
    if stored is None:
        raise missing("tenant", tenant, connection.execute(sa.select(tenants.c.name)).scalars())
    return Quota(**stored)


def _used(connection: Connection, tenant: str) -> Usage:
    amounts = {
        row.name: row.value
        for row in connection.execute(
            sa.select(counters).where(counters.c.name.in_([_INSTANCES + tenant, _BYTES + tenant]))
        )
    }
    running = connection.execute(
        sa.select(sa.func.count())
        .select_from(jobs)
        .where(jobs.c.tenant == tenant, jobs.c.state == "running")
    ).scalar_one()
    return Usage(
        instances=max(0, amounts.get(_INSTANCES + tenant, 0)),
        bytes=max(0, amounts.get(_BYTES + tenant, 0)),
        jobs=running,
    )
