"""The kinds of jobs that there are, with what they work with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from hypersdk.app.kinds import Folders, all_kinds
from hypersdk.app.stores import Stores
from hypersdk.config.daemon import DaemonSettings
from hypersdk.jobs.kinds import Kinds
from hypersdk.model.estate import INVENTORY_REFRESHED
from hypersdk.model.instances import Instance
from hypersdk.model.jobs import NewJob


def make_kinds(settings: DaemonSettings, stores: Stores) -> Kinds:
    """For the API, which checks requests, and for workers, which do them."""

    def tell(name: str, subject: str, tenant: str, data: Mapping[str, Any]) -> None:
        stores.events.tell(name, subject, tenant, **data)

    def keep(hypervisor: str, instances: Sequence[Instance]) -> None:
        if "://" in hypervisor:  # the API shows those that it knows
            return
        record = stores.hypervisors.get(hypervisor)
        subject = f"hypervisors/{hypervisor}"
        stores.events.tell(INVENTORY_REFRESHED, subject, record.tenant, instances=len(instances))

    return all_kinds(
        stores.connections,
        folders=_folders(settings),
        tell=tell,
        keep=keep,
        allowance=stores.usage,
    )


def _folders(settings: DaemonSettings) -> Folders:
    """Where jobs may read and write: everywhere, unless folders are named."""
    folders = settings.folders
    if not folders.allowed:
        return Folders()
    return Folders(
        (folders.exports, folders.imports, folders.isos, folders.backups, *folders.allowed)
    )


def planner(kinds: Kinds, stores: Stores) -> Callable[[NewJob], NewJob]:
    """For jobs of schedules: what is known of the request, and of quotas, when the moment has
    come."""

    def planned(job: NewJob) -> NewJob:
        plan = kinds[job.kind].plan(job.request)
        if plan.makes:
            stores.usage.check(job.tenant, instances=plan.makes)
        if plan.stores:
            owner = stores.connections.repository_record(plan.stores).tenant
            stores.usage.check_bytes(owner)
        return replace(
            job,
            name=job.name or plan.name,
            resources=kinds.resources(job.kind, plan, job.tenant),
            queue=plan.queue,
            dedup=job.dedup or plan.dedup,
        )

    return planned
