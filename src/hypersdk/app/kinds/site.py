"""What all kinds of job work with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from hypersdk.app.kinds.folders import Folders
from hypersdk.datapath.throttle import Rate
from hypersdk.drivers.ports import Hypervisor, Inventory, Lifecycle
from hypersdk.flows.connections import Connections
from hypersdk.jobs.kinds import Plan, Run
from hypersdk.model.errors import HyperSDKError, HypervisorUnreachable, NotAllowed, NotSupported
from hypersdk.model.instances import Instance
from hypersdk.repository.repository import Repository

#: Tag of everything that a job makes and that can be tagged: its id.
JOB_TAG = "hypersdk.job"

#: Told of what happened: name (``vm.started``), subject (``hypervisors/lab/instances/web``),
#: tenant, data. May be told twice of the same when a worker is killed in between.
Tell = Callable[[str, str, str, Mapping[str, Any]], None]
#: Given the instances of a hypervisor as they were just listed.
Keep = Callable[[str, Sequence[Instance]], None]


def nobody(name: str, subject: str, tenant: str, data: Mapping[str, Any]) -> None:
    """Is not interested in events."""


def nowhere(hypervisor: str, instances: Sequence[Instance]) -> None:
    """Keeps no list."""


class Allowance(Protocol):
    """What tenants may still use, and what they use. The tenant "" may use everything. Methods
    raise DatabaseUnavailable."""

    def check(self, tenant: str, *, instances: int = 0) -> None:
        """Before instances are made for it. Raises QuotaExceeded."""
        ...

    def check_bytes(self, tenant: str) -> None:
        """Before more is stored in one of its repositories. Raises QuotaExceeded."""
        ...

    def grew(self, tenant: str, *, instances: int = 0, bytes: int = 0) -> None:
        """Something was made for it, or deleted: negative."""
        ...

    def measured(self, tenant: str, *, instances: int) -> None:
        """So many there are."""
        ...

    def measure(self, tenant: str) -> None:
        """Look how much its repositories hold. What cannot be asked leaves what was known."""
        ...


class Unbounded:
    """Of those who have no tenants."""

    def check(self, tenant: str, *, instances: int = 0) -> None:
        """See the port."""

    def check_bytes(self, tenant: str) -> None:
        """See the port."""

    def grew(self, tenant: str, *, instances: int = 0, bytes: int = 0) -> None:
        """See the port."""

    def measured(self, tenant: str, *, instances: int) -> None:
        """See the port."""

    def measure(self, tenant: str) -> None:
        """See the port."""


@dataclass(frozen=True, slots=True)
class Site:
    """Handed to every kind. Safe in threads."""

    connections: Connections
    folders: Folders = field(default_factory=Folders)
    tell: Tell = nobody
    keep: Keep = nowhere
    allowance: Allowance = field(default_factory=Unbounded)

    # What is known before.

    def planned(
        self,
        name: str,
        *,
        hypervisor: str = "",
        repository: str = "",
        dedup: str = "",
        makes: int = 0,
        stores: bool = False,
    ) -> Plan:
        """``stores``: it keeps more in the repository. Raises NotFound for names that are not
        known. Asks no hypervisor."""
        resources, queue = [], "default"
        if hypervisor:
            queue = self.connections.hypervisor_record(hypervisor).queue
            resources.append(f"hypervisor:{hypervisor}")
        if repository:
            self.connections.repository_record(repository)
            resources.append(f"repository:{repository}")
        found = tuple(resources)
        return Plan(
            name=name,
            resources=found,
            queue=queue,
            dedup=dedup,
            makes=makes,
            stores=repository if stores else "",
            uses=found,
        )

    def owner(self, repository: str) -> str:
        """The tenant for whom a repository holds what it holds. Raises NotFound."""
        return self.connections.repository_record(repository).tenant

    # What work is done with.

    @contextmanager
    def hypervisor(self, run: Run, name: str) -> Iterator[Hypervisor]:
        """Open while the block runs, which obeys the run's token."""
        try:
            with (
                run.cancel.scope(),
                self.connections.using_hypervisor(name, tenant=run.job.tenant or None) as opened,
            ):
                yield opened
        except HypervisorUnreachable as error:
            self.tell(
                "hypervisor.unreachable",
                f"hypervisors/{name}",
                run.job.tenant,
                {"job": run.job.id, "error": error.message},
            )
            raise

    @contextmanager
    def repository(self, run: Run, name: str) -> Iterator[Repository]:
        """As `hypervisor`."""
        with (
            run.cancel.scope(),
            self.connections.using_repository(name, tenant=run.job.tenant or None) as opened,
        ):
            yield opened

    def happened(
        self, run: Run, event: str, hypervisor: str, instance: str, **data: object
    ) -> None:
        """Tell of an instance."""
        subject = f"hypervisors/{hypervisor}/instances/{instance}"
        self.tell(event, subject, run.job.tenant, {"job": run.job.id, **data})


def pace(run: Run, most: int | None) -> Rate:
    """What a job may move now: its share of the budgets, and not more than it wants."""

    def rate() -> float | None:
        known = [each for each in (most, run.bandwidth()) if each is not None]
        return max(1, min(known)) if known else None

    return rate


def inventory_of(hypervisor: Hypervisor) -> Inventory:
    """Raises NotSupported."""
    if hypervisor.inventory is None:
        raise NotSupported(
            f"{hypervisor.url} does not list instances", hint="Use another hypervisor."
        )
    return hypervisor.inventory


def lifecycle_of(hypervisor: Hypervisor) -> Lifecycle:
    """Raises NotSupported."""
    if hypervisor.lifecycle is None:
        raise NotSupported(
            f"{hypervisor.url} does not start or stop instances", hint="Use another hypervisor."
        )
    return hypervisor.lifecycle


def refuse_secrets_of_host(run: Run, *references: object) -> None:
    """Jobs of a tenant may not use the daemon's secrets: they would learn what is not theirs."""
    if run.job.tenant and any(references):
        raise NotAllowed(
            "jobs of a tenant cannot use secrets of the worker's host",
            hint="Seal to recipients instead of a passphrase.",
        )


def first_line(error: HyperSDKError) -> str:
    """What happened, without what to do about it."""
    return error.message.partition("\n")[0]
