"""From a job as it was asked for to one that is stored: what it may use, and what it counts as."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from hypersdk.accounts.quotas import Quotas
from hypersdk.api.records.jobs import dependencies, retry_policy
from hypersdk.api.services import Services
from hypersdk.contract.jobs import NewJobRecord
from hypersdk.jobs.store import Submitted
from hypersdk.model.accounts import Principal, Role
from hypersdk.model.errors import HyperSDKError, NotAllowed
from hypersdk.model.jobs import NewJob


@dataclass
class Planner:
    """Plans jobs for one caller; what it found out once, it remembers."""

    services: Services
    who: Principal
    #: True for what is kept to be submitted later: that its caller has room now says nothing.
    later: bool = False
    _allowed: set[str] = field(default_factory=set)
    _makes: int = 0

    def job(self, record: NewJobRecord) -> NewJob:
        """Checked, and complete. Raises InvalidInput, NotFound, NotAllowed, QuotaExceeded."""
        plan = self.services.kinds[record.kind].plan(record.request)
        for resource in (*plan.uses, *plan.resources):
            self._check(resource)
        if plan.makes and not self.later:
            self._makes += plan.makes  # of all that is submitted together
            Quotas(self.services.database).check(self.who.tenant, instances=self._makes)
        if plan.stores and not self.later:
            self._check_room(plan.stores)
        for each in record.depends_on:
            self._check(f"job:{each.job}")
        tenant = self.who.tenant
        return NewJob(
            kind=record.kind,
            request=record.request,
            name=record.name or plan.name,
            tenant=tenant,
            owner=self.who.user,
            queue=plan.queue,
            priority=record.priority,
            resources=self.services.kinds.resources(record.kind, plan, tenant),
            not_before=record.not_before,
            depends_on=dependencies(record.depends_on),
            retry=retry_policy(record.retry),
            dedup=plan.dedup if record.dedup is None else record.dedup,
            tags=record.tags,
        )

    def _check(self, resource: str) -> None:
        if resource in self._allowed:
            return
        what, _, name = resource.partition(":")
        if what in ("hypervisor", "repository") and ("/" in name):
            self._check_places(what)
        elif what == "hypervisor":
            self.services.hypervisors.get(name, tenant=self.who.tenant or None)
        elif what == "repository":
            self.services.repositories.get(name, tenant=self.who.tenant or None)
        elif what == "job":
            self.services.jobs.get(name, tenant=self.who.tenant or None)
        self._allowed.add(resource)

    def _check_room(self, repository: str) -> None:
        """Whoever asks: what a tenant's repositories hold counts for the tenant."""
        owner = self.services.connections.repository_record(repository).tenant
        Quotas(self.services.database).check_bytes(owner)

    def _check_places(self, what: str) -> None:
        if self.who.role is not Role.ADMIN or self.who.tenant:
            raise NotAllowed(
                f"only an administrator may name a {what} by its URL or path",
                hint=f"Name a {what} that the daemon knows.",
            )


def submit_one(services: Services, who: Principal, record: NewJobRecord) -> Submitted:
    """Raises what `Planner.job` does."""
    return services.jobs.submit([Planner(services, who).job(record)])[0]


def submit_all(
    services: Services, who: Principal, records: Sequence[NewJobRecord]
) -> list[Submitted | HyperSDKError]:
    """Those that can be done are stored together; each gets its own answer."""
    planner = Planner(services, who)
    planned: list[NewJob | HyperSDKError] = []
    for record in records:
        try:
            planned.append(planner.job(record))
        except HyperSDKError as error:
            if error.retryable:  # the database is away, not one of the jobs wrong
                raise
            planned.append(error)
    good = [each for each in planned if isinstance(each, NewJob)]
    stored = iter(services.jobs.submit(good) if good else ())
    return [next(stored) if isinstance(each, NewJob) else each for each in planned]
