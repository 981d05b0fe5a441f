"""Restore points as their readers see them, and what work on a repository reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum

from hypersdk.model.instances import Consistency, Purpose


@dataclass(frozen=True, slots=True)
class DiskStatistics:
    """What one backup did for one disk. Bytes, except ``seconds``."""

    read: int = 0
    #: In chunks whose content differs from the previous point.
    changed: int = 0
    #: Added to the repository: compressed, encrypted, without what was known already.
    stored: int = 0
    zero: int = 0
    unchanged: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class PointDisk:
    """One disk of a restore point."""

    name: str
    #: Virtual size in bytes.
    size: int
    #: Bytes; power of two, 64 KiB … 4 MiB.
    chunk_size: int
    #: Ids of the segments of its map, 32 bytes each, in disk order.
    segments: tuple[bytes, ...]
    #: Format of the source, to offer the same at restore.
    format: str = "raw"
    purpose: Purpose = Purpose.DISK
    #: Token of the hypervisor's checkpoint taken with this point; None: next run reads in full.
    checkpoint: str | None = None
    #: True when only changed blocks were read.
    incremental: bool = False
    #: Why the disk was read in full, or how the changed blocks were known.
    reason: str = ""
    statistics: DiskStatistics = field(default_factory=DiskStatistics)


@dataclass(frozen=True, slots=True)
class RestorePoint:
    """One instance at one moment in a repository."""

    #: ULID, 26 characters; unique in the world.
    id: str
    instance: str
    #: Start of the backup by the writer's clock, UTC.
    time: datetime
    #: Creation of the object by the storage's clock, UTC; retention goes by this.
    stored_at: datetime
    #: Key of the object in the store.
    key: str
    disks: tuple[PointDisk, ...]
    consistency: Consistency
    #: URL of the hypervisor or image it came from, without secrets.
    source: str = ""
    #: Stable identity of the instance on its hypervisor; empty for an image.
    instance_id: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    #: Never removed by retention while True.
    pinned: bool = False
    #: Not removed before this moment, UTC.
    locked_until: datetime | None = None
    #: BLAKE3 of the stored bytes of the previous point of this instance; empty for the first.
    previous: bytes = b""
    #: BLAKE3 of this point's stored bytes.
    digest: bytes = b""
    #: Kind of the hypervisor's definition sealed in the point; empty when there is none.
    definition_kind: str = ""
    #: Remarks for the operator: an audit that found lying changed-block records, for example.
    warnings: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Virtual bytes of all disks."""
        return sum(disk.size for disk in self.disks)


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """How many points of each instance to keep. Zero or None: that rule keeps nothing."""

    last: int = 0
    hourly: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    yearly: int = 0
    #: Everything younger than this.
    within: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What retention says about one point."""

    point: RestorePoint
    keep: bool
    #: Each rule that keeps it (``daily 2026-11-21``), or the one reason why nothing does.
    reasons: tuple[str, ...]


class VerifyLevel(Enum):
    """How deep a verification looks."""

    #: Stored bytes match the names of packs and the checksums of objects; needs no key.
    STORED = "stored"
    #: Every chunk is decrypted, decompressed and compared with its id; needs a reader key.
    CONTENT = "content"


@dataclass(frozen=True, slots=True)
class AffectedArea:
    """A piece of a restore point that cannot be restored."""

    instance: str
    point: str
    disk: str
    #: First byte on the disk, and how many bytes.
    start: int
    length: int


@dataclass(frozen=True, slots=True)
class Damage:
    """One finding of a verification."""

    #: Key of the object in the store.
    object: str
    #: What is wrong, in words.
    problem: str
    #: Byte range inside the object; length 0 when the whole object is meant.
    offset: int = 0
    length: int = 0
    #: Hex id of the chunk, empty when the damage is not in a chunk.
    chunk: str = ""
    affected: tuple[AffectedArea, ...] = ()


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """Result of a verification; ``ok`` only when everything in scope was read and is right."""

    level: VerifyLevel
    packs: int
    chunks: int
    points: int
    #: Stored bytes read.
    read: int
    seconds: float
    damage: tuple[Damage, ...] = ()
    #: Damage that breaks nothing: another copy is intact, or no restore point needs the chunk.
    harmless: tuple[Damage, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.damage


@dataclass(frozen=True, slots=True)
class GcReport:
    """What one garbage collection did. Bytes are stored bytes."""

    #: Packs found unneeded or mostly empty in this run; they wait for the grace time.
    condemned_packs: int
    condemned_bytes: int
    #: Live bytes copied out of mostly empty packs.
    repacked_bytes: int
    #: Packs condemned earlier and deleted in this run.
    swept_packs: int
    swept_bytes: int
    #: Packs condemned earlier that a newer restore point needs again.
    rescued_packs: int
    #: Condemned packs that still wait, and for what.
    waiting_packs: int
    waiting_for: str
    seconds: float


@dataclass(frozen=True, slots=True)
class RepositoryStatistics:
    """What a repository holds. Bytes unless named otherwise."""

    instances: int
    points: int
    #: Virtual bytes of all disks of all points: what full copies would take.
    virtual: int
    packs: int
    #: All packs, with footers.
    stored: int
    #: Distinct chunks and segments.
    chunks: int
    #: Size of the index cache file on this machine.
    cache: int


@dataclass(frozen=True, slots=True)
class DiskDifference:
    """Where one disk differs between two points."""

    disk: str
    #: Bytes in chunks that differ.
    changed: int
    #: (first byte, bytes) of each differing area, in order; whole chunks.
    areas: tuple[tuple[int, int], ...]
    #: ``both``, ``added`` or ``removed``.
    presence: str = "both"


@dataclass(frozen=True, slots=True)
class RecoverReport:
    """What rebuilding the index found."""

    packs: int
    chunks: int
    #: Key → problem of every pack whose footer could not be read.
    unreadable: Mapping[str, str]
    seconds: float


@dataclass(frozen=True, slots=True)
class CopyReport:
    """What was brought to another repository."""

    #: Restore points that were not there before.
    points: int
    packs: int
    #: Stored bytes.
    copied: int
    #: ``replica``: the same objects and keys; ``transfer``: read and stored anew.
    kind: str
    seconds: float
