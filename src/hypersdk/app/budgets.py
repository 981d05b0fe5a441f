"""Budgets of hypervisors, repositories and tenants, in memory for those who ask all the time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from hypersdk.jobs.loops import Loop
from hypersdk.model.accounts import Tenant
from hypersdk.model.estate import Budget, HypervisorRecord, RepositoryRecord

#: Seconds after which a change is in force at the latest.
EVERY = 3.0
_FREE = Budget()


class EstateBudgets:
    """What `jobs.budgets.Budgets` asks for, read again every few seconds. When the database is
    away, the last ones hold."""

    def __init__(
        self,
        hypervisors: Callable[[], Iterable[HypervisorRecord]],
        repositories: Callable[[], Iterable[RepositoryRecord]],
        tenants: Callable[[], Iterable[Tenant]],
        *,
        every: float = EVERY,
    ) -> None:
        self._hypervisors = hypervisors
        self._repositories = repositories
        self._tenants = tenants
        self._known: Mapping[str, Budget] = {}
        self._loop = Loop("budgets", self.refresh, every)

    def start(self) -> None:
        """The first ones are there when it comes back."""
        self.refresh()
        self._loop.start()

    def stop(self) -> None:
        self._loop.stop(seconds=5)

    def refresh(self) -> None:
        """Raises DatabaseUnavailable."""
        known: dict[str, Budget] = {}
        for hypervisor in self._hypervisors():
            known[f"hypervisor:{hypervisor.name}"] = hypervisor.budget
            known[f"host:{hypervisor.name}/"] = hypervisor.host_budget
            known[f"datastore:{hypervisor.name}/"] = hypervisor.datastore_budget
        for repository in self._repositories():
            known[f"repository:{repository.name}"] = repository.budget
        for tenant in self._tenants():
            known[f"tenant:{tenant.name}"] = Budget(jobs=tenant.quota.jobs)
        self._known = known

    def limit(self, resource: str) -> Budget:
        """``host:lab/esx1`` has that of ``lab``'s hosts."""
        kind, _, rest = resource.partition(":")
        if kind in {"host", "datastore"}:
            return self._known.get(f"{kind}:{rest.partition('/')[0]}/", _FREE)
        return self._known.get(resource, _FREE)
