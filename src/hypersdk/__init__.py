"""HyperSDK: find, run, export, migrate and protect virtual machines on any hypervisor.

This module is the public Python API; docs/python.md shows it at work. The ``hypersdk`` command
uses nothing else.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypersdk.artifacts.compression import Compression
from hypersdk.artifacts.encryption import Opening, Seal, seal_file
from hypersdk.artifacts.encryption import open_file as unseal_file
from hypersdk.artifacts.exportstatistics import ExportStatistics
from hypersdk.artifacts.history import ExportHistory, ExportRecord
from hypersdk.artifacts.legacyenc import open_legacy_file as unseal_legacy_file
from hypersdk.artifacts.verifying import VerifiedFile
from hypersdk.datapath.cancel import CancelToken
from hypersdk.drivers.diskports import Placement
from hypersdk.drivers.mock.driver import MockHypervisor
from hypersdk.drivers.ports import Hypervisor, capabilities
from hypersdk.drivers.registry import connect
from hypersdk.drivers.wrappers.audit import AuditOutcome, AuditRecord
from hypersdk.drivers.wrappers.breaker import BreakerRules, BreakerState, BreakerStatus
from hypersdk.drivers.wrappers.deadline import Deadlines
from hypersdk.drivers.wrappers.guarded import Policy, breaker_status, connect_guarded, guarded
from hypersdk.drivers.wrappers.retry import Retries
from hypersdk.flows.backup import BackupOptions, backup_image, backup_instance
from hypersdk.flows.boottest import BootTest, BootTestOptions, Sign, boot_test
from hypersdk.flows.checkpoints import (
    CheckpointStatus,
    Scrubbed,
    ScrubType,
    checkpoint_status,
    scrub,
)
from hypersdk.flows.copy import copy_repository
from hypersdk.flows.exporting.batch import export_batch
from hypersdk.flows.exporting.cleanup import cleanup_exports
from hypersdk.flows.exporting.export import export_instance
from hypersdk.flows.exporting.options import (
    Bandwidth,
    BatchLimits,
    CleanupRules,
    ExportOptions,
    ManifestOptions,
    SnapshotOptions,
)
from hypersdk.flows.exporting.plan import plan_export
from hypersdk.flows.exporting.results import (
    BatchItem,
    BatchReport,
    BatchState,
    Exported,
    ExportedDisk,
    ExportedFile,
    ExportPlan,
    PlannedFile,
    Removed,
    VerifiedExport,
)
from hypersdk.flows.exporting.verify import verify_export
from hypersdk.flows.fleet.batch import Action, BatchOptions, BatchResult, Ending, run_batch
from hypersdk.flows.fleet.create import FailedPlacement, PlacedInstance, create_instance
from hypersdk.flows.fleet.health import HypervisorHealth, fleet_health
from hypersdk.flows.fleet.inventory import (
    FleetInstance,
    FleetInventory,
    InstanceFilter,
    fleet_inventory,
)
from hypersdk.flows.fleet.members import Fleet
from hypersdk.flows.fleet.placement import (
    Candidate,
    PlacementDecision,
    PlacementPolicy,
    PlacementRules,
    place_instance,
)
from hypersdk.flows.fleet.selection import members_named, select_instances
from hypersdk.flows.importing.importing import import_package
from hypersdk.flows.importing.options import Imported, ImportedDisk, ImportOptions
from hypersdk.flows.preflight.check import check_export, check_import, details_of
from hypersdk.flows.preflight.report import ConcernsFound, PreflightReport
from hypersdk.flows.preflight.subject import Destination
from hypersdk.flows.provision import ProvisionOptions, RestoredInstance, restore_instance
from hypersdk.flows.prune import GRACE, collect_garbage, prune
from hypersdk.flows.restore import RestoredDisk, RestoreOptions, restore
from hypersdk.flows.retire import Retired, retire
from hypersdk.flows.revert import revert_instance
from hypersdk.flows.rotation import Grouping, Period, half_over, periods, prunable
from hypersdk.flows.verify import verify
from hypersdk.model.capabilities import Capability, Grade, Limit
from hypersdk.model.concerns import Concern, Severity
from hypersdk.model.details import InstanceDetails
from hypersdk.model.errors import (
    AlreadyExists,
    CircuitOpen,
    Conflict,
    Damaged,
    HyperSDKError,
    HypervisorError,
    HypervisorUnreachable,
    InstanceNotFound,
    Interrupted,
    InvalidInput,
    KeyRequired,
    LimitExceeded,
    MissingRequirement,
    NoAnswer,
    NotARepository,
    NotFound,
    NotSupported,
    PartialFailure,
    PointNotFound,
    StoreError,
)
from hypersdk.model.hosts import HostInfo
from hypersdk.model.instances import Definition, Disk, Instance, InstanceState
from hypersdk.model.machines import Snapshot
from hypersdk.model.points import (
    CopyReport,
    Damage,
    Decision,
    DiskDifference,
    GcReport,
    PointDisk,
    RecoverReport,
    RepositoryStatistics,
    RestorePoint,
    RetentionPolicy,
    VerifyLevel,
    VerifyReport,
)
from hypersdk.model.progress import Progress, Reporter, silent
from hypersdk.model.specs import (
    CloudInit,
    DiskSpec,
    InstanceSpec,
    MountSpec,
    NicSpec,
    PortSpec,
)
from hypersdk.repository.keys import Key, KeySlot, Protect, generate_identity
from hypersdk.repository.repository import Repository
from hypersdk.repository.store.open import open_store

if TYPE_CHECKING:
    from hypersdk.artifacts.manifestmodel import ArtifactManifest


def init_repository(
    location: str | Path,
    *,
    protect: Protect | None = None,
    chunk_size: int = 1 << 20,
    cache: Path | None = None,
) -> Repository:
    """Make a repository at a path or ``s3://bucket/prefix`` and open it.

    ``protect``: how its first key is wrapped; None makes an unencrypted one. ``chunk_size``: bytes,
    a power of two from 64 KiB to 4 MiB. Raises AlreadyExists, StoreError.
    """
    return Repository.create(
        open_store(location, create=True),
        protect or Protect.none(),
        chunk_size=chunk_size,
        cache=cache or _cache_folder(),
    )


def open_repository(
    location: str | Path, *, key: Key | None = None, cache: Path | None = None
) -> Repository:
    """Open a repository at a path or ``s3://bucket/prefix``.

    Without ``key`` an encrypted one shows names, sizes and whether stored bytes are intact.
    Raises NotARepository, KeyRequired, StoreError.
    """
    return Repository.open(open_store(location), key, cache=cache or _cache_folder())


def load_spec(
    source: str | Path | Mapping[str, Any], changes: Sequence[tuple[str, str]] = ()
) -> InstanceSpec:
    """The spec of an instance in a file (``.yaml``, ``.json``, ``.toml``) or a mapping.

    Sizes may be text (``10GiB``). ``changes`` are applied on top: ``("disks[0].size", "20GiB")``.
    Raises InvalidInput naming the field, and the nearest one that there is.
    """
    from hypersdk.config import specs  # noqa: PLC0415 - slow to import, as settings

    return specs.load_spec(source, changes)


def read_manifest(path: Path, *, files_exist: bool = False) -> ArtifactManifest:
    """An artifact manifest of version 1.0, YAML by the ending ``.yaml`` or ``.yml``, else JSON.

    ``files_exist``: every disk that it names must be there. Raises NotFound, InvalidInput naming
    the field.
    """
    from hypersdk.artifacts import manifest  # noqa: PLC0415 - slow to import, as settings

    return manifest.read_manifest(path, files_exist=files_exist)


def verify_manifest(
    path: Path, *, reporter: Reporter = silent, cancel: CancelToken | None = None
) -> tuple[VerifiedFile, ...]:
    """Read every disk of an artifact manifest and compare it with its checksum.

    Disks without one are only looked for. Raises InvalidInput, Damaged naming the files.
    """
    from hypersdk.artifacts import manifest  # noqa: PLC0415 - slow to import, as settings

    return manifest.verify_manifest(path, reporter=reporter, cancel=cancel)


def subfolders(location: str | Path) -> tuple[str, ...]:
    """Names of the folders in a place that may hold several repositories, sorted.

    Raises StoreError when the place is not there.
    """
    with contextlib.closing(open_store(location)) as store:
        return store.folders()


def _cache_folder() -> Path:
    # Imported here: half of the time of `import hypersdk` would go into reading settings.
    from hypersdk.config.settings import load_settings  # noqa: PLC0415

    return load_settings().cache_dir


def __getattr__(name: str) -> str:
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415 - as above

        return version("hypersdk")
    raise AttributeError(f"module 'hypersdk' has no attribute '{name}'")


__all__ = [
    "GRACE",
    "Action",
    "AlreadyExists",
    "AuditOutcome",
    "AuditRecord",
    "BackupOptions",
    "Bandwidth",
    "BatchItem",
    "BatchLimits",
    "BatchOptions",
    "BatchReport",
    "BatchResult",
    "BatchState",
    "BootTest",
    "BootTestOptions",
    "BreakerRules",
    "BreakerState",
    "BreakerStatus",
    "CancelToken",
    "Candidate",
    "Capability",
    "CheckpointStatus",
    "CircuitOpen",
    "CleanupRules",
    "CloudInit",
    "Compression",
    "Concern",
    "ConcernsFound",
    "Conflict",
    "CopyReport",
    "Damage",
    "Damaged",
    "Deadlines",
    "Decision",
    "Definition",
    "Destination",
    "Disk",
    "DiskDifference",
    "DiskSpec",
    "Ending",
    "ExportHistory",
    "ExportOptions",
    "ExportPlan",
    "ExportRecord",
    "ExportStatistics",
    "Exported",
    "ExportedDisk",
    "ExportedFile",
    "FailedPlacement",
    "Fleet",
    "FleetInstance",
    "FleetInventory",
    "GcReport",
    "Grade",
    "Grouping",
    "HostInfo",
    "HyperSDKError",
    "Hypervisor",
    "HypervisorError",
    "HypervisorHealth",
    "HypervisorUnreachable",
    "ImportOptions",
    "Imported",
    "ImportedDisk",
    "Instance",
    "InstanceDetails",
    "InstanceFilter",
    "InstanceNotFound",
    "InstanceSpec",
    "InstanceState",
    "Interrupted",
    "InvalidInput",
    "Key",
    "KeyRequired",
    "KeySlot",
    "Limit",
    "LimitExceeded",
    "ManifestOptions",
    "MissingRequirement",
    "MockHypervisor",
    "MountSpec",
    "NicSpec",
    "NoAnswer",
    "NotARepository",
    "NotFound",
    "NotSupported",
    "Opening",
    "PartialFailure",
    "Period",
    "PlacedInstance",
    "Placement",
    "PlacementDecision",
    "PlacementPolicy",
    "PlacementRules",
    "PlannedFile",
    "PointDisk",
    "PointNotFound",
    "Policy",
    "PortSpec",
    "PreflightReport",
    "Progress",
    "Protect",
    "ProvisionOptions",
    "RecoverReport",
    "Removed",
    "Reporter",
    "Repository",
    "RepositoryStatistics",
    "RestoreOptions",
    "RestorePoint",
    "RestoredDisk",
    "RestoredInstance",
    "RetentionPolicy",
    "Retired",
    "Retries",
    "ScrubType",
    "Scrubbed",
    "Seal",
    "Severity",
    "Sign",
    "Snapshot",
    "SnapshotOptions",
    "StoreError",
    "VerifiedExport",
    "VerifiedFile",
    "VerifyLevel",
    "VerifyReport",
    "backup_image",
    "backup_instance",
    "boot_test",
    "breaker_status",
    "capabilities",
    "check_export",
    "check_import",
    "checkpoint_status",
    "cleanup_exports",
    "collect_garbage",
    "connect",
    "connect_guarded",
    "copy_repository",
    "create_instance",
    "details_of",
    "export_batch",
    "export_instance",
    "fleet_health",
    "fleet_inventory",
    "generate_identity",
    "guarded",
    "half_over",
    "import_package",
    "init_repository",
    "load_spec",
    "members_named",
    "open_repository",
    "periods",
    "place_instance",
    "plan_export",
    "prunable",
    "prune",
    "read_manifest",
    "restore",
    "restore_instance",
    "retire",
    "revert_instance",
    "run_batch",
    "scrub",
    "seal_file",
    "select_instances",
    "subfolders",
    "unseal_file",
    "unseal_legacy_file",
    "verify",
    "verify_export",
    "verify_manifest",
]
