"""Requests and results of every kind of job.

Instances, hypervisors and repositories are named as the daemon knows them. A hypervisor or
repository may also be given by its URL or path, which only an administrator may do. Paths are those
of the worker's host and lie in its ``folders``. Secrets are references (``env:NAME``,
``file:PATH``, ``keyring:SERVICE/USER``). Sizes are bytes, rates bytes per second, and what a job
may read or write is bounded by the budgets as well. docs/jobs.md has an example of each.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from hypersdk.contract.base import Answer, Asked, Moment

#: Bytes per second.
Rate = Annotated[int, Field(ge=1)]
#: Threads.
Workers = Annotated[int, Field(ge=1, le=256)]
Count = Annotated[int, Field(ge=0)]
ImageFormat = Literal["qcow2", "raw", "vmdk", "vhdx", "vdi", "vhd"]
#: A number with ``s``, ``m``, ``h``, ``d`` or ``w``: ``7d``.
Duration = Annotated[str, Field(pattern=r"^\s*\d+(\.\d+)?\s*[smhdwSMHDW]\s*$")]


class RetentionRecord(Asked):
    """Which restore points of an instance stay; the newest of each period. Nothing named keeps
    nothing, so at least one is given."""

    last: Count = 0
    hourly: Count = 0
    daily: Count = 0
    weekly: Count = 0
    monthly: Count = 0
    yearly: Count = 0
    #: Everything younger.
    within: Duration | None = None


class BackupRequest(Asked):
    """Back up an instance, or an image file on the worker's host."""

    repository: str
    hypervisor: str = ""
    instance: str = ""
    #: Path of an image, or URL of an NBD export, instead of hypervisor and instance.
    image: str = ""
    #: Name under which an image is kept.
    name: str = ""
    #: Of an image; empty: found out by looking, which a guest can mislead for raw disks.
    image_format: Literal["", "qcow2", "raw", "vmdk", "vhdx", "vdi", "vhd"] = ""
    #: Files and folders that an image may name as its backing files.
    allow_backing: list[str] = []
    throttle: Rate | None = None
    #: Read everything, whatever the hypervisor says has changed.
    full: bool = False
    #: Have the guest agent freeze filesystems for the moment of the backup, when it answers.
    freeze: bool = True
    #: Disks that are left out.
    exclude: list[str] = []
    #: Kept with the restore point, which also gets ``hypersdk.job``: the id of the job.
    tags: dict[str, str] = {}
    #: Never removed by retention.
    pinned: bool = False
    locked_until: Moment | None = None
    #: Of disks without an earlier point: a power of two from 64 KiB to 4 MiB.
    chunk_size: int | None = Field(default=None, ge=64 << 10, le=4 << 20)
    #: Checkpoints that this backup goes on with.
    series: str = "hypersdk"
    workers: Workers | None = None
    #: Applied to this instance afterwards.
    retention: RetentionRecord | None = None


class PointDiskRecord(Answer):
    """One disk of a restore point that was made. Bytes, except ``seconds``."""

    name: str
    size: int
    incremental: bool = False
    #: Why it was read in full, or how its changes were known.
    reason: str = ""
    read: int = 0
    changed: int = 0
    stored: int = 0
    zero: int = 0
    unchanged: int = 0
    seconds: float = 0.0


class BackupResult(Answer):
    """The restore point that was made."""

    point: str
    instance: str
    repository: str
    #: What was reached: ``offline``, ``crash`` or ``filesystem``.
    consistency: str
    #: Only changed blocks were read, of every disk.
    incremental: bool
    #: Bytes: of all disks, and what was done with them.
    size: int
    read: int
    changed: int
    stored: int
    zero: int
    unchanged: int
    seconds: float
    disks: list[PointDiskRecord] = []
    warnings: list[str] = []
    #: Points that retention removed.
    pruned: list[str] = []


class RestoreRequest(Asked):
    """Restore a point as files, as a new instance, or in place."""

    repository: str
    instance: str
    #: Id of the point or its beginning, ``latest``, or a time: the last one before it.
    point: str = "latest"
    #: Folder on the worker's host for files; or a hypervisor.
    to_folder: str = ""
    to_hypervisor: str = ""
    #: Name of the instance there; empty: the one it had.
    new_name: str = ""
    #: Put the stopped instance that is there back, by writing only what differs.
    in_place: bool = False
    #: Of files.
    format: Literal["raw", "qcow2", "vmdk", "vhdx", "vdi"] = "raw"
    #: Of files: only these disks; empty: all.
    disks: list[str] = []
    #: Start the new instance.
    start: bool = False
    #: Of its network cards; null: new addresses when the original is still there.
    keep_mac: bool | None = None
    #: Pool, or folder of the hypervisor, for its disks; empty: where they were.
    pool: str = ""
    folder: str = ""
    #: Network as it was called → as it is called there.
    networks: dict[str, str] = {}
    #: Its network cards get no link.
    isolated: bool = False
    #: Replace files or an instance that is there.
    overwrite: bool = False
    throttle: Rate | None = None
    workers: Workers | None = None


class RestoreResult(Answer):
    """What a restore point became."""

    point: str
    instance: str
    #: Name of the instance that was made or put back; empty for files.
    restored: str = ""
    hypervisor: str = ""
    started: bool = False
    files: list[str] = []
    #: Bytes: of all disks, and the data that was written.
    size: int = 0
    written: int = 0
    seconds: float = 0.0
    warnings: list[str] = []


class VerifyRequest(Asked):
    """Check a repository, or one instance in it, or one restore point."""

    repository: str
    instance: str = ""
    #: As in RestoreRequest; with its instance.
    point: str = ""
    #: ``stored``: bytes are those that were written, needs no key. ``content``: every chunk is
    #: decrypted and compared with its id.
    level: Literal["stored", "content"] = "content"
    workers: Workers | None = None
    #: Complete with the report when something is damaged, instead of failing.
    report_only: bool = False


class DamageRecord(Answer):
    """One damaged place."""

    object: str
    problem: str
    offset: int = 0
    #: 0: the whole object.
    length: int = 0
    chunk: str = ""
    #: Restore points that cannot be restored in full: ``instance point disk: bytes at offset``.
    breaks: list[str] = []


class VerifyResult(Answer):
    """What a verification found."""

    intact: bool
    level: str = ""
    points: int = 0
    packs: int = 0
    chunks: int = 0
    #: Bytes read.
    read: int = 0
    seconds: float = 0.0
    #: The first hundred places.
    damage: list[DamageRecord] = []
    #: Damage that breaks nothing: another copy is intact, or no point needs it.
    harmless: int = 0


class PruneRequest(Asked):
    """Remove points that a policy does not keep. GcRequest gives their space back."""

    repository: str
    #: Empty: every instance, each on its own.
    instance: str = ""
    keep: RetentionRecord
    #: Remove nothing; say what would be.
    dry_run: bool = False


class PruneResult(Answer):
    """What retention decided."""

    kept: int
    removed: list[str] = []
    #: Id of a point → why it stays or goes.
    reasons: dict[str, str] = {}
    dry_run: bool = False


class GcRequest(Asked):
    """Reclaim what no point needs."""

    repository: str
    #: How long unneeded packs wait before a later job deletes them; ``0h``: this one.
    grace: Duration = "24h"
    dry_run: bool = False


class GcResult(Answer):
    """What a collection did. Bytes are stored bytes."""

    #: Packs that wait for the grace time from now on.
    condemned: int = 0
    condemned_bytes: int = 0
    repacked_bytes: int = 0
    #: Packs condemned earlier and deleted now.
    swept: int = 0
    #: Bytes given back.
    freed: int = 0
    rescued: int = 0
    waiting: int = 0
    waiting_for: str = ""
    seconds: float = 0.0
    dry_run: bool = False


class ExportRequest(Asked):
    """Export an instance to files."""

    hypervisor: str
    instance: str
    #: Folder of the export, on the worker's host.
    output: str
    format: Literal["ovf", "ova", "qcow2", "raw", "vmdk", "vhdx", "vdi", "vhd"] = "ovf"
    #: Disks read at the same time.
    parallel: int = Field(default=4, ge=1, le=64)
    workers: Workers | None = None
    #: Disks that are left out.
    exclude: list[str] = []
    #: Have the guest agent freeze filesystems, when it answers.
    freeze: bool = True
    compress: bool = False
    #: With ``compress``: ``gzip``, ``zstd`` or ``lz4``; empty: ``gzip``.
    compression: Literal["", "gzip", "zstd", "lz4"] = ""
    #: With ``compress``; null: as is usual.
    level: int | None = Field(default=None, ge=1, le=19)
    checksum: Literal["", "sha256", "sha512", "blake3"] = ""
    #: Read all files again when they are complete.
    verify: bool = False
    #: Shut the guest down before, and start it again afterwards.
    power_off: bool = False
    #: Seconds that it has for that.
    power_off_timeout: float = Field(default=300.0, gt=0)
    #: Export from a snapshot of the hypervisor; deleted afterwards unless ``snapshot_keep``.
    snapshot: bool = False
    #: Empty: ``job-<id>``.
    snapshot_name: str = ""
    snapshot_memory: bool = False
    snapshot_quiesce: bool = True
    snapshot_keep: bool = False
    #: With ``snapshot_keep``: only so many of our snapshots stay; 0: all.
    snapshot_most: Count = 0
    consolidate: bool = False
    bandwidth: Rate | None = None
    #: Bytes that may pass at once after a silence; 0: a fifth of a second's worth.
    burst: Count = 0
    #: Let the bound fall when reads fail or get slow.
    adaptive: bool = False
    #: Reference to a passphrase, or recipients of age: what is written is sealed.
    passphrase: str = ""
    recipients: list[str] = []
    #: URL of a place to which the files are brought.
    upload: str = ""
    keep_local: bool = True
    #: Straight to the place; only ``ovf``.
    stream_upload: bool = False
    #: Write ``artifact-manifest.json``.
    manifest: bool = True
    #: The format that a later conversion shall make: ``qcow2``, ``raw``, ``vdi``.
    manifest_target: str = ""
    manifest_encoding: Literal["json", "yaml"] = "json"
    manifest_tags: dict[str, str] = {}
    #: Take over disks that an earlier, unfinished export of the same moment left complete. Runs of
    #: the same job always do.
    resume: bool = True
    #: Replace an export that is there.
    overwrite: bool = False


class ExportResult(Answer):
    """An export that is complete."""

    instance: str
    hypervisor: str
    folder: str
    format: str
    #: Paths, unless the local files were removed.
    files: list[str] = []
    ovf_path: str = ""
    manifest: str = ""
    #: Where the files are in the place they were brought to.
    uploaded: list[str] = []
    local: bool = True
    #: Bytes: of all files, and read from the hypervisor.
    size: int = 0
    read: int = 0
    seconds: float = 0.0
    consistency: str = ""
    #: Snapshot that was kept.
    snapshot: str = ""
    verified: bool = False
    warnings: list[str] = []


class ImportRequest(Asked):
    """Bring a package or an image to a hypervisor."""

    hypervisor: str
    #: Path on the worker's host: an ``.ovf``, an ``.ova``, or an image.
    source: str
    #: Empty: as in the package.
    name: str = ""
    #: Network as the package calls it → as it is called there; ``-`` leaves the card out.
    networks: dict[str, str] = {}
    #: Datastore, pool, or folder of the hypervisor for its disks.
    pool: str = ""
    #: Where people find it: ``prod/web``.
    folder: str = ""
    start: bool = False
    keep_mac: bool = False
    disk_format: Literal["qcow2", "raw"] = "qcow2"
    bus: Literal["", "virtio", "scsi", "sata", "ide"] = ""
    #: Other than the package says.
    vcpus: int | None = Field(default=None, ge=1)
    memory: int | None = Field(default=None, ge=1)
    firmware: Literal["", "bios", "uefi"] = ""
    tags: dict[str, str] = {}
    #: Disks written at the same time.
    parallel: int = Field(default=2, ge=1, le=64)
    #: Take the package at its word about disks that are huge for their files.
    trust_sizes: bool = False
    #: Reference to what opens a sealed package, or files with identities of age.
    passphrase: str = ""
    identities: list[str] = []
    throttle: Rate | None = None


class ImportResult(Answer):
    """An instance that was made of a package."""

    instance: str
    hypervisor: str
    id: str = ""
    disks: list[str] = []
    started: bool = False
    #: Digests of a manifest were compared.
    verified: bool = False
    #: Bytes: of all disks, and the data that was written.
    size: int = 0
    written: int = 0
    seconds: float = 0.0
    warnings: list[str] = []


class ConvertRequest(Asked):
    """Convert an image to another format, both on the worker's host."""

    source: str
    target: str
    #: Empty: found out by looking.
    source_format: Literal["", "qcow2", "raw", "vmdk", "vhdx", "vdi", "vhd"] = ""
    target_format: ImageFormat = "qcow2"
    #: How a qcow2 is packed; empty: not at all.
    packing: Literal["", "zlib", "zstd"] = ""
    #: Files and folders that the source may name as its backing files.
    allow_backing: list[str] = []
    overwrite: bool = False
    throttle: Rate | None = None
    workers: Workers | None = None


class ConvertResult(Answer):
    """An image that was made."""

    target: str
    format: str
    #: Bytes: virtual size, data, and what the file takes.
    size: int = 0
    written: int = 0
    stored: int = 0
    seconds: float = 0.0


class SnapshotRequest(Asked):
    """Make, revert to or delete a snapshot on the hypervisor."""

    hypervisor: str
    instance: str
    operation: Literal["create", "revert", "delete"] = "create"
    #: Empty for ``create``: ``job-<id>``.
    snapshot: str = ""
    description: str = ""
    #: With the running state.
    memory: bool = False
    #: Filesystems are frozen by the guest agent, or it fails.
    quiesce: bool = False
    #: The same as no ``memory``; both at once contradict each other.
    disk_only: bool = False
    #: Delete: those that descend from it, too.
    children: bool = False


class SnapshotResult(Answer):
    """What became of a snapshot."""

    instance: str
    snapshot: str
    operation: str
    #: It was made, or was gone, by an earlier run of this job.
    unchanged: bool = False


class BatchRequest(Asked):
    """The same for many instances: one job each, this one waits for them."""

    #: ``backup``, ``export``, ``snapshot``, or a step of life: ``start stop pause resume restart
    #: reset delete``.
    operation: Literal[
        "backup", "export", "snapshot",
        "start", "stop", "pause", "resume", "restart", "reset", "delete",
    ]  # fmt: skip
    hypervisor: str
    instances: list[str] = []
    #: Instead of names: ``hypervisor``'s instances that fit all of these.
    match: str = ""
    states: list[Literal["running", "paused", "stopped", "crashed", "unknown"]] = []
    #: Tag → value; empty: any value.
    tags: dict[str, str] = {}
    #: Fields of the operation's own request, the same for all. ``output`` of an export is the
    #: folder in which each gets one of its own.
    options: dict[str, Any] = {}
    #: The first that fails cancels the rest.
    stop_on_error: bool = False


class BatchResult(Answer):
    """How many ended how. A batch completes also when some failed, unless all did."""

    total: int
    completed: int
    failed: int
    cancelled: int = 0
    #: Instance → id of its job.
    jobs: dict[str, str] = {}
    #: Instance → why it failed.
    errors: dict[str, str] = {}


class LifecycleRequest(Asked):
    """One step of life of one instance; also what a batch is made of."""

    hypervisor: str
    instance: str
    operation: Literal["start", "stop", "pause", "resume", "restart", "reset", "delete"]
    #: Stop, restart: cut the power. Delete: stop it first, in that way.
    force: bool = False
    #: Seconds that the guest has to power down.
    timeout: float = Field(default=120.0, gt=0)
    #: Start: with its processors halted.
    paused: bool = False
    #: Delete: also the disks that only it uses.
    storage: bool = False


class LifecycleResult(Answer):
    """The instance afterwards."""

    instance: str
    operation: str = ""
    #: ``deleted`` when it is gone.
    state: str


class ConformanceRequest(Asked):
    """Run the conformance kit on a hypervisor: instances are made, run, changed and removed
    there; those of others are left alone."""

    hypervisor: str
    #: Suites, or patterns of case ids (``snapshots.*``); empty: all.
    select: list[str] = []
    #: What this place has to test with: ``image kernel initrd kernel_arguments folder
    #: acceleration``.
    site: dict[str, str] = {}
    #: The same, for drivers of others.
    extra: dict[str, str] = {}
    #: Seconds: in all, and for one case.
    timeout: float = Field(default=900.0, gt=0)
    case_timeout: float = Field(default=60.0, gt=0)
    #: Rounds of the benchmark; 0: none.
    samples: Count = 0
    #: Instances at once in the benchmark; 0: one.
    crowd: Count = 0
    #: Folder on the worker's host for reports (JSON, JUnit, text, HTML); empty: none.
    report: str = ""
    #: Complete with the report when cases failed, instead of failing.
    report_only: bool = False


class ConformanceResult(Answer):
    """What the kit found."""

    passed: int
    failed: int
    skipped: int
    seconds: float = 0.0
    #: ``case: why``.
    failures: list[str] = []
    #: Why not all could run.
    problem: str = ""
    reports: list[str] = []


class InventoryRequest(Asked):
    """List hypervisors' instances anew, whether they are reachable included."""

    #: Empty: all that the job's tenant has.
    hypervisor: str = ""


class InventoryResult(Answer):
    """What was found."""

    hypervisors: int
    instances: int
    #: Hypervisor → state → how many instances are in it.
    states: dict[str, dict[str, int]] = {}
    #: Hypervisor → why it could not be asked.
    unreachable: dict[str, str] = {}
    seconds: float = 0.0


#: Kind → its request and result.
SCHEMAS: dict[str, tuple[type[Asked], type[Answer]]] = {
    "backup": (BackupRequest, BackupResult),
    "restore": (RestoreRequest, RestoreResult),
    "verify": (VerifyRequest, VerifyResult),
    "prune": (PruneRequest, PruneResult),
    "gc": (GcRequest, GcResult),
    "export": (ExportRequest, ExportResult),
    "import": (ImportRequest, ImportResult),
    "convert": (ConvertRequest, ConvertResult),
    "snapshot": (SnapshotRequest, SnapshotResult),
    "batch": (BatchRequest, BatchResult),
    "lifecycle": (LifecycleRequest, LifecycleResult),
    "conformance": (ConformanceRequest, ConformanceResult),
    "inventory": (InventoryRequest, InventoryResult),
}
