"""Look after a hypervisor's records of changed blocks: are they whole, and remove them.

A checkpoint is known to the hypervisor; the bitmap behind it lies in each disk image. One without
the other is of no use: a bitmap alone costs every write of the guest, a checkpoint alone fails the
next backup that builds on it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from hypersdk.drivers.diskports import Checkpoints
from hypersdk.drivers.ports import Hypervisor
from hypersdk.model.checkpoints import Checkpoint, DiskBitmaps
from hypersdk.model.errors import HypervisorError, NotFound
from hypersdk.model.points import RestorePoint


@dataclass(frozen=True, slots=True)
class CheckpointStatus:
    """What an instance and its disks record."""

    instance: str
    #: Oldest first, also those of other programs.
    checkpoints: tuple[Checkpoint, ...]
    disks: tuple[DiskBitmaps, ...]
    #: What does not fit together, for a person; empty when all is well.
    problems: tuple[str, ...]

    @property
    def consistent(self) -> bool:
        return not self.problems


class ScrubType(Enum):
    """What is removed."""

    #: What the hypervisor knows; bitmaps stay in the images.
    CHECKPOINT = "checkpoint"
    #: Bitmaps in images that no checkpoint needs.
    BITMAP = "bitmap"
    #: Checkpoints with their bitmaps, and bitmaps without a checkpoint.
    BOTH = "both"
    #: The same of the whole series, whatever single name was asked for.
    ALL = "*"


@dataclass(frozen=True, slots=True)
class Scrubbed:
    """Names of what was removed, oldest first."""

    instance: str
    checkpoints: tuple[str, ...] = ()
    bitmaps: tuple[str, ...] = ()


def checkpoint_status(
    hypervisor: Hypervisor, instance: str, latest: RestorePoint | None = None
) -> CheckpointStatus:
    """Compare checkpoints and bitmaps by name, disk by disk.

    ``latest``: the newest restore point that is to be built on; that nothing is left of what it
    counts on is a problem, too. Raises InstanceNotFound, HypervisorError.
    """
    records = _records(hypervisor)
    checkpoints = tuple(records.checkpoints(instance))
    disks = tuple(records.bitmaps(instance))
    problems = [problem for disk in disks for problem in _problems(disk, checkpoints)]
    problems += _uncovered(latest, checkpoints) if latest else []
    return CheckpointStatus(instance, checkpoints, disks, tuple(problems))


def scrub(
    hypervisor: Hypervisor,
    instance: str,
    what: ScrubType,
    *,
    series: str,
    name: str | None = None,
) -> Scrubbed:
    """Remove the checkpoints or bitmaps ``<series>.<number>``, or only the one of ``name``.

    Those of other programs stay unless named. Works in whatever state the instance is.
    Raises NotFound when nothing has that name, InvalidState for a bitmap that a checkpoint needs.
    """
    records = _records(hypervisor)
    wanted = re.compile(rf"{re.escape(series)}\.[0-9]+")
    if name is not None and what is not ScrubType.ALL:
        wanted = re.compile(re.escape(name))
    checkpoints = [
        checkpoint.name
        for checkpoint in records.checkpoints(instance)
        if what is not ScrubType.BITMAP and wanted.fullmatch(checkpoint.name)
    ]
    # Oldest first: without a parent there is nothing to merge into.
    for checkpoint in checkpoints:
        if what is ScrubType.CHECKPOINT:
            records.forget(instance, checkpoint)
        else:
            records.delete(instance, checkpoint)
    bitmaps = [] if what is ScrubType.CHECKPOINT else _bitmaps(records, instance, wanted)
    for bitmap in bitmaps:
        records.remove_bitmap(instance, bitmap)
    if name is not None and what is not ScrubType.ALL and not (checkpoints or bitmaps):
        kind = "bitmap" if what is ScrubType.BITMAP else "checkpoint"
        raise NotFound(f"{instance} has no {kind} {name}", hint="See what there is: --status")
    return Scrubbed(instance, tuple(checkpoints), tuple(bitmaps))


def _records(hypervisor: Hypervisor) -> Checkpoints:
    if hypervisor.checkpoints is None:
        raise HypervisorError(f"{hypervisor.url} keeps no records of changed blocks")
    return hypervisor.checkpoints


def _bitmaps(records: Checkpoints, instance: str, wanted: re.Pattern[str]) -> list[str]:
    """Each name once, in the order of the first disk that has it."""
    names = (bitmap.name for disk in records.bitmaps(instance) for bitmap in disk.bitmaps)
    return [name for name in dict.fromkeys(names) if wanted.fullmatch(name)]


def _problems(disk: DiskBitmaps, checkpoints: Sequence[Checkpoint]) -> Iterator[str]:
    expected = [each.name for each in checkpoints if disk.disk in each.disks]
    if disk.problem:
        if expected or disk.path:  # one without a path is of a kind that keeps no bitmaps
            yield f"{disk.disk}: its bitmaps cannot be seen: {disk.problem}"
        return
    found = {bitmap.name: bitmap for bitmap in disk.bitmaps}
    for name in expected:
        if name not in found:
            yield f"{disk.disk}: the bitmap of checkpoint {name} is missing"
        elif not found[name].consistent:
            yield f"{disk.disk}: bitmap {name} was not saved properly and is of no use"
    for name in found:
        if name not in expected:
            yield f"{disk.disk}: bitmap {name} belongs to no checkpoint"


def _uncovered(latest: RestorePoint, checkpoints: Sequence[Checkpoint]) -> list[str]:
    """Tokens are the driver's own words; that none of them can be met needs no reading of them."""
    recorded = {disk for checkpoint in checkpoints for disk in checkpoint.disks}
    return [
        f"{disk.name}: the checkpoint of restore point {latest.id} is gone; "
        "the next backup reads the disk in full"
        for disk in latest.disks
        if disk.checkpoint and disk.name not in recorded
    ]
