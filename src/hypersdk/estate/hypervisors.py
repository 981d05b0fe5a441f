"""The hypervisors that the daemon knows by their names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.engine import Row

from hypersdk.config.daemon.estate import HypervisorSettings
from hypersdk.database.engine import Database
from hypersdk.database.moments import from_number
from hypersdk.database.tables import hypervisors
from hypersdk.estate import budgets, checks
from hypersdk.estate.records import Definition, Records
from hypersdk.model.estate import Budget, HypervisorRecord

_BUDGETS = ("budget", "host_budget", "datastore_budget")


class HypervisorStore:
    """Safe in threads. Methods raise NotFound with the nearest name, and DatabaseUnavailable.

    ``trusted``: False for a caller of a tenant, who gets no way to the daemon's own host.
    """

    def __init__(self, database: Database) -> None:
        self._records: Records[HypervisorRecord] = Records(
            database,
            hypervisors,
            "hypervisor",
            "hypervisors",
            _from_row,
            "hyperctl hypervisor list",
        )

    def create(
        self,
        name: str,
        url: str,
        *,
        tenant: str = "",
        description: str = "",
        queue: str = "default",
        budget: Budget = Budget(),  # noqa: B008 - frozen
        host_budget: Budget = Budget(),  # noqa: B008
        datastore_budget: Budget = Budget(),  # noqa: B008
        tags: Mapping[str, str] | None = None,
        trusted: bool = True,
    ) -> HypervisorRecord:
        """Raises InvalidInput, NotAllowed, AlreadyExists."""
        fields = {
            "url": url, "description": description, "queue": queue, "budget": budget,
            "host_budget": host_budget, "datastore_budget": datastore_budget, "tags": tags or {},
        }  # fmt: skip
        return self._records.create(name, tenant, _definition(fields, trusted=trusted))

    def get(self, name: str, *, tenant: str | None = None) -> HypervisorRecord:
        """``tenant``: only one of this tenant is there."""
        return self._records.get(name, tenant)

    def list(self, *, tenant: str | None = None) -> tuple[HypervisorRecord, ...]:
        """By name."""
        return self._records.list(tenant)

    def change(
        self, name: str, *, revision: int | None = None, trusted: bool = True, **fields: Any
    ) -> HypervisorRecord:
        """Set fields of `create`, and leave the others. Raises PreconditionFailed when ``revision``
        is not its own, Conflict for one of the settings file, InvalidInput, NotAllowed."""

        def changed(old: Definition) -> Definition:
            # A URL that stays was judged when it came.
            kept = {**old, **{each: fields[each] for each in fields if each != "url"}}
            url = fields.get("url", old["url"])
            return _definition(kept | {"url": url}, trusted=trusted or url == old["url"])

        return self._records.change(name, revision, changed)

    def delete(self, name: str, *, revision: int | None = None) -> None:
        """Forget it; nothing happens to the hypervisor. Raises Conflict while jobs use it."""
        self._records.delete(name, revision)

    def declare(self, wanted: Mapping[str, HypervisorSettings]) -> tuple[str, ...]:
        """Have exactly these of the settings file; gives the names of what was changed."""
        return self._records.declare(
            {name: (each.tenant, _declared(each)) for name, each in wanted.items()}
        )


def _declared(settings: HypervisorSettings) -> Definition:
    fields = {name: getattr(settings, name) for name in ("url", "description", "queue", "tags")}
    fields |= {name: getattr(settings, name).budget() for name in _BUDGETS}
    return _definition(fields, trusted=True)


def _definition(fields: Definition, *, trusted: bool) -> Definition:
    """As it is stored, checked."""
    checks.hypervisor_url(fields["url"], trusted=trusted)
    checks.name(fields["queue"])
    found = dict(fields)
    for name in _BUDGETS:
        if isinstance(found[name], Budget):
            found[name] = budgets.to_record(found[name])
    found["tags"] = dict(found["tags"])
    return found


def _from_row(row: Row[Any]) -> HypervisorRecord:
    definition = row.definition
    return HypervisorRecord(
        name=row.name,
        tenant=row.tenant,
        url=definition["url"],
        description=definition.get("description", ""),
        queue=definition.get("queue", "default"),
        budget=budgets.from_record(definition.get("budget")),
        host_budget=budgets.from_record(definition.get("host_budget")),
        datastore_budget=budgets.from_record(definition.get("datastore_budget")),
        tags=definition.get("tags", {}),
        managed=definition.get("managed", False),
        created=from_number(row.created),
        updated=from_number(row.updated),
        revision=row.revision,
    )
