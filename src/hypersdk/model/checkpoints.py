"""Records of changed blocks that a hypervisor keeps."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A moment since which a hypervisor records what changes."""

    name: str
    #: UTC.
    created: datetime
    #: Name of the checkpoint before it; empty for the first.
    parent: str
    #: Disks whose changes it records.
    disks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Bitmap:
    """One record of changed blocks inside a disk image."""

    name: str
    #: Bytes that one bit stands for; 0 when the hypervisor will not say.
    granularity: int
    #: False when it was not saved properly (power cut, kill): it is of no use any more.
    consistent: bool


@dataclass(frozen=True, slots=True)
class DiskBitmaps:
    """The records that one disk holds."""

    disk: str
    path: str
    #: Bytes the guest sees, and bytes the image takes on its storage.
    virtual_size: int
    actual_size: int
    bitmaps: tuple[Bitmap, ...]
    #: Why the records cannot be seen; empty when they can.
    problem: str = ""
