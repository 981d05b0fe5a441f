"""Jobs that back up."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypersdk.app.kinds.places import places_of
from hypersdk.app.kinds.requests import answer, asked, refuse, same
from hypersdk.app.kinds.retention import policy_of
from hypersdk.app.kinds.site import JOB_TAG, Site, inventory_of, pace
from hypersdk.contract.kinds import BackupRequest, BackupResult, PointDiskRecord
from hypersdk.drivers.ports import Hypervisor
from hypersdk.flows.backup import BackupOptions, backup_image, backup_instance
from hypersdk.flows.prune import prune
from hypersdk.jobs.kinds import Plan, Run
from hypersdk.model.points import PointDisk, RestorePoint
from hypersdk.repository.repository import Repository

#: How far the clocks of hosts may be apart, when points older than the job are not looked at.
_CLOCKS = timedelta(days=1)
#: Our names of image formats that QEMU calls otherwise.
_DRIVERS = {"vhd": "vpc"}


class Backup:
    """The restore point is tagged with the job's id: a job whose point is there already has ended.
    What a killed run stored is found by its content and not stored again."""

    name = "backup"
    summary = "Back up an instance, or an image, to a repository."
    waits = False

    def __init__(self, site: Site) -> None:
        self._site = site

    def plan(self, request: Mapping[str, Any]) -> Plan:
        """See the port."""
        wanted = asked(BackupRequest, request)
        _check(wanted)
        if wanted.image:
            self._site.folders.check_image(wanted.image, "image")
            for backing in wanted.allow_backing:
                self._site.folders.check(backing, "allow_backing")
        _options(wanted)
        return self._site.planned(
            f"backup of {wanted.instance or wanted.name}",
            hypervisor=wanted.hypervisor,
            repository=wanted.repository,
            dedup=same(self.name, wanted),
            stores=True,
        )

    def places(self, request: Mapping[str, Any]) -> tuple[str, ...]:
        """See `Placed`."""
        wanted = asked(BackupRequest, request)
        return places_of(self._site, wanted.hypervisor, wanted.instance)

    def work(self, request: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
        """See the port."""
        wanted = asked(BackupRequest, request)
        _check(wanted)
        owner, allowance = self._site.owner(wanted.repository), self._site.allowance
        with self._site.repository(run, wanted.repository) as repository:
            made = run.step("backup", lambda: self._backed_up(wanted, run, repository))
            run.step("count", lambda: allowance.grew(owner, bytes=made["stored"]))
            pruned = _retention(wanted, run, repository, made["instance"])
        return {**made, "pruned": pruned}

    def _backed_up(self, wanted: BackupRequest, run: Run, repository: Repository) -> dict[str, Any]:
        run.phase("looking", wanted.instance or wanted.name)
        point = _made_before(repository, wanted.instance or wanted.name, run)
        if point is None and wanted.image:
            point = self._image(wanted, run, repository)
        elif point is None:
            with self._site.hypervisor(run, wanted.hypervisor) as hypervisor:
                point = self._instance(wanted, run, repository, hypervisor)
        for warning in point.warnings:
            run.log(warning, level="warning")
        return answer(_result(point, wanted.repository))

    def _image(self, wanted: BackupRequest, run: Run, repository: Repository) -> RestorePoint:
        folders, tenant = self._site.folders, run.job.tenant
        image = folders.check_image(wanted.image, "image", tenant=tenant)
        backing = tuple(
            folders.check(each, "allow_backing", tenant=tenant) for each in wanted.allow_backing
        )
        self._check_room(wanted)
        run.phase("copying", wanted.name)
        return backup_image(
            repository,
            image,
            wanted.name,
            options=_options(wanted, run, backing),
            reporter=run.reporter,
            cancel=run.cancel,
        )

    def _instance(
        self, wanted: BackupRequest, run: Run, repository: Repository, hypervisor: Hypervisor
    ) -> RestorePoint:
        """Under its name, by which points are kept, whatever it was called by."""
        name = inventory_of(hypervisor).instance(wanted.instance).name
        if name != wanted.instance and (found := _made_before(repository, name, run)):
            return found
        self._check_room(wanted)
        run.phase("copying", name)
        run.log(f"backing up {name} to {repository.url}")
        return backup_instance(
            repository,
            hypervisor,
            name,
            options=_options(wanted, run),
            reporter=run.reporter,
            cancel=run.cancel,
        )

    def _check_room(self, wanted: BackupRequest) -> None:
        """Raises QuotaExceeded."""
        self._site.allowance.check_bytes(self._site.owner(wanted.repository))


def _check(wanted: BackupRequest) -> None:
    """Raises InvalidInput for what does not go together."""
    refuse(
        bool(wanted.image) == bool(wanted.instance),
        "a backup is of one of request.instance and request.image",
        'Name an instance and its hypervisor, or an image and a name: {"instance": "web-1", '
        '"hypervisor": "lab"}.',
    )
    refuse(
        wanted.instance and not wanted.hypervisor,
        "request.hypervisor is missing",
        f"Name the hypervisor that has {wanted.instance}.",
    )
    refuse(
        wanted.image and not wanted.name,
        "request.name is missing: the name under which the image is kept",
        "Add a name.",
    )
    refuse(
        wanted.image and (wanted.hypervisor or wanted.exclude),
        "request.hypervisor and request.exclude go with an instance, not with an image",
        "Leave them out.",
    )
    refuse(
        wanted.instance and (wanted.name or wanted.image_format or wanted.allow_backing),
        "request.name, image_format and allow_backing go with an image, not with an instance",
        "Leave them out.",
    )
    if wanted.chunk_size is not None:
        refuse(
            wanted.chunk_size & (wanted.chunk_size - 1),
            f"request.chunk_size: {wanted.chunk_size} is no power of two",
            "Give 65536 to 4194304.",
        )
    refuse(JOB_TAG in wanted.tags, f"request.tags: {JOB_TAG} is set by the daemon", "Leave it out.")
    if wanted.retention is not None:
        policy_of(wanted.retention, "retention")


def _options(
    wanted: BackupRequest, run: Run | None = None, backing: tuple[Path, ...] = ()
) -> BackupOptions:
    return BackupOptions(
        throttle=pace(run, wanted.throttle) if run else None,
        tags={**wanted.tags, JOB_TAG: run.job.id} if run else {},
        chunk_size=wanted.chunk_size,
        full=wanted.full,
        pinned=wanted.pinned,
        locked_until=wanted.locked_until,
        workers=wanted.workers,
        image_format=_DRIVERS.get(wanted.image_format, wanted.image_format) or None,
        allow_backing=backing,
        exclude=frozenset(wanted.exclude),
        freeze=wanted.freeze,
        series=wanted.series,
    )


def _made_before(repository: Repository, name: str, run: Run) -> RestorePoint | None:
    """The point of an earlier run of this job. Older points than the job are not looked at."""
    for point in repository.newest_first(name):
        if point.tags.get(JOB_TAG) == run.job.id:
            run.log(f"restore point {point.id} was made before this run began")
            return point
        if point.time < run.job.created - _CLOCKS:
            break
    return None


def _retention(wanted: BackupRequest, run: Run, repository: Repository, instance: str) -> list[str]:
    """Points that it removes. Decided in a step of its own, so that a run that is continued in the
    middle of it names all of them."""
    if wanted.retention is None:
        return []
    run.phase("pruning", instance)
    policy = policy_of(wanted.retention, "retention")

    def pruned(*, dry_run: bool) -> list[str]:
        decisions = prune(repository, policy, instance=instance, dry_run=dry_run, cancel=run.cancel)
        return [each.point.id for each in decisions if not each.keep]

    removed = run.step("decide", lambda: pruned(dry_run=True))
    run.step("retention", lambda: pruned(dry_run=False))
    run.log(f"retention removed {len(removed)} restore points")
    return removed


def _result(point: RestorePoint, repository: str) -> BackupResult:
    disks = [_disk(disk) for disk in point.disks]
    return BackupResult(
        point=point.id,
        instance=point.instance,
        repository=repository,
        consistency=point.consistency.value,
        incremental=bool(disks) and all(disk.incremental for disk in disks),
        size=point.size,
        read=sum(disk.read for disk in disks),
        changed=sum(disk.changed for disk in disks),
        stored=sum(disk.stored for disk in disks),
        zero=sum(disk.zero for disk in disks),
        unchanged=sum(disk.unchanged for disk in disks),
        seconds=round(sum(disk.seconds for disk in disks), 3),
        disks=disks,
        warnings=list(point.warnings),
    )


def _disk(disk: PointDisk) -> PointDiskRecord:
    did = disk.statistics
    return PointDiskRecord(
        name=disk.name,
        size=disk.size,
        incremental=disk.incremental,
        reason=disk.reason,
        read=did.read,
        changed=did.changed,
        stored=did.stored,
        zero=did.zero,
        unchanged=did.unchanged,
        seconds=round(did.seconds, 3),
    )
