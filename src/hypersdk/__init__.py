"""HyperSDK: find, run, export, migrate and protect virtual machines on any hypervisor.

This module is the public Python API; docs/python.md shows it at work. The ``hypersdk`` command
uses nothing else.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from hypersdk.datapath.cancel import CancelToken
from hypersdk.drivers.diskports import Placement
from hypersdk.drivers.mock.driver import MockHypervisor
from hypersdk.drivers.ports import Hypervisor
from hypersdk.drivers.registry import connect
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
from hypersdk.flows.provision import ProvisionOptions, RestoredInstance, restore_instance
from hypersdk.flows.prune import GRACE, collect_garbage, prune
from hypersdk.flows.restore import RestoredDisk, RestoreOptions, restore
from hypersdk.flows.retire import Retired, retire
from hypersdk.flows.revert import revert_instance
from hypersdk.flows.rotation import Grouping, Period, half_over, periods, prunable
from hypersdk.flows.verify import verify
from hypersdk.model.errors import (
    AlreadyExists,
    Conflict,
    Damaged,
    HyperSDKError,
    HypervisorError,
    InstanceNotFound,
    Interrupted,
    InvalidInput,
    KeyRequired,
    MissingRequirement,
    NotARepository,
    NotFound,
    PartialFailure,
    PointNotFound,
    StoreError,
)
from hypersdk.model.instances import Definition
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
from hypersdk.model.progress import Progress, Reporter
from hypersdk.repository.keys import Key, KeySlot, Protect, generate_identity
from hypersdk.repository.repository import Repository
from hypersdk.repository.store.open import open_store


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
    "AlreadyExists",
    "BackupOptions",
    "BootTest",
    "BootTestOptions",
    "CancelToken",
    "CheckpointStatus",
    "Conflict",
    "CopyReport",
    "Damage",
    "Damaged",
    "Decision",
    "Definition",
    "DiskDifference",
    "GcReport",
    "Grouping",
    "HyperSDKError",
    "Hypervisor",
    "HypervisorError",
    "InstanceNotFound",
    "Interrupted",
    "InvalidInput",
    "Key",
    "KeyRequired",
    "KeySlot",
    "MissingRequirement",
    "MockHypervisor",
    "NotARepository",
    "NotFound",
    "PartialFailure",
    "Period",
    "Placement",
    "PointDisk",
    "PointNotFound",
    "Progress",
    "Protect",
    "ProvisionOptions",
    "RecoverReport",
    "Reporter",
    "Repository",
    "RepositoryStatistics",
    "RestoreOptions",
    "RestorePoint",
    "RestoredDisk",
    "RestoredInstance",
    "RetentionPolicy",
    "Retired",
    "ScrubType",
    "Scrubbed",
    "Sign",
    "StoreError",
    "VerifyLevel",
    "VerifyReport",
    "backup_image",
    "backup_instance",
    "boot_test",
    "checkpoint_status",
    "collect_garbage",
    "connect",
    "copy_repository",
    "generate_identity",
    "half_over",
    "init_repository",
    "open_repository",
    "periods",
    "prunable",
    "prune",
    "restore",
    "restore_instance",
    "retire",
    "revert_instance",
    "scrub",
    "subfolders",
    "verify",
]
