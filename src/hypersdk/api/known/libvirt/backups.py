"""Backups: restore points of a repository, made and brought back by jobs.

A caller waits for its job for a while; a job that takes longer goes on, and the answer has its id.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import Query, Request

from hypersdk.api.known import reach
from hypersdk.api.known.power import patience
from hypersdk.api.known.reach import Which
from hypersdk.api.known.waiting import USUAL, ended, failure
from hypersdk.api.security import note_change
from hypersdk.api.services import Services, Who, WithServices
from hypersdk.api.submitting import submit_one
from hypersdk.contract.jobs import NewJobRecord
from hypersdk.contract.known.backups import (
    BackupAsked,
    BackupDeleted,
    BackupMade,
    BackupRestored,
    BackupsAnswer,
    BackupVerified,
    KnownBackup,
    NewBackupAsked,
    RestoreAsked,
)
from hypersdk.model.accounts import Principal
from hypersdk.model.errors import AlreadyExists, InstanceNotFound, InvalidInput, NotFound
from hypersdk.model.estate import RepositoryRecord
from hypersdk.model.jobs import Job, JobState
from hypersdk.model.points import RestorePoint

#: Tags of restore points that were made here.
_NAME, _DESCRIPTION = "backup.name", "backup.description"
_RUNNING, _DONE = "running", "success"

Repository = Annotated[str, Query(max_length=128, description="Name; empty: the default one")]
Wait = Annotated[float, Query(ge=0, le=3600, description="Seconds to wait for the job")]


def known_create_backup(
    services: WithServices,
    who: Who,
    request: Request,
    body: NewBackupAsked,
    hypervisor: Which = "",
    repository: Repository = "",
    wait: Wait = USUAL,
) -> BackupMade:
    """Of all disks at one moment, also while it runs; only what changed is stored."""
    place = reach.repository(services, who, repository)
    with reach.libvirt(services, who, hypervisor) as here:
        name = reach.inventory(here.hypervisor).instance(body.vm_name).name
    if body.backup_name and _named(_points(services, place), body.backup_name):
        raise AlreadyExists(
            f"there is a backup '{body.backup_name}' in {place.name}", hint="Choose another name."
        )
    wanted: dict[str, Any] = {
        "hypervisor": here.name,
        "instance": name,
        "repository": place.name,
        "tags": _tags(body),
    }
    job = _submitted(services, who, request, "backup", wanted)
    found = ended(services, job, patience(services, wait)) if wait else None
    result = _result(found)
    point = str(result.get("point", ""))
    return BackupMade(
        status=_RUNNING if found is None else _DONE,
        message=f"Backup created for {name}" if found else f"Backup of {name} runs as job {job}",
        vm_name=name,
        backup_name=body.backup_name or point,
        backup_path=_path(services, place, point) if point else place.location,
        disks_backed_up=len(result.get("disks", ())),
        total_size=int(result.get("stored", 0)),
        compressed=True,
        job_id=job,
    )


def known_list_backups(
    services: WithServices,
    who: Who,
    vm_name: Annotated[str, Query(max_length=255)] = "",
    repository: Repository = "",
) -> BackupsAnswer:
    """All restore points of the repository, whoever made them."""
    place = reach.repository(services, who, repository)
    found = [
        _backup(place, point)
        for point in _points(services, place)
        if not vm_name or point.instance == vm_name
    ]
    found.sort(key=lambda backup: backup.created_at)
    return BackupsAnswer(backups=found, total=len(found), storage_dir=place.location)


def known_restore_backup(
    services: WithServices,
    who: Who,
    request: Request,
    body: RestoreAsked,
    hypervisor: Which = "",
    repository: Repository = "",
    wait: Wait = USUAL,
) -> BackupRestored:
    """Its disks are written and compared with what was backed up. Without a new name the machine
    is put back: in its place while it exists, else made anew."""
    place = reach.repository(services, who, repository)
    point = _one(services, place, body.backup_name)
    with reach.libvirt(services, who, hypervisor) as here:
        wanted: dict[str, Any] = {
            "repository": place.name,
            "instance": point.instance,
            "point": point.id,
            "to_hypervisor": here.name,
            "start": body.start,
        }
        try:
            reach.inventory(here.hypervisor).instance(body.new_vm_name or point.instance)
        except InstanceNotFound:
            wanted["new_name"] = body.new_vm_name
        else:
            if body.new_vm_name:
                raise AlreadyExists(
                    f"there is a machine '{body.new_vm_name}' on {here.name}",
                    hint="Choose another name.",
                )
            wanted["in_place"] = True
    job = _submitted(services, who, request, "restore", wanted)
    found = ended(services, job, patience(services, wait)) if wait else None
    result = _result(found)
    name = str(result.get("restored") or body.new_vm_name or point.instance)
    return BackupRestored(
        status=_RUNNING if found is None else _DONE,
        message=f"VM restored from backup {body.backup_name}"
        if found
        else f"VM is restored as job {job}",
        backup_name=body.backup_name,
        vm_name=name,
        started=bool(result.get("started", False)),
        job_id=job,
    )


def known_verify_backup(
    services: WithServices,
    who: Who,
    request: Request,
    body: BackupAsked,
    repository: Repository = "",
    wait: Wait = USUAL,
) -> BackupVerified:
    """Every chunk that it needs is read, decrypted and compared with its id."""
    place = reach.repository(services, who, repository)
    point = _one(services, place, body.backup_name)
    wanted = {
        "repository": place.name,
        "instance": point.instance,
        "point": point.id,
        "report_only": True,
    }
    job = _submitted(services, who, request, "verify", wanted)
    found = ended(services, job, patience(services, wait)) if wait else None
    result = _result(found)
    damage = result.get("damage", ())
    return BackupVerified(
        status=_RUNNING if found is None else _DONE,
        backup_name=body.backup_name,
        valid=bool(result.get("intact", False)),
        disks_checked=len(point.disks) if found else 0,
        errors=[f"{each['object']}: {each['problem']}" for each in damage],
        job_id=job,
    )


def known_delete_backup(
    services: WithServices,
    who: Who,
    request: Request,
    body: BackupAsked,
    repository: Repository = "",
) -> BackupDeleted:
    """Its space is given back by the next collection of the repository. Pinned and locked ones
    stay."""
    place = reach.repository(services, who, repository)
    point = _one(services, place, body.backup_name)
    with services.connections.using_repository(place.name) as opened:
        opened.remove(point, f"deleted by {who.user}")
    subject = f"repositories/{place.name}/points/{point.id}"
    note_change(request, subject, {"instance": point.instance}, None)
    return BackupDeleted(message=f"Backup {body.backup_name} deleted", backup_name=body.backup_name)


def _submitted(
    services: Services, who: Principal, request: Request, kind: str, wanted: dict[str, Any]
) -> str:
    job = submit_one(services, who, NewJobRecord(kind=kind, request=wanted))
    note_change(request, f"jobs/{job.id}", None, {"kind": kind})
    return job.id


def _result(found: Job | None) -> dict[str, Any]:
    """Raises what the job failed with."""
    if found is None:
        return {}
    if found.state is not JobState.COMPLETED:
        raise failure(found)
    return dict(found.result or {})


def _tags(body: NewBackupAsked) -> dict[str, str]:
    tags = {_NAME: body.backup_name, _DESCRIPTION: body.description}
    return {name: value for name, value in tags.items() if value}


def _points(services: Services, place: RepositoryRecord) -> list[RestorePoint]:
    with services.connections.using_repository(place.name) as opened:
        return list(opened.points())


def _named(points: Iterable[RestorePoint], name: str) -> list[RestorePoint]:
    """By the name that it was given, or by its id."""
    return [point for point in points if name in (point.tags.get(_NAME), point.id)]


def _one(services: Services, place: RepositoryRecord, name: str) -> RestorePoint:
    found = _named(_points(services, place), name)
    if not found:
        raise NotFound(
            f"backup not found: {name[:200]}", hint="They are listed at /libvirt/backup/list"
        )
    if len(found) > 1:
        raise InvalidInput(
            f"{len(found)} backups are called '{name}'",
            hint=f"Give the id of one: {', '.join(point.id for point in found)}",
        )
    return found[0]


def _backup(place: RepositoryRecord, point: RestorePoint) -> KnownBackup:
    return KnownBackup(
        name=point.tags.get(_NAME) or point.id,
        vm_name=point.instance,
        path=f"{place.location.rstrip('/')}/{point.key}",
        type="incremental" if any(disk.incremental for disk in point.disks) else "full",
        size=sum(disk.statistics.stored for disk in point.disks),
        created_at=point.time,
        compressed=True,
        verified=True,
        description=point.tags.get(_DESCRIPTION, ""),
    )


def _path(services: Services, place: RepositoryRecord, id: str) -> str:
    found = _named(_points(services, place), id)
    return f"{place.location.rstrip('/')}/{found[0].key}" if found else place.location


HANDLERS = {
    "known_create_backup": known_create_backup,
    "known_list_backups": known_list_backups,
    "known_restore_backup": known_restore_backup,
    "known_verify_backup": known_verify_backup,
    "known_delete_backup": known_delete_backup,
}
