"""What exports are going to do, and what they did."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path

from hypersdk.model.errors import HyperSDKError
from hypersdk.model.instances import Consistency, Instance


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """A file that is going to be written."""

    name: str
    #: Bytes that it will have at most, as far as can be told.
    size: int
    #: Disk of the instance that it holds; empty for other files.
    disk: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportPlan:
    """What an export would do now. Nothing was changed to find out. Bytes."""

    instance: Instance
    format: str
    folder: Path
    files: tuple[PlannedFile, ...]
    #: Sum of the virtual sizes of the disks that are read.
    size: int
    #: At most so many of them are data and have to be read.
    to_read: int
    #: Room for the files, a tenth more than they need.
    room_needed: int
    #: Room at the folder.
    room_free: int
    #: How the disks are read: a sentence.
    reading: str
    #: Name of the snapshot that is made; empty: none.
    snapshot: str = ""
    #: The guest is shut down before and started again afterwards.
    power_off: bool = False
    #: Place that the files are brought to.
    upload: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def fits(self) -> bool:
        """There is room for it."""
        return self.room_needed <= self.room_free


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedFile:
    """A file of an export."""

    name: str
    size: int
    #: In hex, by the export's algorithm.
    digest: str
    #: Disk of the instance that it holds; empty for other files.
    disk: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedDisk:
    """One disk that was exported. Bytes, except ``seconds``."""

    name: str
    file: str
    #: Virtual size.
    size: int
    #: Read from the hypervisor; 0 when an earlier run had finished the disk.
    read: int
    #: Of the file as it was written, before packing and sealing.
    stored: int
    seconds: float
    #: An earlier run had finished it, and its moment is the same.
    taken_over: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """An export that is complete."""

    instance: Instance
    format: str
    folder: Path
    files: tuple[ExportedFile, ...]
    disks: tuple[ExportedDisk, ...]
    checksum: str
    #: When its moment was, UTC.
    time: datetime
    seconds: float
    consistency: Consistency
    #: How the disks were read: a sentence.
    reading: str = ""
    #: Snapshot that was kept; empty: none.
    snapshot: str = ""
    #: All files were read again and are right.
    verified: bool = False
    #: Where the files were brought to; empty: nowhere.
    uploaded: str = ""
    #: False: the local files were removed after the upload, or never were.
    local: bool = True
    warnings: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


class BatchState(Enum):
    """How an instance of a batch ended."""

    EXPORTED = "exported"
    FAILED = "failed"
    #: Not begun when the batch was cancelled.
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchItem:
    """One instance of a batch."""

    name: str
    folder: Path
    state: BatchState
    exported: Exported | None = None
    error: HyperSDKError | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchReport:
    """A batch that has ended, in the order in which its instances were named."""

    items: tuple[BatchItem, ...]
    seconds: float

    @property
    def failed(self) -> tuple[BatchItem, ...]:
        """Those that did not end well, also those that were not begun."""
        return tuple(each for each in self.items if each.state is not BatchState.EXPORTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedExport:
    """All files of an export were read and are right."""

    folder: Path
    #: Name → bytes.
    files: dict[str, int]
    #: What was checked, for a person: ``12 grains of web-disk-0.vmdk``.
    checks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Removed:
    """An export that was removed, or would be."""

    folder: Path
    #: Bytes.
    size: int
    #: UTC.
    time: datetime
    #: Which rule it fell to: a sentence.
    reason: str
