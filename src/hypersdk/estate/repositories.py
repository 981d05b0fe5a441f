"""The repositories that the daemon knows by their names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.engine import Row

from hypersdk.config.daemon.estate import RepositorySettings
from hypersdk.database.engine import Database
from hypersdk.database.moments import from_number
from hypersdk.database.tables import repositories
from hypersdk.estate import budgets, checks
from hypersdk.estate.records import Definition, Records
from hypersdk.model.estate import Budget, RepositoryRecord

_PLACES = ("location", "key", "key_file", "identity")


class RepositoryStore:
    """Safe in threads. Methods raise NotFound with the nearest name, and DatabaseUnavailable.

    ``trusted``: False for a caller of a tenant, who gets no way to the daemon's own host.
    """

    def __init__(self, database: Database) -> None:
        self._records: Records[RepositoryRecord] = Records(
            database, repositories, "repository", "repositories", _from_row, "hyperctl repo list"
        )

    def create(
        self,
        name: str,
        location: str,
        *,
        tenant: str = "",
        description: str = "",
        key: str = "",
        key_file: str = "",
        identity: str = "",
        budget: Budget = Budget(),  # noqa: B008 - frozen
        trusted: bool = True,
    ) -> RepositoryRecord:
        """Make it known; at its place nothing happens. Raises InvalidInput, NotAllowed,
        AlreadyExists."""
        fields = {
            "location": location, "description": description, "key": key, "key_file": key_file,
            "identity": identity, "budget": budget,
        }  # fmt: skip
        return self._records.create(name, tenant, _definition(fields, trusted=trusted))

    def get(self, name: str, *, tenant: str | None = None) -> RepositoryRecord:
        """``tenant``: only one of this tenant is there."""
        return self._records.get(name, tenant)

    def list(self, *, tenant: str | None = None) -> tuple[RepositoryRecord, ...]:
        """By name."""
        return self._records.list(tenant)

    def change(
        self, name: str, *, revision: int | None = None, trusted: bool = True, **fields: Any
    ) -> RepositoryRecord:
        """Set fields of `create`, and leave the others. Raises PreconditionFailed when ``revision``
        is not its own, Conflict for one of the settings file, InvalidInput, NotAllowed."""

        def changed(old: Definition) -> Definition:
            new = {**old, **fields}
            same = all(new[each] == old[each] for each in _PLACES)
            return _definition(new, trusted=trusted or same)

        return self._records.change(name, revision, changed)

    def delete(self, name: str, *, revision: int | None = None) -> None:
        """Forget it; what is stored stays. Raises Conflict while jobs use it."""
        self._records.delete(name, revision)

    def declare(self, wanted: Mapping[str, RepositorySettings]) -> tuple[str, ...]:
        """Have exactly these of the settings file; gives the names of what was changed."""
        return self._records.declare(
            {name: (each.tenant, _declared(each)) for name, each in wanted.items()}
        )


def _declared(settings: RepositorySettings) -> Definition:
    fields = {name: getattr(settings, name) for name in (*_PLACES, "description")}
    return _definition(fields | {"budget": settings.budget.budget()}, trusted=True)


def _definition(fields: Definition, *, trusted: bool) -> Definition:
    """As it is stored, checked."""
    checks.location(fields["location"], trusted=trusted)
    checks.keys(fields["key"], fields["key_file"], fields["identity"], trusted=trusted)
    found = dict(fields)
    if isinstance(found["budget"], Budget):
        found["budget"] = budgets.to_record(found["budget"])
    return found


def _from_row(row: Row[Any]) -> RepositoryRecord:
    definition = row.definition
    return RepositoryRecord(
        name=row.name,
        tenant=row.tenant,
        location=definition["location"],
        description=definition.get("description", ""),
        key=definition.get("key", ""),
        key_file=definition.get("key_file", ""),
        identity=definition.get("identity", ""),
        budget=budgets.from_record(definition.get("budget")),
        managed=definition.get("managed", False),
        created=from_number(row.created),
        updated=from_number(row.updated),
        revision=row.revision,
    )
