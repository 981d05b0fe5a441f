"""What a person chooses when instances are exported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hypersdk.datapath.throttle import Rate
from hypersdk.model.errors import InvalidInput

if TYPE_CHECKING:
    from hypersdk.artifacts.compression import Compression
    from hypersdk.artifacts.encryption import Seal

#: A package of VMware's kind: descriptor, streamOptimized VMDKs, manifest; or all in one archive.
PACKAGES = ("ovf", "ova")
#: An image per disk, with a descriptor beside them.
IMAGES = ("qcow2", "raw", "vmdk", "vhdx", "vdi", "vhd")
FORMATS = (*PACKAGES, *IMAGES)
CHECKSUMS = ("sha256", "sha512", "blake3")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bandwidth:
    """A bound for all disks of one export together, for what is read from the hypervisor."""

    #: Bytes per second; what is called is asked again every second.
    rate: Rate
    #: Bytes that may pass at once after a silence; 0: a fifth of a second's worth.
    burst: int = 0
    #: ``rate`` is the most; the bound in force falls when reads fail or get slow, and rises again
    #: (`exporting.bandwidth`).
    adaptive: bool = False

    def __post_init__(self) -> None:
        if (not callable(self.rate) and self.rate <= 0) or self.burst < 0:
            raise InvalidInput(
                f"a bandwidth of {self.rate} bytes per second with bursts of {self.burst} "
                "lets nothing pass",
                hint="Give a positive rate.",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotOptions:
    """An explicit snapshot to export from, made by the hypervisor and visible to people.

    Without it a running instance is read from whatever its driver makes for the time of reading.
    """

    #: Empty: ``hyperexport-<UTC time>``.
    name: str = ""
    #: With the running state. Exports hold disks only; it is for reverting to.
    memory: bool = False
    #: Have filesystems frozen for its moment, or fail.
    quiesce: bool = True
    #: Delete it after the export, also after a failed one.
    delete: bool = True
    #: Where it is not deleted: only so many of ours stay, the newest. 0: all.
    keep: int = 0
    #: Merge what snapshots left behind, where the hypervisor says that it is needed.
    consolidate: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestOptions:
    """What ``artifact-manifest.json`` says besides what was exported."""

    #: ``json`` or ``yaml``.
    encoding: str = "json"
    #: The format that a later conversion shall make: ``qcow2``, ``raw``, ``vdi``; empty: none.
    target_format: str = ""
    #: Wishes for a later conversion, in the manifest's own words: ``pipeline``, ``configuration``,
    #: ``options``.
    sections: Mapping[str, object] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """How to export one instance."""

    #: One of `FORMATS`.
    format: str = "ovf"
    #: Disks read at the same time. An OVA is written front to back, so its disks come one after
    #: another whatever this says.
    parallel: int = 4
    #: Pack what is written. ``ovf`` and ``ova``: gzip, as the level by which grains are packed.
    #: ``qcow2``: its clusters, by zlib (gzip) or zstd. Others: each disk's file gets the ending of
    #: the codec.
    compression: Compression | None = None
    #: Digest of ``checksums.txt`` and ``<file>.sha256``.
    checksum: str = "sha256"
    #: Read all files again when they are complete.
    verify: bool = False
    #: Take over what an earlier, unfinished export of the same moment left complete.
    resume: bool = False
    #: Replace an export that is there.
    overwrite: bool = False
    #: Names of disks that are left out.
    exclude: frozenset[str] = frozenset()
    #: Have the guest agent freeze filesystems for the moment of the view, when it answers.
    freeze: bool = True
    bandwidth: Bandwidth | None = None
    snapshot: SnapshotOptions | None = None
    #: Shut the guest down before; it is started again afterwards when it had been running.
    power_off: bool = False
    #: Seconds that the guest has for that.
    power_off_timeout: float = 300.0
    #: Encrypt what is written, file by file.
    seal: Seal | None = None
    #: Write ``artifact-manifest.json``.
    manifest: bool | ManifestOptions = False
    #: URL of a place to which all files are brought; empty: nowhere.
    upload: str = ""
    #: False: remove the local files once the upload was confirmed.
    keep_local: bool = True
    #: Write straight to the place of ``upload``, without a local copy.
    stream_upload: bool = False
    #: Threads per disk; None: what suits the source.
    workers: int | None = None

    def __post_init__(self) -> None:
        _one_of("format", self.format, FORMATS)
        _one_of("checksum", self.checksum, CHECKSUMS)
        if not 1 <= self.parallel <= 64:
            raise InvalidInput(f"{self.parallel} disks at a time", hint="Give 1 to 64.")
        if (self.stream_upload or not self.keep_local) and not self.upload:
            raise InvalidInput(
                "without a place to upload to, the local files are all there is",
                hint="Name a place: --upload s3://bucket/prefix, or keep the local files.",
            )
        if self.power_off and self.snapshot is not None:
            raise InvalidInput(
                "a machine that is shut down for its export needs no snapshot",
                hint="Leave out one of --power-off and --snapshot.",
            )

    @property
    def manifest_options(self) -> ManifestOptions | None:
        """What the manifest shall say; None: there is to be none."""
        if isinstance(self.manifest, ManifestOptions):
            return self.manifest
        return ManifestOptions() if self.manifest else None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLimits:
    """How many instances are exported at the same time."""

    total: int = 4
    #: Of one host.
    per_host: int = 4
    #: With a disk on one datastore or pool.
    per_datastore: int = 4

    def __post_init__(self) -> None:
        if min(self.total, self.per_host, self.per_datastore) < 1:
            raise InvalidInput("a limit below one lets nothing begin")


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanupRules:
    """Which exports in a folder go, oldest first; a rule that is None removes nothing."""

    #: Seconds.
    max_age: float | None = None
    #: Exports that stay at most.
    max_count: int | None = None
    #: Bytes that all that stay have together.
    max_size: int | None = None


def _one_of(what: str, value: str, values: tuple[str, ...]) -> None:
    if value not in values:
        raise InvalidInput(
            f"'{value}' is no {what} of an export", hint=f"Use one of {', '.join(values)}."
        )
