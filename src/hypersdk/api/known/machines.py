"""Instances in the shape of ``/vms``."""

from __future__ import annotations

from collections.abc import Mapping

from hypersdk.api.known import reach
from hypersdk.api.known.reach import Reached
from hypersdk.contract.known.vms import KnownVm
from hypersdk.model.details import InstanceDetails
from hypersdk.model.instances import Instance, InstanceState, Purpose
from hypersdk.model.units import MIB

_POWER: Mapping[InstanceState, str] = {
    InstanceState.RUNNING: "poweredOn",
    InstanceState.PAUSED: "suspended",
    InstanceState.STOPPED: "poweredOff",
    InstanceState.CRASHED: "poweredOff",
    InstanceState.UNKNOWN: "unknown",
}


def machines(here: Reached) -> list[KnownVm]:
    """All of a hypervisor, by name."""
    return [machine(each) for each in reach.inventory(here.hypervisor).instances()]


def machine(found: Instance, details: InstanceDetails | None = None) -> KnownVm:
    """A listing knows no guest systems, and not everywhere the sizes of disks."""
    sizes = sum(disk.size for disk in found.disks if disk.purpose is Purpose.DISK)
    guest = details.guest if details else None
    return KnownVm(
        name=found.name,
        path=(details.path if details else "") or path_of(found),
        power_state=_POWER[found.state],
        guest_os=(guest.os or guest.os_id) if guest else "",
        memory_mb=found.memory // MIB,
        num_cpu=found.vcpus,
        storage_bytes=(details.stored if details else None) or sizes,
    )


def path_of(found: Instance) -> str:
    """``prod/web/web-1``: what ``vm_path`` takes."""
    return f"{found.folder}/{found.name}" if found.folder else found.name


def described(here: Reached, name: str) -> KnownVm:
    """One, with all that is known. Raises InstanceNotFound."""
    hypervisor = here.hypervisor
    found = reach.inventory(hypervisor).instance(name)
    if hypervisor.details is None:
        return machine(found)
    return machine(found, hypervisor.details.details(found.id))
