"""HyperSDK: find, run, export, migrate and protect virtual machines on any hypervisor.

This module is the public Python API; docs/python.md shows it at work. The ``hypersdk`` command
uses nothing else.

What it offers is loaded when it is first used: a program that only talks to the daemon does not
wait for drivers and flows.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hypersdk.artifacts import encryption, legacyenc
    from hypersdk.artifacts.compression import Compression as Compression
    from hypersdk.artifacts.encryption import Opening as Opening
    from hypersdk.artifacts.encryption import Seal as Seal
    from hypersdk.artifacts.encryption import seal_file as seal_file
    from hypersdk.artifacts.exportstatistics import ExportStatistics as ExportStatistics
    from hypersdk.artifacts.history import ExportHistory as ExportHistory
    from hypersdk.artifacts.history import ExportRecord as ExportRecord
    from hypersdk.artifacts.manifest import read_manifest as read_manifest
    from hypersdk.artifacts.manifest import verify_manifest as verify_manifest
    from hypersdk.artifacts.verifying import VerifiedFile as VerifiedFile
    from hypersdk.config.specs import load_spec as load_spec
    from hypersdk.datapath.cancel import CancelToken as CancelToken
    from hypersdk.drivers.diskports import Placement as Placement
    from hypersdk.drivers.mock.driver import MockHypervisor as MockHypervisor
    from hypersdk.drivers.ports import Hypervisor as Hypervisor
    from hypersdk.drivers.ports import capabilities as capabilities
    from hypersdk.drivers.registry import connect as connect
    from hypersdk.drivers.wrappers.audit import AuditOutcome as AuditOutcome
    from hypersdk.drivers.wrappers.audit import AuditRecord as AuditRecord
    from hypersdk.drivers.wrappers.breaker import BreakerRules as BreakerRules
    from hypersdk.drivers.wrappers.breaker import BreakerState as BreakerState
    from hypersdk.drivers.wrappers.breaker import BreakerStatus as BreakerStatus
    from hypersdk.drivers.wrappers.deadline import Deadlines as Deadlines
    from hypersdk.drivers.wrappers.guarded import Policy as Policy
    from hypersdk.drivers.wrappers.guarded import breaker_status as breaker_status
    from hypersdk.drivers.wrappers.guarded import connect_guarded as connect_guarded
    from hypersdk.drivers.wrappers.guarded import guarded as guarded
    from hypersdk.drivers.wrappers.retry import Retries as Retries
    from hypersdk.flows.backup import BackupOptions as BackupOptions
    from hypersdk.flows.backup import backup_image as backup_image
    from hypersdk.flows.backup import backup_instance as backup_instance
    from hypersdk.flows.boottest import BootTest as BootTest
    from hypersdk.flows.boottest import BootTestOptions as BootTestOptions
    from hypersdk.flows.boottest import Sign as Sign
    from hypersdk.flows.boottest import boot_test as boot_test
    from hypersdk.flows.checkpoints import CheckpointStatus as CheckpointStatus
    from hypersdk.flows.checkpoints import Scrubbed as Scrubbed
    from hypersdk.flows.checkpoints import ScrubType as ScrubType
    from hypersdk.flows.checkpoints import checkpoint_status as checkpoint_status
    from hypersdk.flows.checkpoints import scrub as scrub
    from hypersdk.flows.copy import copy_repository as copy_repository
    from hypersdk.flows.exporting.batch import export_batch as export_batch
    from hypersdk.flows.exporting.cleanup import cleanup_exports as cleanup_exports
    from hypersdk.flows.exporting.export import export_instance as export_instance
    from hypersdk.flows.exporting.options import Bandwidth as Bandwidth
    from hypersdk.flows.exporting.options import BatchLimits as BatchLimits
    from hypersdk.flows.exporting.options import CleanupRules as CleanupRules
    from hypersdk.flows.exporting.options import ExportOptions as ExportOptions
    from hypersdk.flows.exporting.options import ManifestOptions as ManifestOptions
    from hypersdk.flows.exporting.options import SnapshotOptions as SnapshotOptions
    from hypersdk.flows.exporting.plan import plan_export as plan_export
    from hypersdk.flows.exporting.results import BatchItem as BatchItem
    from hypersdk.flows.exporting.results import BatchReport as BatchReport
    from hypersdk.flows.exporting.results import BatchState as BatchState
    from hypersdk.flows.exporting.results import Exported as Exported
    from hypersdk.flows.exporting.results import ExportedDisk as ExportedDisk
    from hypersdk.flows.exporting.results import ExportedFile as ExportedFile
    from hypersdk.flows.exporting.results import ExportPlan as ExportPlan
    from hypersdk.flows.exporting.results import PlannedFile as PlannedFile
    from hypersdk.flows.exporting.results import Removed as Removed
    from hypersdk.flows.exporting.results import VerifiedExport as VerifiedExport
    from hypersdk.flows.exporting.verify import verify_export as verify_export
    from hypersdk.flows.fleet.batch import Action as Action
    from hypersdk.flows.fleet.batch import BatchOptions as BatchOptions
    from hypersdk.flows.fleet.batch import BatchResult as BatchResult
    from hypersdk.flows.fleet.batch import Ending as Ending
    from hypersdk.flows.fleet.batch import run_batch as run_batch
    from hypersdk.flows.fleet.create import FailedPlacement as FailedPlacement
    from hypersdk.flows.fleet.create import PlacedInstance as PlacedInstance
    from hypersdk.flows.fleet.create import create_instance as create_instance
    from hypersdk.flows.fleet.health import HypervisorHealth as HypervisorHealth
    from hypersdk.flows.fleet.health import fleet_health as fleet_health
    from hypersdk.flows.fleet.inventory import FleetInstance as FleetInstance
    from hypersdk.flows.fleet.inventory import FleetInventory as FleetInventory
    from hypersdk.flows.fleet.inventory import InstanceFilter as InstanceFilter
    from hypersdk.flows.fleet.inventory import fleet_inventory as fleet_inventory
    from hypersdk.flows.fleet.members import Fleet as Fleet
    from hypersdk.flows.fleet.placement import Candidate as Candidate
    from hypersdk.flows.fleet.placement import PlacementDecision as PlacementDecision
    from hypersdk.flows.fleet.placement import PlacementPolicy as PlacementPolicy
    from hypersdk.flows.fleet.placement import PlacementRules as PlacementRules
    from hypersdk.flows.fleet.placement import place_instance as place_instance
    from hypersdk.flows.fleet.selection import members_named as members_named
    from hypersdk.flows.fleet.selection import select_instances as select_instances
    from hypersdk.flows.importing.importing import import_package as import_package
    from hypersdk.flows.importing.options import Imported as Imported
    from hypersdk.flows.importing.options import ImportedDisk as ImportedDisk
    from hypersdk.flows.importing.options import ImportOptions as ImportOptions
    from hypersdk.flows.importing.unfinished import reap_imports as reap_imports
    from hypersdk.flows.preflight.check import check_export as check_export
    from hypersdk.flows.preflight.check import check_import as check_import
    from hypersdk.flows.preflight.check import details_of as details_of
    from hypersdk.flows.preflight.report import ConcernsFound as ConcernsFound
    from hypersdk.flows.preflight.report import PreflightReport as PreflightReport
    from hypersdk.flows.preflight.subject import Destination as Destination
    from hypersdk.flows.provision import ProvisionOptions as ProvisionOptions
    from hypersdk.flows.provision import RestoredInstance as RestoredInstance
    from hypersdk.flows.provision import restore_instance as restore_instance
    from hypersdk.flows.prune import GRACE as GRACE
    from hypersdk.flows.prune import collect_garbage as collect_garbage
    from hypersdk.flows.prune import prune as prune
    from hypersdk.flows.repositories import init_repository as init_repository
    from hypersdk.flows.repositories import open_repository as open_repository
    from hypersdk.flows.repositories import subfolders as subfolders
    from hypersdk.flows.restore import RestoredDisk as RestoredDisk
    from hypersdk.flows.restore import RestoreOptions as RestoreOptions
    from hypersdk.flows.restore import restore as restore
    from hypersdk.flows.retire import Retired as Retired
    from hypersdk.flows.retire import retire as retire
    from hypersdk.flows.revert import revert_instance as revert_instance
    from hypersdk.flows.rotation import Grouping as Grouping
    from hypersdk.flows.rotation import Period as Period
    from hypersdk.flows.rotation import half_over as half_over
    from hypersdk.flows.rotation import periods as periods
    from hypersdk.flows.rotation import prunable as prunable
    from hypersdk.flows.verify import verify as verify
    from hypersdk.model.capabilities import Capability as Capability
    from hypersdk.model.capabilities import Grade as Grade
    from hypersdk.model.capabilities import Limit as Limit
    from hypersdk.model.concerns import Concern as Concern
    from hypersdk.model.concerns import Severity as Severity
    from hypersdk.model.details import InstanceDetails as InstanceDetails
    from hypersdk.model.errors import AlreadyExists as AlreadyExists
    from hypersdk.model.errors import CircuitOpen as CircuitOpen
    from hypersdk.model.errors import Conflict as Conflict
    from hypersdk.model.errors import Damaged as Damaged
    from hypersdk.model.errors import HyperSDKError as HyperSDKError
    from hypersdk.model.errors import HypervisorError as HypervisorError
    from hypersdk.model.errors import HypervisorUnreachable as HypervisorUnreachable
    from hypersdk.model.errors import InstanceNotFound as InstanceNotFound
    from hypersdk.model.errors import Interrupted as Interrupted
    from hypersdk.model.errors import InvalidInput as InvalidInput
    from hypersdk.model.errors import KeyRequired as KeyRequired
    from hypersdk.model.errors import LimitExceeded as LimitExceeded
    from hypersdk.model.errors import MissingRequirement as MissingRequirement
    from hypersdk.model.errors import NoAnswer as NoAnswer
    from hypersdk.model.errors import NotARepository as NotARepository
    from hypersdk.model.errors import NotFound as NotFound
    from hypersdk.model.errors import NotSupported as NotSupported
    from hypersdk.model.errors import PartialFailure as PartialFailure
    from hypersdk.model.errors import PointNotFound as PointNotFound
    from hypersdk.model.errors import StoreError as StoreError
    from hypersdk.model.hosts import HostInfo as HostInfo
    from hypersdk.model.instances import Definition as Definition
    from hypersdk.model.instances import Disk as Disk
    from hypersdk.model.instances import Instance as Instance
    from hypersdk.model.instances import InstanceState as InstanceState
    from hypersdk.model.machines import Snapshot as Snapshot
    from hypersdk.model.points import CopyReport as CopyReport
    from hypersdk.model.points import Damage as Damage
    from hypersdk.model.points import Decision as Decision
    from hypersdk.model.points import DiskDifference as DiskDifference
    from hypersdk.model.points import GcReport as GcReport
    from hypersdk.model.points import PointDisk as PointDisk
    from hypersdk.model.points import RecoverReport as RecoverReport
    from hypersdk.model.points import RepositoryStatistics as RepositoryStatistics
    from hypersdk.model.points import RestorePoint as RestorePoint
    from hypersdk.model.points import RetentionPolicy as RetentionPolicy
    from hypersdk.model.points import VerifyLevel as VerifyLevel
    from hypersdk.model.points import VerifyReport as VerifyReport
    from hypersdk.model.progress import Progress as Progress
    from hypersdk.model.progress import Reporter as Reporter
    from hypersdk.model.specs import CloudInit as CloudInit
    from hypersdk.model.specs import DiskSpec as DiskSpec
    from hypersdk.model.specs import InstanceSpec as InstanceSpec
    from hypersdk.model.specs import MountSpec as MountSpec
    from hypersdk.model.specs import NicSpec as NicSpec
    from hypersdk.model.specs import PortSpec as PortSpec
    from hypersdk.repository.keys import Key as Key
    from hypersdk.repository.keys import KeySlot as KeySlot
    from hypersdk.repository.keys import Protect as Protect
    from hypersdk.repository.keys import generate_identity as generate_identity
    from hypersdk.repository.repository import Repository as Repository

    unseal_file = encryption.open_file
    unseal_legacy_file = legacyenc.open_legacy_file
    __version__: str

#: Public name → the module that it comes from, below ``hypersdk``, and its name there where that
#: differs. The imports above say the same to type checkers; a test compares the two.
_HOMES = {
    "GRACE": "flows.prune",
    "Action": "flows.fleet.batch",
    "AlreadyExists": "model.errors",
    "AuditOutcome": "drivers.wrappers.audit",
    "AuditRecord": "drivers.wrappers.audit",
    "BackupOptions": "flows.backup",
    "Bandwidth": "flows.exporting.options",
    "BatchItem": "flows.exporting.results",
    "BatchLimits": "flows.exporting.options",
    "BatchOptions": "flows.fleet.batch",
    "BatchReport": "flows.exporting.results",
    "BatchResult": "flows.fleet.batch",
    "BatchState": "flows.exporting.results",
    "BootTest": "flows.boottest",
    "BootTestOptions": "flows.boottest",
    "BreakerRules": "drivers.wrappers.breaker",
    "BreakerState": "drivers.wrappers.breaker",
    "BreakerStatus": "drivers.wrappers.breaker",
    "CancelToken": "datapath.cancel",
    "Candidate": "flows.fleet.placement",
    "Capability": "model.capabilities",
    "CheckpointStatus": "flows.checkpoints",
    "CircuitOpen": "model.errors",
    "CleanupRules": "flows.exporting.options",
    "CloudInit": "model.specs",
    "Compression": "artifacts.compression",
    "Concern": "model.concerns",
    "ConcernsFound": "flows.preflight.report",
    "Conflict": "model.errors",
    "CopyReport": "model.points",
    "Damage": "model.points",
    "Damaged": "model.errors",
    "Deadlines": "drivers.wrappers.deadline",
    "Decision": "model.points",
    "Definition": "model.instances",
    "Destination": "flows.preflight.subject",
    "Disk": "model.instances",
    "DiskDifference": "model.points",
    "DiskSpec": "model.specs",
    "Ending": "flows.fleet.batch",
    "ExportHistory": "artifacts.history",
    "ExportOptions": "flows.exporting.options",
    "ExportPlan": "flows.exporting.results",
    "ExportRecord": "artifacts.history",
    "ExportStatistics": "artifacts.exportstatistics",
    "Exported": "flows.exporting.results",
    "ExportedDisk": "flows.exporting.results",
    "ExportedFile": "flows.exporting.results",
    "FailedPlacement": "flows.fleet.create",
    "Fleet": "flows.fleet.members",
    "FleetInstance": "flows.fleet.inventory",
    "FleetInventory": "flows.fleet.inventory",
    "GcReport": "model.points",
    "Grade": "model.capabilities",
    "Grouping": "flows.rotation",
    "HostInfo": "model.hosts",
    "HyperSDKError": "model.errors",
    "Hypervisor": "drivers.ports",
    "HypervisorError": "model.errors",
    "HypervisorHealth": "flows.fleet.health",
    "HypervisorUnreachable": "model.errors",
    "ImportOptions": "flows.importing.options",
    "Imported": "flows.importing.options",
    "ImportedDisk": "flows.importing.options",
    "Instance": "model.instances",
    "InstanceDetails": "model.details",
    "InstanceFilter": "flows.fleet.inventory",
    "InstanceNotFound": "model.errors",
    "InstanceSpec": "model.specs",
    "InstanceState": "model.instances",
    "Interrupted": "model.errors",
    "InvalidInput": "model.errors",
    "Key": "repository.keys",
    "KeyRequired": "model.errors",
    "KeySlot": "repository.keys",
    "Limit": "model.capabilities",
    "LimitExceeded": "model.errors",
    "ManifestOptions": "flows.exporting.options",
    "MissingRequirement": "model.errors",
    "MockHypervisor": "drivers.mock.driver",
    "MountSpec": "model.specs",
    "NicSpec": "model.specs",
    "NoAnswer": "model.errors",
    "NotARepository": "model.errors",
    "NotFound": "model.errors",
    "NotSupported": "model.errors",
    "Opening": "artifacts.encryption",
    "PartialFailure": "model.errors",
    "Period": "flows.rotation",
    "PlacedInstance": "flows.fleet.create",
    "Placement": "drivers.diskports",
    "PlacementDecision": "flows.fleet.placement",
    "PlacementPolicy": "flows.fleet.placement",
    "PlacementRules": "flows.fleet.placement",
    "PlannedFile": "flows.exporting.results",
    "PointDisk": "model.points",
    "PointNotFound": "model.errors",
    "Policy": "drivers.wrappers.guarded",
    "PortSpec": "model.specs",
    "PreflightReport": "flows.preflight.report",
    "Progress": "model.progress",
    "Protect": "repository.keys",
    "ProvisionOptions": "flows.provision",
    "RecoverReport": "model.points",
    "Removed": "flows.exporting.results",
    "Reporter": "model.progress",
    "Repository": "repository.repository",
    "RepositoryStatistics": "model.points",
    "RestoreOptions": "flows.restore",
    "RestorePoint": "model.points",
    "RestoredDisk": "flows.restore",
    "RestoredInstance": "flows.provision",
    "RetentionPolicy": "model.points",
    "Retired": "flows.retire",
    "Retries": "drivers.wrappers.retry",
    "ScrubType": "flows.checkpoints",
    "Scrubbed": "flows.checkpoints",
    "Seal": "artifacts.encryption",
    "Severity": "model.concerns",
    "Sign": "flows.boottest",
    "Snapshot": "model.machines",
    "SnapshotOptions": "flows.exporting.options",
    "StoreError": "model.errors",
    "VerifiedExport": "flows.exporting.results",
    "VerifiedFile": "artifacts.verifying",
    "VerifyLevel": "model.points",
    "VerifyReport": "model.points",
    "backup_image": "flows.backup",
    "backup_instance": "flows.backup",
    "boot_test": "flows.boottest",
    "breaker_status": "drivers.wrappers.guarded",
    "capabilities": "drivers.ports",
    "check_export": "flows.preflight.check",
    "check_import": "flows.preflight.check",
    "checkpoint_status": "flows.checkpoints",
    "cleanup_exports": "flows.exporting.cleanup",
    "collect_garbage": "flows.prune",
    "connect": "drivers.registry",
    "connect_guarded": "drivers.wrappers.guarded",
    "copy_repository": "flows.copy",
    "create_instance": "flows.fleet.create",
    "details_of": "flows.preflight.check",
    "export_batch": "flows.exporting.batch",
    "export_instance": "flows.exporting.export",
    "fleet_health": "flows.fleet.health",
    "fleet_inventory": "flows.fleet.inventory",
    "generate_identity": "repository.keys",
    "guarded": "drivers.wrappers.guarded",
    "half_over": "flows.rotation",
    "import_package": "flows.importing.importing",
    "init_repository": "flows.repositories",
    "load_spec": "config.specs",
    "members_named": "flows.fleet.selection",
    "open_repository": "flows.repositories",
    "periods": "flows.rotation",
    "place_instance": "flows.fleet.placement",
    "plan_export": "flows.exporting.plan",
    "prunable": "flows.rotation",
    "prune": "flows.prune",
    "read_manifest": "artifacts.manifest",
    "reap_imports": "flows.importing.unfinished",
    "restore": "flows.restore",
    "restore_instance": "flows.provision",
    "retire": "flows.retire",
    "revert_instance": "flows.revert",
    "run_batch": "flows.fleet.batch",
    "scrub": "flows.checkpoints",
    "seal_file": "artifacts.encryption",
    "select_instances": "flows.fleet.selection",
    "subfolders": "flows.repositories",
    "unseal_file": "artifacts.encryption:open_file",
    "unseal_legacy_file": "artifacts.legacyenc:open_legacy_file",
    "verify": "flows.verify",
    "verify_export": "flows.exporting.verify",
    "verify_manifest": "artifacts.manifest",
}
__all__ = list(_HOMES)

if not TYPE_CHECKING:  # for which any name would be right

    def __getattr__(name: str) -> object:
        if name == "__version__":
            return import_module("importlib.metadata").version(__name__)
        if name not in _HOMES:
            raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
        module, _, there = _HOMES[name].partition(":")
        found = getattr(import_module(f"{__name__}.{module}"), there or name)
        globals()[name] = found
        return found

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
