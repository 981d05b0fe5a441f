"""What views of running and of stopped instances have in common."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from hypersdk.datapath.ports import BlockSource
from hypersdk.datapath.raw import RawSource
from hypersdk.drivers.diskports import ViewOptions
from hypersdk.drivers.qmp.definition import DiskRecord, MachineRecord
from hypersdk.drivers.qmp.tokens import Token
from hypersdk.model.checkpoints import Bitmap
from hypersdk.model.errors import HypervisorError
from hypersdk.model.instances import Definition, Disk, Purpose

#: ``content`` is that of ``definition.json``.
DEFINITION_KIND = "qmp"


class FileView:
    """``DiskView`` of a file that the guest needs for booting."""

    def __init__(self, path: str, purpose: Purpose) -> None:
        self._path = path
        self.disk = Disk(purpose.value, Path(path).stat().st_size, "raw", path, purpose)
        self.checkpoint: str | None = None
        self.incremental = False
        self.reason = "read in full each time"

    def open(self, *, full: bool = False) -> BlockSource:  # noqa: ARG002 - it is always full
        return RawSource(self._path)


def file_views(machine: MachineRecord) -> list[FileView]:
    """Raises HypervisorError for a file that we cannot read: the guest would not boot without."""
    found = []
    for path, purpose in ((machine.kernel, Purpose.KERNEL), (machine.initrd, Purpose.INITRD)):
        if path:
            try:
                found.append(FileView(path, purpose))
            except OSError as error:
                raise HypervisorError(
                    f"{path}, which '{machine.name}' boots from, cannot be read: {error.strerror}",
                    hint="Put it back: the instance would not boot without it.",
                ) from error
    return found


def chosen(machine: MachineRecord, options: ViewOptions) -> list[DiskRecord]:
    """The disks of a view."""
    return [disk for disk in machine.disks if disk.name not in options.exclude]


def definition(machine: MachineRecord) -> Definition:
    return Definition(DEFINITION_KIND, machine.encode())


def why_full(disk: DiskRecord, since: Mapping[str, str], bitmaps: Iterable[Bitmap]) -> Token | str:
    """The token by which changes of a disk may be asked for, or why it has to be read in full.
    ``bitmaps``: those that its image has now."""
    if disk.format != "qcow2":
        return f"{disk.format} images keep no record of changes"
    text = since.get(disk.name)
    if text is None:
        return "there is no earlier checkpoint of this disk"
    token = Token.parse(text)
    if token is None:
        return "the last backup was made through another driver"
    if problem := token.mismatch(disk):
        return problem
    found = [bitmap for bitmap in bitmaps if bitmap.name == token.bitmap]
    if not found:
        return f"the record of changes {token.bitmap} is lost (reverted, removed, or killed)"
    if not found[0].consistent:
        return f"the record of changes {token.bitmap} was not saved properly (power cut, kill)"
    return token


def superseded(since: Mapping[str, str], series: str, kept: str) -> set[str]:
    """Bitmaps that nobody needs once a new restore point is there: those of the point before."""
    tokens = [Token.parse(text) for text in since.values()]
    names = {token.bitmap for token in tokens if token is not None}
    return {name for name in names if name.startswith(f"{series}.") and name != kept}
