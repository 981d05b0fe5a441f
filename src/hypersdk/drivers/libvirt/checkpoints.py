"""The ``checkpoints`` part: see and remove records of changed blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import libvirt

from hypersdk.datapath.bitmaps import ImageRecords, image_records
from hypersdk.drivers.libvirt.connection import Connection
from hypersdk.drivers.libvirt.disksources import DiskSource, split_sources
from hypersdk.drivers.libvirt.errors import native
from hypersdk.drivers.libvirt.records import (
    checkpoint_names,
    describe,
    forget_checkpoint,
    recorded_disks,
    remove_checkpoint,
    remove_orphans,
)
from hypersdk.drivers.libvirt.translate import parsed
from hypersdk.model.checkpoints import Bitmap, Checkpoint, DiskBitmaps
from hypersdk.model.errors import DataPathError, InvalidState, NotFound

#: Has libvirt look at the bitmaps: it gives a size only for those that are whole.
_WITH_SIZES = libvirt.VIR_DOMAIN_CHECKPOINT_XML_NO_DOMAIN | libvirt.VIR_DOMAIN_CHECKPOINT_XML_SIZE


class LibvirtCheckpoints:
    """Of any domain of the connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def checkpoints(self, name: str) -> Sequence[Checkpoint]:
        """See the port."""
        domain = self._connection.domain(name)
        return [self._checkpoint(domain, each) for each in checkpoint_names(domain)]

    def _checkpoint(self, domain: libvirt.virDomain, name: str) -> Checkpoint:
        xml = describe(domain, name)
        if xml is None:  # removed since it was listed
            return Checkpoint(name, datetime.fromtimestamp(0, UTC), "", ())
        created = int(xml.findtext("creationTime") or 0)
        return Checkpoint(
            name=name,
            created=datetime.fromtimestamp(created, UTC),
            parent=xml.findtext("parent/name") or "",
            disks=tuple(sorted(recorded_disks(xml))),
        )

    def bitmaps(self, name: str) -> Sequence[DiskBitmaps]:
        """See the port.

        Of a running domain those of its checkpoints, as QEMU has them now, and those without a
        checkpoint as they were when it was started.
        """
        domain = self._connection.domain(name)
        with native(f"look at the disks of '{name}'"):
            found, refused = split_sources(domain, parsed(domain.XMLDesc(0)))
            running = bool(domain.isActive())
        disks = [_disk_bitmaps(domain, disk, running) for disk in found]
        return [*disks, *(DiskBitmaps(name, "", 0, 0, (), text) for name, text in refused.items())]

    def delete(self, name: str, checkpoint: str) -> None:
        """See the port."""
        domain = self._connection.domain(name)
        if describe(domain, checkpoint) is not None:
            remove_checkpoint(domain, checkpoint)
        else:
            remove_orphans(domain, checkpoint)

    def forget(self, name: str, checkpoint: str) -> None:
        """See the port."""
        forget_checkpoint(self._connection.domain(name), checkpoint)

    def remove_bitmap(self, name: str, bitmap: str) -> None:
        """See the port."""
        domain = self._connection.domain(name)
        if describe(domain, bitmap) is not None:
            raise InvalidState(
                f"checkpoint {bitmap} of '{name}' still needs its bitmap",
                hint="Remove the checkpoint as well.",
            )
        remove_orphans(domain, bitmap)


def _disk_bitmaps(domain: libvirt.virDomain, disk: DiskSource, running: bool) -> DiskBitmaps:
    try:
        records = image_records(disk.path, disk.format, in_use=running)
    except (DataPathError, NotFound) as error:
        return DiskBitmaps(disk.name, disk.path, 0, 0, (), error.message)
    bitmaps = tuple(_live(domain, disk.name, records)) if running else records.bitmaps
    return DiskBitmaps(disk.name, disk.path, records.virtual_size, records.actual_size, bitmaps)


def _live(domain: libvirt.virDomain, disk: str, stored: ImageRecords) -> Iterator[Bitmap]:
    """What QEMU has for the checkpoints, then what the image had besides at the start."""
    granularity = {bitmap.name: bitmap.granularity for bitmap in stored.bitmaps}
    names = checkpoint_names(domain)
    for name in names:
        with native(f"look at checkpoint '{name}' of '{domain.name()}'"):
            xml = parsed(domain.checkpointLookupByName(name).getXMLDesc(_WITH_SIZES))
        for each in xml.iterfind("disks/disk"):
            if each.get("name") == disk and each.get("size") is not None:
                yield Bitmap(name, granularity.get(name, 0), consistent=True)
    for bitmap in stored.bitmaps:
        if bitmap.name not in names:
            yield bitmap
