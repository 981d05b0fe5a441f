"""What an export would do, found out without changing anything."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from hypersdk.drivers.ports import Hypervisor
from hypersdk.flows.exporting import moments
from hypersdk.flows.exporting.layout import CHECKSUMS_FILE, MANIFEST_FILE, Layout
from hypersdk.flows.exporting.moments import PREFIX
from hypersdk.flows.exporting.options import ExportOptions
from hypersdk.flows.exporting.results import ExportPlan, PlannedFile
from hypersdk.flows.exporting.streaming import check_streaming
from hypersdk.flows.exporting.transport import check_compression, packed_whole
from hypersdk.model.details import InstanceDetails
from hypersdk.model.errors import InvalidInput, NotFound, NotSupported
from hypersdk.model.instances import Disk, Instance, InstanceState, Purpose
from hypersdk.model.units import format_size

#: Descriptor, manifest and checksums together are smaller.
_SMALL = 1 << 20
#: Bytes that a format adds to a disk: tables, a log, blocks that are allocated whole.
_OVERHEADS = {"vhdx": 40 << 20, "vdi": 2 << 20, "vhd": 4 << 20, "qcow2": 1 << 20, "vmdk": 1 << 20}


def plan_export(
    hypervisor: Hypervisor, name: str, folder: Path, options: ExportOptions | None = None
) -> ExportPlan:
    """Raises InstanceNotFound, InvalidInput, NotSupported for what would be refused at once."""
    options = options or ExportOptions()
    check_compression(options)
    check_streaming(options)
    if hypervisor.inventory is None:
        raise NotSupported(f"{hypervisor.url} does not list instances")
    moments.disks_of(hypervisor)
    instance = hypervisor.inventory.instance(name)
    check_disks(instance, options)
    details = details_or_none(hypervisor, instance.name)
    layout = Layout(Path(folder), instance.name, options.format)
    disks = [disk for disk in instance.disks if disk.name not in options.exclude]
    size = sum(disk.size for disk in disks)
    files = _files(instance, layout, options)
    stored = details.stored if details and details.stored else size
    to_read = min(size, stored)
    return ExportPlan(
        instance=instance,
        format=options.format,
        folder=layout.folder,
        files=tuple(files),
        size=size,
        to_read=to_read,
        room_needed=_room(files, options) * 11 // 10,
        room_free=room_at(layout.folder),
        reading=(details.reading if details else "") or reading_of(instance, options),
        snapshot=_snapshot(options),
        power_off=options.power_off and instance.state is not InstanceState.STOPPED,
        upload=options.upload,
        warnings=tuple(_warnings(hypervisor, instance, layout, options, files)),
    )


def details_or_none(hypervisor: Hypervisor, name: str) -> InstanceDetails | None:
    """None where the hypervisor tells no more than a listing."""
    return hypervisor.details.details(name) if hypervisor.details is not None else None


def check_disks(instance: Instance, options: ExportOptions) -> None:
    """Raises NotFound for an excluded disk that is not there, InvalidInput for an instance without
    anything to export, and for archives in a format of disks."""
    known = {disk.name for disk in instance.disks}
    if missing := options.exclude - known:
        raise NotFound(
            f"'{instance.name}' has no disk {', '.join(sorted(missing))} to exclude",
            hint=f"Its disks: {', '.join(sorted(known)) or 'none'}.",
        )
    left = [disk for disk in instance.disks if disk.name not in options.exclude]
    archives = [disk for disk in left if disk.purpose is Purpose.ARCHIVE]
    if archives and options.format != "raw":
        raise InvalidInput(
            f"'{instance.name}' is a container: its filesystem is an archive and no disk",
            hint="Export it as tar files with --format raw, or its image with its own commands.",
        )


def chosen_disks(instance: Instance, disks: Sequence[Disk]) -> list[Disk]:
    """Disks in the order of the instance, by which files are numbered whatever is left out; then
    what only a view knows of."""
    names = {disk.name for disk in instance.disks}
    return [*instance.disks, *(disk for disk in disks if disk.name not in names)]


def file_names(instance: Instance, layout: Layout, options: ExportOptions) -> list[str]:
    """Of all files that an export of the instance would write."""
    return [file.name for file in _files(instance, layout, options)]


def room_at(folder: Path) -> int:
    """Bytes free where the folder is or would be made."""
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free


def _files(instance: Instance, layout: Layout, options: ExportOptions) -> list[PlannedFile]:
    disks = [disk for disk in instance.disks if disk.name not in options.exclude]
    ends = ".age" if options.seal is not None else ""
    packing = packed_whole(options)
    packed = packing.suffix if packing is not None else ""
    size = sum(disk.size for disk in disks)
    if options.format == "ova":
        files = [PlannedFile(layout.archive + ends, size + _SMALL)]
    else:
        named = layout.disk_files(instance.disks)
        extra = _OVERHEADS.get(options.format, 0)
        files = [
            PlannedFile(named[disk.name] + packed + ends, disk.size + extra, disk.name)
            for disk in disks
        ]
        if any(disk.purpose is not Purpose.ARCHIVE for disk in disks):
            files += [
                PlannedFile(layout.descriptor + ends, _SMALL),
                PlannedFile(layout.manifest + ends, _SMALL),
            ]
    files += [PlannedFile(f"{file.name}.{options.checksum}", 200) for file in list(files)]
    files.append(PlannedFile(CHECKSUMS_FILE, _SMALL))
    wishes = options.manifest_options
    if wishes is not None:
        files.append(PlannedFile(f"{MANIFEST_FILE}.{wishes.encoding}", _SMALL))
    return files


def _room(files: Sequence[PlannedFile], options: ExportOptions) -> int:
    """Packing and sealing need the largest file twice for a while."""
    if options.stream_upload:
        return 0
    sizes = [file.size for file in files]
    twice = options.seal is not None or packed_whole(options) is not None
    return sum(sizes) + (max(sizes, default=0) if twice else 0)


def reading_of(instance: Instance, options: ExportOptions) -> str:
    """Where the hypervisor says no more."""
    if options.power_off or instance.state is InstanceState.STOPPED:
        return "the disks are read while the instance is switched off"
    return "the disks are read at one moment while the instance runs"


def _snapshot(options: ExportOptions) -> str:
    if options.snapshot is None:
        return ""
    return options.snapshot.name or f"{PREFIX}<time>"


def _warnings(
    hypervisor: Hypervisor,
    instance: Instance,
    layout: Layout,
    options: ExportOptions,
    files: Sequence[PlannedFile],
) -> list[str]:
    found = []
    there = [file.name for file in files if os.path.lexists(layout.folder / file.name)]
    if there:
        doing = "is replaced" if options.overwrite else "is in the way"
        found.append(f"{layout.folder / there[0]} exists and {doing}")
    if options.snapshot is not None and not moments.reads_snapshots(hypervisor):
        found.append(
            f"{hypervisor.url} cannot read snapshots: the disks are those of the moment after it"
        )
    if options.format == "ova" and options.parallel > 1 and len(instance.disks) > 1:
        found.append("the disks are read one after another, as an archive is written")
    room, free = _room(files, options) * 11 // 10, room_at(layout.folder)
    if room > free:
        found.append(
            f"the files need at most {format_size(room)}, and {format_size(free)} are free at "
            f"{layout.folder}"
        )
    return found
