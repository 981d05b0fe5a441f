"""Instances and destinations for tests of rules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypersdk.flows.preflight.rules import OURS
from hypersdk.flows.preflight.subject import ArrivalFacts, DestinationFacts, Errand, Subject
from hypersdk.model.details import DiskDetails, InstanceDetails
from hypersdk.model.instances import Instance, InstanceState

GIB = 1 << 30


def details(
    name: str = "web", state: InstanceState = InstanceState.STOPPED, **facts: Any
) -> InstanceDetails:
    """``state`` and details of an instance of which otherwise nothing is known."""
    return InstanceDetails(instance=Instance("id-1", name, state, 2, 2 * GIB), **facts)


def running(**facts: Any) -> InstanceDetails:
    return details(state=InstanceState.RUNNING, **facts)


def disk(**facts: Any) -> InstanceDetails:
    """A stopped instance with one disk."""
    return details(disks=(DiskDetails(**{"name": "scsi0-0", "size": GIB, **facts}),))


def running_disk(**facts: Any) -> InstanceDetails:
    return running(disks=disk(**facts).disks)


def destination(**facts: Any) -> DestinationFacts:
    return DestinationFacts(**{"folder": Path("/exports"), "format": "ovf", **facts})


def arrival(**facts: Any) -> ArrivalFacts:
    package = Path("/packages/web.ova")
    return ArrivalFacts(**{"hypervisor": "mock:///lab", "package": package, **facts})


def found(
    of: InstanceDetails,
    to: DestinationFacts | None = None,
    at: ArrivalFacts | None = None,
) -> set[str]:
    """Ids of the rules that find something."""
    errand = Errand.IMPORT if at is not None else Errand.EXPORT
    subject = Subject(errand=errand, details=of, destination=to, arrival=at)
    return {concern.id for rule in OURS for concern in rule.concerns(subject)}
