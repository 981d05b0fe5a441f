from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from hypersdk.app.budgets import EstateBudgets
from hypersdk.model.accounts import Quota, Tenant
from hypersdk.model.errors import DatabaseUnavailable
from hypersdk.model.estate import Budget, HypervisorRecord, RepositoryRecord

NOW = datetime.now(UTC)


def hypervisor(**budgets: Budget) -> HypervisorRecord:
    record = HypervisorRecord(name="lab", url="mock:///x", created=NOW, updated=NOW)
    return replace(record, **budgets)  # type: ignore[arg-type]


def test_each_resource_has_the_budget_of_its_record() -> None:
    budgets = EstateBudgets(
        lambda: [
            hypervisor(
                budget=Budget(jobs=9),
                host_budget=Budget(jobs=2),
                datastore_budget=Budget(bandwidth=5),
            )
        ],
        lambda: [
            RepositoryRecord(
                name="main", location="/x", budget=Budget(jobs=3), created=NOW, updated=NOW
            )
        ],
        lambda: [Tenant(name="red", quota=Quota(jobs=1, bytes=5), created=NOW)],
    )
    budgets.refresh()
    assert budgets.limit("hypervisor:lab") == Budget(jobs=9)
    assert budgets.limit("host:lab/esx1") == Budget(jobs=2)
    assert budgets.limit("datastore:lab/fast") == Budget(bandwidth=5)
    assert budgets.limit("repository:main") == Budget(jobs=3)
    assert budgets.limit("tenant:red") == Budget(jobs=1)
    for unknown in ("hypervisor:other", "host:other/esx1", "tenant:blue", "nonsense", ""):
        assert budgets.limit(unknown) == Budget()


def test_changes_come_with_the_next_look_and_a_lost_database_changes_nothing() -> None:
    found = [hypervisor(budget=Budget(jobs=1))]
    lost = [False]

    def hypervisors() -> list[HypervisorRecord]:
        if lost[0]:
            raise DatabaseUnavailable("away")
        return found

    budgets = EstateBudgets(hypervisors, list, list)
    budgets.start()
    found[0] = hypervisor(budget=Budget(jobs=2))
    budgets.refresh()
    assert budgets.limit("hypervisor:lab") == Budget(jobs=2)
    lost[0] = True
    with pytest.raises(DatabaseUnavailable):
        budgets.refresh()
    assert budgets.limit("hypervisor:lab") == Budget(jobs=2)
    budgets.stop()
