"""The kinds of jobs that there are, with what they work with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from hypersdk.app.kinds import Folders, all_kinds
from hypersdk.app.stores import Stores
from hypersdk.config.daemon import DaemonSettings
from hypersdk.jobs.kinds import Kinds
from hypersdk.model.jobs import NewJob


def make_kinds(settings: DaemonSettings, stores: Stores) -> Kinds:
    """For the API, which checks requests, and for workers, which do them."""

    def tell(name: str, subject: str, tenant: str, data: Mapping[str, Any]) -> None:
        stores.events.tell(name, subject, tenant, **data)

    return all_kinds(stores.connections, folders=_folders(settings), tell=tell)


def _folders(settings: DaemonSettings) -> Folders:
    """Where jobs may read and write: everywhere, unless folders are named."""
    folders = settings.folders
    if not folders.allowed:
        return Folders()
    return Folders(
        (folders.exports, folders.imports, folders.isos, folders.backups, *folders.allowed)
    )


def planner(kinds: Kinds) -> Callable[[NewJob], NewJob]:
    """For jobs of schedules: what is known of the request when the moment has come."""

    def planned(job: NewJob) -> NewJob:
        plan = kinds[job.kind].plan(job.request)
        return replace(
            job,
            name=job.name or plan.name,
            resources=kinds.resources(job.kind, plan, job.tenant),
            queue=plan.queue,
            dedup=job.dedup or plan.dedup,
        )

    return planned
