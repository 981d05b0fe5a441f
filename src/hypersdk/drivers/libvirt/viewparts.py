"""What views of running and of stopped domains have in common."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from xml.etree.ElementTree import Element

import libvirt

from hypersdk.datapath.bitmaps import image_records
from hypersdk.datapath.ports import BlockSource
from hypersdk.datapath.raw import RawSource
from hypersdk.drivers.libvirt.disksources import DiskSource
from hypersdk.drivers.libvirt.guestfiles import GuestFile
from hypersdk.drivers.libvirt.marks import marks
from hypersdk.drivers.libvirt.records import checkpoint_names, missing_checkpoint, remove_checkpoint
from hypersdk.drivers.libvirt.tokens import SERIES, Moment, Token, number
from hypersdk.drivers.libvirt.translate import size
from hypersdk.model.instances import Disk, Instance, InstanceState

#: Checkpoints of another series than our own that stay: their users look at them. Each costs the
#: guest a little with every write.
KEPT = 16


class FileView:
    """``DiskView`` of a file that the guest needs for booting."""

    def __init__(self, file: GuestFile) -> None:
        self._path = file.path
        self.disk = file.disk()
        self.checkpoint: str | None = None
        self.incremental = False
        self.reason = "read in full each time"

    def open(self, *, full: bool = False) -> BlockSource:  # noqa: ARG002 - it is always full
        return RawSource(self._path)


def why_full(
    domain: libvirt.virDomain, disk: DiskSource, since: Mapping[str, str], *, running: bool
) -> Token | str:
    """The token by which changes of a disk may be asked for, or why it has to be read in full."""
    if not disk.records_changes:
        return f"{disk.format} images keep no record of changes"
    text = since.get(disk.name)
    if text is None:
        return "there is no earlier checkpoint of this disk"
    token = Token.parse(text)
    if token is None:
        return "the last backup was made through another driver"
    return (
        token.mismatch(disk)
        or missing_checkpoint(domain, token, disk.name, running=running)
        or token
    )


def drop_superseded(
    domain: libvirt.virDomain, kept: Moment, since: Mapping[str, str], series: str
) -> None:
    """After a new restore point: checkpoints go that nobody can use.

    Of our own series those of the point before; of a numbered series the oldest above `KEPT`.
    """
    if series == SERIES:
        tokens = [Token.parse(text) for text in since.values()]
        gone = {token.checkpoint for token in tokens if token and token.moment.unique}
    else:
        ours = [name for name in checkpoint_names(domain) if number(series, name) >= 0]
        gone = set(sorted(ours, key=lambda name: number(series, name))[:-KEPT])
    for name in sorted(gone - {kept.name}):
        remove_checkpoint(domain, name)


def drop_broken(domain: libvirt.virDomain, disks: Iterable[DiskSource]) -> None:
    """Remove bitmaps of ours that a power cut made useless: of a stopped domain, since nothing can
    remove them while it runs."""
    names = {
        bitmap.name
        for disk in disks
        for bitmap in image_records(disk.path, disk.format).bitmaps
        if bitmap.name.startswith(f"{SERIES}.") and not bitmap.consistent
    }
    for name in sorted(names):
        remove_checkpoint(domain, name)


def observed(
    domain: libvirt.virDomain, xml: Element, state: InstanceState, disks: tuple[Disk, ...]
) -> Instance:
    noted = marks(xml)
    return Instance(
        id=domain.UUIDString(),
        name=domain.name(),
        state=state,
        vcpus=int(xml.findtext("vcpu") or 0),
        memory=size(xml.find("memory")),
        disks=disks,
        tags=noted.as_tags(),
        owned=noted.made,
        folder=noted.folder,
    )
