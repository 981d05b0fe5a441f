"""Records that go by a name in a table: what hypervisors and repositories share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from hypersdk.database.engine import Database
from hypersdk.database.events import tell
from hypersdk.database.moments import to_number
from hypersdk.database.tables import job_resources
from hypersdk.estate import checks
from hypersdk.model.errors import AlreadyExists, Conflict, NotFound, PreconditionFailed

T = TypeVar("T")
Definition = Mapping[str, Any]
#: Revisions come from one counter for all records, so that one that was deleted and made again
#: under its name is another one for whoever holds a connection.
_COUNTER = "estate.revision"


@dataclass(frozen=True, slots=True)
class Records(Generic[T]):
    """Rows of ``table``; ``word`` is what one of them is called: ``hypervisor``."""

    database: Database
    table: sa.Table
    word: str
    plural: str
    from_row: Callable[[Row[Any]], T]
    #: Key of the definition → names of the command that lists them, for hints.
    listed_by: str

    def create(self, name: str, tenant: str, definition: Definition) -> T:
        """Raises InvalidInput, AlreadyExists."""
        checks.name(name)
        with self.database.write() as connection:
            if self._row(connection, name) is not None:
                raise AlreadyExists(
                    f"there is a {self.word} '{name}' already",
                    hint="Choose another name, or change that one.",
                )
            self._insert(connection, name, tenant, definition)
            return self.from_row(self._there(connection, name, None))

    def get(self, name: str, tenant: str | None) -> T:
        with self.database.read() as connection:
            return self.from_row(self._there(connection, name, tenant))

    def list(self, tenant: str | None) -> tuple[T, ...]:
        query = sa.select(self.table).order_by(self.table.c.name)
        if tenant is not None:
            query = query.where(self.table.c.tenant == tenant)
        with self.database.read() as connection:
            return tuple(self.from_row(row) for row in connection.execute(query))

    def change(
        self, name: str, revision: int | None, changed: Callable[[Definition], Definition]
    ) -> T:
        """Raises NotFound, PreconditionFailed when ``revision`` is not its own, Conflict."""
        with self.database.write() as connection:
            row = self._ours(connection, name, revision)
            definition = dict(changed(row.definition))
            tenant = definition.pop("tenant", row.tenant)
            if definition != row.definition or tenant != row.tenant:
                self._update(connection, row, tenant, definition)
            return self.from_row(self._there(connection, name, None))

    def delete(self, name: str, revision: int | None) -> None:
        """Raises NotFound, PreconditionFailed, Conflict while jobs use it."""
        with self.database.write() as connection:
            row = self._ours(connection, name, revision)
            busy = connection.execute(
                sa.select(sa.func.count()).where(job_resources.c.resource == f"{self.word}:{name}")
            ).scalar_one()
            if busy:
                raise Conflict(
                    f"{busy} running jobs use the {self.word} '{name}'",
                    hint="Wait until they ended, or cancel them.",
                )
            self._remove(connection, row)

    def declare(self, wanted: Mapping[str, tuple[str, Definition]]) -> tuple[str, ...]:
        """Make the managed records exactly these: name → tenant, definition. One that somebody
        made by the same name becomes managed. Gives the names of what was changed."""
        done = []
        with self.database.write() as connection:
            rows = {row.name: row for row in connection.execute(sa.select(self.table))}
            for name, (tenant, definition) in wanted.items():
                whole = {**definition, "managed": True}
                row = rows.get(name)
                if row is None:
                    self._insert(connection, name, tenant, whole)
                elif row.definition != whole or row.tenant != tenant:
                    self._update(connection, row, tenant, whole)
                else:
                    continue
                done.append(name)
            for name, row in rows.items():
                if row.definition.get("managed") and name not in wanted:
                    self._remove(connection, row)
                    done.append(name)
        return tuple(sorted(done))

    def _ours(self, connection: Connection, name: str, revision: int | None) -> Row[Any]:
        row = self._there(connection, name, None)
        if row.definition.get("managed"):
            raise Conflict(
                f"the {self.word} '{name}' stands in the daemon's settings file",
                hint="Change it there, and reload: systemctl reload hypervisord",
            )
        if revision is not None and revision != row.revision:
            raise PreconditionFailed(
                f"the {self.word} '{name}' was changed meanwhile", hint="Look at it again."
            )
        return row

    def _there(self, connection: Connection, name: str, tenant: str | None) -> Row[Any]:
        row = self._row(connection, name)
        if row is not None and tenant in {None, row.tenant}:
            return row
        query = sa.select(self.table.c.name).order_by(self.table.c.name)
        if tenant is not None:
            query = query.where(self.table.c.tenant == tenant)
        names = connection.execute(query).scalars().all()
        near = get_close_matches(name, names, n=1)
        meant = f"Did you mean {near[0]}? " if near else ""
        raise NotFound(
            f"there is no {self.word} '{name}'",
            hint=f"{meant}{self.plural.capitalize()} are listed by: {self.listed_by}",
        )

    def _row(self, connection: Connection, name: str) -> Row[Any] | None:
        return connection.execute(
            sa.select(self.table).where(self.table.c.name == name)
        ).one_or_none()

    def _insert(
        self, connection: Connection, name: str, tenant: str, definition: Definition
    ) -> None:
        now = to_number(self.database.now())
        values = {
            "name": name,
            "tenant": tenant,
            "revision": self.database.next_numbers(connection, _COUNTER),
            "created": now,
            "updated": now,
            "definition": dict(definition),
        }
        connection.execute(sa.insert(self.table).values(values))
        self._tell(connection, "created", name, tenant)

    def _update(
        self, connection: Connection, row: Row[Any], tenant: str, definition: Definition
    ) -> None:
        connection.execute(
            sa.update(self.table)
            .where(self.table.c.name == row.name)
            .values(
                tenant=tenant,
                revision=self.database.next_numbers(connection, _COUNTER),
                updated=to_number(self.database.now()),
                definition=dict(definition),
            )
        )
        self._tell(connection, "changed", row.name, tenant)

    def _remove(self, connection: Connection, row: Row[Any]) -> None:
        connection.execute(sa.delete(self.table).where(self.table.c.name == row.name))
        self._tell(connection, "deleted", row.name, row.tenant)

    def _tell(self, connection: Connection, what: str, name: str, tenant: str) -> None:
        happened = (f"{self.word}.{what}", f"{self.plural}/{name}", tenant, {"name": name})
        tell(self.database, connection, [happened])
