"""Look at a destination without changing it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from hypersdk.flows.exporting.layout import Layout
from hypersdk.flows.preflight.subject import Destination, DestinationFacts
from hypersdk.model.details import InstanceDetails


def destination_facts(destination: Destination, details: InstanceDetails) -> DestinationFacts:
    """What is known of it now."""
    folder = destination.folder.expanduser().absolute()
    nearest = _nearest(folder)
    free, total = _room(nearest)
    layout = Layout(folder, details.instance.name, destination.format)
    needed = destination.needed
    return DestinationFacts(
        folder=folder,
        format=destination.format,
        unwritable=_why_unwritable(nearest),
        free=free,
        total=total,
        needed=bytes_needed(details) if needed is None else needed,
        existing=_existing(layout, details),
        unfinished=_unfinished(layout),
        overwrite=destination.overwrite,
        resume=destination.resume,
        converts=destination.converts,
    )


def bytes_needed(details: InstanceDetails) -> int:
    """At most what its disks hold: what they occupy where that is known, never more than their
    size. Images are sparse or packed."""
    size = sum(max(disk.size, 0) for disk in details.disks)
    return size if details.stored is None else min(details.stored, size)


def _nearest(folder: Path) -> Path:
    """The folder, or the one above in which it would be made."""
    for each in (folder, *folder.parents):
        if os.path.lexists(each):
            return each
    return Path("/")


def _room(folder: Path) -> tuple[int | None, int | None]:
    try:
        found = os.statvfs(folder)
    except OSError:
        return None, None  # why, says the attempt to write
    return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize


def _why_unwritable(folder: Path) -> str:
    """Empty when a file can be made there. It is made without a name where the file system can."""
    if not folder.is_dir():
        return "it is no folder"
    try:
        with tempfile.TemporaryFile(dir=folder, prefix=".hyperexport-") as probe:
            probe.write(b"\0")
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _existing(layout: Layout, details: InstanceDetails) -> tuple[str, ...]:
    """Finished files of an export of this name, also packed or encrypted ones."""
    names = {layout.descriptor, layout.manifest, layout.archive}
    names.update(layout.disk_files(details.instance.disks).values())
    try:
        there = sorted(os.listdir(layout.folder))
    except OSError:
        return ()  # not there yet, or what `unwritable` tells
    return tuple(each for each in there if each in names or each.rpartition(".")[0] in names)


def _unfinished(layout: Layout) -> tuple[str, ...]:
    return tuple(path.name for path in (layout.staging, layout.checkpoint) if os.path.lexists(path))
