"""The three ways in which a restore point comes back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypersdk.app.kinds.made import claimed, removed_half_made
from hypersdk.app.kinds.notes import Note, looks
from hypersdk.app.kinds.requests import answer
from hypersdk.app.kinds.site import JOB_TAG, lifecycle_of, pace
from hypersdk.contract.kinds import RestoreRequest, RestoreResult
from hypersdk.datapath.failures import already_exists
from hypersdk.drivers.diskports import Placement
from hypersdk.drivers.ports import Hypervisor
from hypersdk.flows.provision import ProvisionOptions, restore_instance
from hypersdk.flows.restore import RestoreOptions, restore, restore_targets
from hypersdk.flows.revert import revert_instance
from hypersdk.jobs.kinds import Run
from hypersdk.model.points import RestorePoint
from hypersdk.repository.repository import Repository


def to_files(
    wanted: RestoreRequest, run: Run, repository: Repository, point: RestorePoint, folder: Path
) -> dict[str, Any]:
    """Each disk in a file of its own in the folder. Raises AlreadyExists, Damaged."""
    note = Note(folder, f"restore-{point.id}", run.job.id)
    done = run.step("restore", lambda: _files(wanted, run, repository, point, folder, note))
    note.remove()
    return done


def _files(
    wanted: RestoreRequest,
    run: Run,
    repository: Repository,
    point: RestorePoint,
    folder: Path,
    note: Note,
) -> dict[str, Any]:
    targets = restore_targets(point, folder, tuple(wanted.disks), wanted.format)
    told = note.read()
    if told is None:
        for path in targets.values():
            if path.exists() and not wanted.overwrite:
                note.remove()  # and the folder, if it was made just now
                raise already_exists(path)
        # How the files look that may be replaced: another look is that of our own.
        told = {"before": {disk: looks(path) for disk, path in targets.items()}, "done": {}}
        note.write(**told)
    finished: dict[str, list[float]] = dict(told["done"])
    options = RestoreOptions(
        format=wanted.format,
        overwrite=wanted.overwrite,
        throttle=pace(run, wanted.throttle),
        workers=wanted.workers,
    )
    try:
        for disk, path in targets.items():
            if disk in finished or looks(path) not in ([], told["before"].get(disk)):
                run.log(f"{path} was restored before this run began")
                continue
            run.phase("restoring", f"{point.instance}/{disk}")
            (made,) = restore(
                repository,
                point,
                path,
                disk=disk,
                options=options,
                reporter=run.reporter,
                cancel=run.cancel,
            )
            finished[disk] = [made.written, made.seconds]
            note.add(done=finished)
    except BaseException:
        if not finished:
            note.remove()  # the next run begins as this one did
        raise
    return answer(
        RestoreResult(
            point=point.id,
            instance=point.instance,
            files=[str(path) for path in targets.values()],
            size=sum(disk.size for disk in point.disks if disk.name in targets),
            written=int(sum(written for written, _ in finished.values())),
            seconds=round(sum(seconds for _, seconds in finished.values()), 3),
        )
    )


def as_instance(
    wanted: RestoreRequest,
    run: Run,
    repository: Repository,
    point: RestorePoint,
    hypervisor: Hypervisor,
    *,
    before: Callable[[], None],
) -> dict[str, Any]:
    """A new instance. ``before`` is called when it is about to be made. Raises AlreadyExists, and
    what building and ``before`` raise."""
    done = run.step(
        "restore", lambda: _instance(wanted, run, repository, point, hypervisor, before)
    )
    if not wanted.start:
        return done
    run.phase("starting", done["restored"])
    run.step("start", lambda: lifecycle_of(hypervisor).start(done["restored"]))
    return {**done, "started": True}


def _instance(
    wanted: RestoreRequest,
    run: Run,
    repository: Repository,
    point: RestorePoint,
    hypervisor: Hypervisor,
    before: Callable[[], None],
) -> dict[str, Any]:
    name = wanted.new_name or point.instance
    result = RestoreResult(
        point=point.id,
        instance=point.instance,
        restored=name,
        hypervisor=wanted.to_hypervisor,
        size=point.size,
    )
    if (found := claimed(hypervisor, name, run)) is not None:
        run.log(f"{name} was restored before this run began")
        return answer(result.model_copy(update={"restored": found.name}))
    removed_half_made(hypervisor, name, run)
    before()
    run.phase("restoring", name)
    made = restore_instance(
        repository,
        point,
        hypervisor,
        options=ProvisionOptions(
            placement=_placement(wanted, run, name),
            throttle=pace(run, wanted.throttle),
            workers=wanted.workers,
        ),
        reporter=run.reporter,
        cancel=run.cancel,
    )
    return answer(
        result.model_copy(
            update={
                "restored": made.instance.name,
                "written": sum(disk.written for disk in made.disks),
                "seconds": round(sum(disk.seconds for disk in made.disks), 3),
            }
        )
    )


def _placement(wanted: RestoreRequest, run: Run, name: str) -> Placement:
    return Placement(
        name=name,
        new_macs=None if wanted.keep_mac is None else not wanted.keep_mac,
        pool=wanted.pool,
        folder=wanted.folder,
        networks=wanted.networks,
        overwrite=wanted.overwrite,
        isolated=wanted.isolated,
        tags={JOB_TAG: run.job.id},
    )


def in_place(
    wanted: RestoreRequest,
    run: Run,
    repository: Repository,
    point: RestorePoint,
    hypervisor: Hypervisor,
) -> dict[str, Any]:
    """The stopped instance that is there as it was. A second time finds nothing to write."""
    name = wanted.new_name or point.instance

    def reverted() -> dict[str, Any]:
        run.phase("reverting", name)
        disks = revert_instance(
            repository,
            point,
            hypervisor,
            name,
            options=RestoreOptions(throttle=pace(run, wanted.throttle), workers=wanted.workers),
            reporter=run.reporter,
            cancel=run.cancel,
        )
        return answer(
            RestoreResult(
                point=point.id,
                instance=point.instance,
                restored=name,
                hypervisor=wanted.to_hypervisor,
                size=point.size,
                written=sum(disk.written for disk in disks),
                seconds=round(sum(disk.seconds for disk in disks), 3),
            )
        )

    return run.step("restore", reverted)
