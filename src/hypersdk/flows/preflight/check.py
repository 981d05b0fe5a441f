"""Pre-flight: say what would go wrong before anything is begun."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hypersdk.drivers.ports import Hypervisor
from hypersdk.flows.preflight.facts import destination_facts
from hypersdk.flows.preflight.packages import arrival_facts, as_details, look_into
from hypersdk.flows.preflight.report import PreflightReport
from hypersdk.flows.preflight.rules import run_rules
from hypersdk.flows.preflight.subject import Destination, Errand, Subject
from hypersdk.model.details import DiskDetails, InstanceDetails
from hypersdk.model.errors import NotSupported
from hypersdk.model.instances import Instance, Purpose


def details_of(hypervisor: Hypervisor, name: str) -> InstanceDetails:
    """All that its hypervisor tells of an instance: from its ``details`` part, else what a listing
    tells. Raises InstanceNotFound, NotSupported."""
    if hypervisor.details is not None:
        return hypervisor.details.details(name)
    if hypervisor.inventory is None:
        raise NotSupported(f"{hypervisor.url} does not tell which instances it has")
    return from_listing(hypervisor.inventory.instance(name))


def from_listing(instance: Instance) -> InstanceDetails:
    """Details with nothing but what a listing tells."""
    disks = tuple(
        DiskDetails(name=disk.name, size=disk.size, path=disk.path)
        for disk in instance.disks
        if disk.purpose in {Purpose.DISK, Purpose.ARCHIVE}
    )
    return InstanceDetails(instance=instance, disks=disks)


def check_export(hypervisor: Hypervisor, name: str, destination: Destination) -> PreflightReport:
    """What would go wrong, or be different, if the instance were exported there now.

    Changes nothing, on the hypervisor or in the folder. Raises InstanceNotFound.
    """
    return check_details(details_of(hypervisor, name), destination)


def check_details(details: InstanceDetails, destination: Destination) -> PreflightReport:
    """As `check_export`, of an instance that was looked at already."""
    subject = Subject(
        errand=Errand.EXPORT,
        details=details,
        destination=destination_facts(destination, details),
    )
    return PreflightReport(details=details, concerns=run_rules(subject))


def check_import(
    hypervisor: Hypervisor,
    path: Path,
    *,
    name: str = "",
    networks: Mapping[str, str] | None = None,
    storage: str = "",
) -> PreflightReport:
    """What would go wrong if the package (OVF, OVA, a disk image) became an instance there now.

    ``name``: empty for the one in the package. ``networks``: name in the package → name there.
    Changes nothing. Raises NotFound for a ``storage`` that is not there.
    """
    package = look_into(path, networks or {})
    details = as_details(package, name)
    subject = Subject(
        errand=Errand.IMPORT,
        details=details,
        arrival=arrival_facts(package, details, hypervisor, storage),
    )
    return PreflightReport(details=details, concerns=run_rules(subject))
