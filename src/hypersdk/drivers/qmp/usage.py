"""Which images instances use, and which go with an instance."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from hypersdk.datapath.imageinspect import ImageInfo, inspect
from hypersdk.drivers.qmp.commandline import ALLOW_BACKING
from hypersdk.drivers.qmp.definition import DiskRecord, MachineRecord, from_plain
from hypersdk.drivers.qmp.state import InstanceFolder, Root
from hypersdk.model.errors import HyperSDKError, HypervisorError, InstanceNotFound


def images(machine: MachineRecord) -> Iterator[Path]:
    """All image files that an instance needs: disks, what they were made over, and the same as of
    its snapshots."""
    for disk in machine.disks:
        yield Path(disk.path)
        if disk.base:
            yield Path(disk.base)
    for snapshot in machine.snapshots:
        yield from images(from_plain(snapshot.machine))


def disk_files(machine: MachineRecord) -> Iterator[Path]:
    """Without what disks were made over."""
    for disk in machine.disks:
        yield Path(disk.path)
    for snapshot in machine.snapshots:
        yield from disk_files(from_plain(snapshot.machine))


def chain(disk: DiskRecord) -> Iterator[Path]:
    """The image of a disk and its backing files; what is not there any more is left out."""
    try:
        step: ImageInfo | None = inspect(disk.path, disk.format, ALLOW_BACKING)
    except HyperSDKError:
        return
    while step is not None:
        yield step.path
        step = step.backing


def removable(root: Root, folder: InstanceFolder, machine: MachineRecord) -> list[Path]:
    """Files that only this instance uses. Block devices and bases are never among them."""
    others: set[Path] = set()
    for other in root.folders():
        if other.path != folder.path:
            with suppress(InstanceNotFound, HypervisorError):
                others.update(path.resolve() for path in images(other.definition()))
    bases = {disk.base for disk in machine.disks}
    return [
        path
        for path in dict.fromkeys(disk_files(machine))
        if path.resolve() not in others and str(path) not in bases and path.is_file()
    ]
