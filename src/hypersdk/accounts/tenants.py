"""Tenants: names under which things are kept apart, each with what it may use."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from hypersdk.accounts.names import check_name, missing, possible
from hypersdk.database.engine import Database, unique
from hypersdk.database.moments import from_number, to_number
from hypersdk.database.tables import (
    hypervisors,
    repositories,
    schedules,
    tenants,
    users,
    webhooks,
)
from hypersdk.model.accounts import Quota, Tenant
from hypersdk.model.errors import (
    AlreadyExists,
    Conflict,
    DatabaseError,
    InvalidInput,
    PreconditionFailed,
)

#: Tenants of one list: a page of the API, and one more to see whether there are more.
PAGE_MOST = 1001
#: What keeps a tenant from being deleted: nobody would see these any more.
_OWNED = {
    "users": users,
    "hypervisors": hypervisors,
    "repositories": repositories,
    "schedules": schedules,
    "webhooks": webhooks,
}


class TenantStore:
    """Safe in threads. Methods raise NotFound with the nearest name, InvalidInput,
    DatabaseUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, name: str, *, description: str = "", quota: Quota | None = None) -> Tenant:
        """Raises AlreadyExists."""
        check_name("tenant", name)
        tenant = Tenant(
            name=name,
            description=description,
            quota=_checked(quota or Quota()),
            created=self._database.now(),
            revision=1,
        )
        try:
            with self._database.write() as connection:
                connection.execute(sa.insert(tenants).values(**_row(tenant)))
        except DatabaseError as error:
            if not unique(error):
                raise
            raise AlreadyExists(
                f"there is a tenant {name} already", hint="Change it, or take another name."
            ) from None
        return tenant

    def get(self, name: str) -> Tenant:
        with self._database.read() as connection:
            return _tenant(_found(connection, name))

    def list(self, *, limit: int = PAGE_MOST, after: str = "") -> tuple[Tenant, ...]:
        """By name, those after the name ``after``."""
        query = sa.select(tenants).where(tenants.c.name > after).order_by(tenants.c.name)
        with self._database.read() as connection:
            rows = connection.execute(query.limit(max(1, min(limit, PAGE_MOST))))
            return tuple(_tenant(row) for row in rows)

    def change(
        self,
        name: str,
        *,
        description: str | None = None,
        quota: Quota | None = None,
        revision: int | None = None,
    ) -> Tenant:
        """Change what is given. Raises PreconditionFailed when it is not at ``revision`` any
        more."""
        with self._database.write() as connection:
            self._database.lock_for_now(connection, "tenants")
            old = _tenant(_found(connection, name, revision))
            new = replace(
                old,
                description=old.description if description is None else description,
                quota=old.quota if quota is None else _checked(quota),
                revision=old.revision + 1,
            )
            connection.execute(sa.update(tenants).where(tenants.c.name == name).values(**_row(new)))
        return new

    def delete(self, name: str, *, revision: int | None = None) -> None:
        """Raises Conflict while users or things belong to it, PreconditionFailed."""
        with self._database.write() as connection:
            self._database.lock_for_now(connection, "tenants")
            _found(connection, name, revision)
            for word, table in _OWNED.items():
                owned = connection.execute(
                    sa.select(sa.func.count()).where(table.c.tenant == name)
                ).scalar_one()
                if owned:
                    raise Conflict(
                        f"the tenant {name} has {owned} {word}",
                        hint="Delete them, or give them to another tenant, first.",
                    )
            connection.execute(sa.delete(tenants).where(tenants.c.name == name))


def _checked(quota: Quota) -> Quota:
    for word, most in asdict(quota).items():
        if most is not None and most < 0:
            raise InvalidInput(
                f"a quota of {most} {word} is less than nothing", hint="Give 0 or more, or null."
            )
    return quota


def _found(connection: Connection, name: str, revision: int | None = None) -> Row[Any]:
    row = None
    if possible("tenant", name):
        row = connection.execute(sa.select(tenants).where(tenants.c.name == name)).one_or_none()
    if row is None:
        raise missing("tenant", name, connection.execute(sa.select(tenants.c.name)).scalars())
    if revision is not None and revision != row.revision:
        raise PreconditionFailed(
            f"the tenant {name} was changed meanwhile", hint="Read it again, then change it."
        )
    return row


def _row(tenant: Tenant) -> dict[str, Any]:
    return {
        "name": tenant.name,
        "description": tenant.description,
        "quota": asdict(tenant.quota),
        "created": to_number(tenant.created),
        "revision": tenant.revision,
    }


def _tenant(row: Row[Any]) -> Tenant:
    return Tenant(
        name=row.name,
        description=row.description,
        quota=Quota(**row.quota),
        created=from_number(row.created),
        revision=row.revision,
    )
