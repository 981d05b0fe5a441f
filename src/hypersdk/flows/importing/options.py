"""What a person chooses when a package becomes an instance, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hypersdk.datapath.throttle import Rate
from hypersdk.model.instances import Instance

if TYPE_CHECKING:
    from hypersdk.artifacts.encryption import Opening


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """As what, and where."""

    #: Empty: the name in the package, or of the file.
    name: str = ""
    #: Network as the package calls it → as it is called here. ``-`` leaves the card out.
    networks: Mapping[str, str] = field(default_factory=dict)
    #: Where people look for it: ``prod/web``.
    folder: str = ""
    #: Datastore, storage pool, or folder of files for its disks; empty: the hypervisor's choice.
    storage: str = ""
    #: Start it when it is complete.
    start: bool = False
    #: Format of its disks where the hypervisor keeps several: ``qcow2``, ``raw``.
    disk_format: str = "qcow2"
    #: Bus of its disks: ``virtio``, ``scsi``, ``sata``; empty: by what the package says.
    bus: str = ""
    #: Keep the addresses of network cards; otherwise they get new ones.
    keep_macs: bool = False
    #: None: as the package says. A bare image says nothing: one processor, 1 GiB.
    vcpus: int | None = None
    #: Bytes.
    memory: int | None = None
    #: ``bios`` or ``uefi``; empty: as the package says.
    firmware: str = ""
    #: Disks written at the same time, where the package has them side by side.
    parallel: int = 2
    #: What opens a sealed package.
    opening: Opening | None = None
    #: Take the package at its word about disks that are huge for the size of their files.
    trust_sizes: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)
    #: Bytes per second written; None: as fast as it goes.
    throttle: Rate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedDisk:
    """A disk that was written. Bytes, except ``seconds``."""

    name: str
    #: File of the package that held it.
    file: str
    size: int
    #: Data written; the rest is zero.
    written: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """An instance that was made of a package."""

    instance: Instance
    disks: tuple[ImportedDisk, ...]
    seconds: float
    started: bool = False
    #: Digests of a manifest were compared with what was read.
    verified: bool = False
    warnings: tuple[str, ...] = ()
