"""Restore an instance to a hypervisor: its disks are written there, and it is defined."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from hypersdk.datapath.cancel import CancelToken
from hypersdk.datapath.throttle import Rate
from hypersdk.drivers.diskports import Placement, Provisioning
from hypersdk.drivers.ports import Hypervisor, Lifecycle
from hypersdk.flows.restore import RestoredDisk, RestoreOptions, write_disk
from hypersdk.model.errors import HypervisorError, InvalidInput
from hypersdk.model.instances import Definition, Disk, Instance
from hypersdk.model.points import PointDisk, RestorePoint
from hypersdk.model.progress import Reporter, silent
from hypersdk.repository.repository import Repository


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvisionOptions:
    """As what, where and how."""

    placement: Placement = field(default_factory=Placement)
    #: Start it when it is complete.
    start: bool = False
    #: Bytes per second written; None: as fast as it goes.
    throttle: Rate | None = None
    #: Threads; None: one per core, more for a remote repository.
    workers: int | None = None


@dataclass(frozen=True, slots=True)
class RestoredInstance:
    """An instance that was brought back."""

    instance: Instance
    disks: tuple[RestoredDisk, ...]
    started: bool = False


def restore_instance(
    repository: Repository,
    point: RestorePoint,
    hypervisor: Hypervisor,
    *,
    options: ProvisionOptions | None = None,
    reporter: Reporter = silent,
    cancel: CancelToken | None = None,
) -> RestoredInstance:
    """Write the disks of a restore point and define its instance on ``hypervisor``.

    Every chunk is compared with its id on the way. Nothing that exists is replaced unless the
    placement says so, and after a failure nothing is left of what was made.
    Raises AlreadyExists, NotFound, InvalidInput, Damaged, KeyRequired, HypervisorError,
    Interrupted.
    """
    options = options or ProvisionOptions()
    provisioning, lifecycle = _parts(hypervisor)
    token = cancel or CancelToken()
    copying = RestoreOptions(throttle=options.throttle, workers=options.workers)
    with (
        token.scope(),
        provisioning.build(
            _definition(repository, point), list(map(_disk, point.disks)), options.placement
        ) as building,
    ):
        disks = []
        for disk in point.disks:
            path = Path(building.path(disk.name))
            with building.sink(disk.name) as sink:
                disks.append(
                    write_disk(repository, point, disk, sink, path, copying, reporter, token)
                )
        token.check()
        instance = building.commit()
    if options.start:
        lifecycle.start(instance.name)
    return RestoredInstance(instance, tuple(disks), options.start)


def _parts(hypervisor: Hypervisor) -> tuple[Provisioning, Lifecycle]:
    if hypervisor.provisioning is None or hypervisor.lifecycle is None:
        raise HypervisorError(
            f"{hypervisor.url} cannot define instances from restore points",
            hint="Restore the disks to files: hypersdk restore POINT --to FOLDER",
        )
    return hypervisor.provisioning, hypervisor.lifecycle


def _definition(repository: Repository, point: RestorePoint) -> Definition:
    definition = repository.definition(point)
    if definition is None:
        raise InvalidInput(
            f"restore point {point.id} of {point.instance} holds no definition of an instance",
            hint="It is the backup of an image. Restore it to a file: --to FILE",
        )
    return definition


def _disk(disk: PointDisk) -> Disk:
    return Disk(disk.name, disk.size, disk.format, "", disk.purpose)
