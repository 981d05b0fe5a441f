"""Look into a package and at the hypervisor that is to run it, without changing either."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hypersdk.drivers.ports import Hypervisor
from hypersdk.flows.importing.packages import package_in
from hypersdk.flows.importing.unfinished import may_be_removed
from hypersdk.flows.preflight.subject import ArrivalFacts
from hypersdk.model.details import DiskDetails, InstanceDetails, NicDetails
from hypersdk.model.errors import HyperSDKError, InstanceNotFound, InvalidInput
from hypersdk.model.instances import Disk, Instance, InstanceState
from hypersdk.ovf.machine import OvfMachine
from hypersdk.ovf.reading import MOST, read_ovf
from hypersdk.ovf.unpacking import read_ova

_DESCRIPTOR = ".ovf"
_ARCHIVE = ".ova"


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """What is to become an instance."""

    path: Path
    #: None: a single disk image, or a package that cannot be read.
    machine: OvfMachine | None = None
    unreadable: str = ""
    missing: tuple[str, ...] = ()
    #: Name → name of a network there.
    networks: Mapping[str, str] = field(default_factory=dict)


def look_into(path: Path, networks: Mapping[str, str]) -> Package:
    """Only the descriptor is read: disks are checked when they are imported."""
    try:
        if path.is_dir():
            path = package_in(path)
        if not path.is_file():
            raise InvalidInput("there is no such file")
        suffix = path.suffix.lower()
        if suffix not in {_DESCRIPTOR, _ARCHIVE}:
            return Package(path=path, networks=networks)
        machine = _in_archive(path) if suffix == _ARCHIVE else _beside(path)
    except HyperSDKError as error:
        return Package(path=path, unreadable=error.message, networks=networks)
    except OSError as error:
        return Package(path=path, unreadable=error.strerror or str(error), networks=networks)
    missing: tuple[str, ...] = ()
    if suffix == _DESCRIPTOR:
        names = dict.fromkeys(disk.file for disk in machine.disks if disk.file)
        missing = tuple(name for name in names if not (path.parent / name).is_file())
    return Package(path=path, machine=machine, missing=missing, networks=networks)


def _beside(path: Path) -> OvfMachine:
    with path.open("rb") as file:
        return read_ovf(file.read(MOST + 1))


def _in_archive(path: Path) -> OvfMachine:
    """The descriptor comes first in every archive that follows the standard."""
    with path.open("rb") as file:
        for member in read_ova(file):
            if member.name.lower().endswith(_DESCRIPTOR):
                return read_ovf(member.content.read(min(member.size, MOST + 1)))
    raise InvalidInput("the archive has no descriptor (.ovf)")


def as_details(package: Package, name: str) -> InstanceDetails:
    """What the package says of its instance, in the words in which rules look at instances."""
    machine = package.machine
    name = name or (machine.name if machine else package.path.stem)
    if machine is None:
        instance = Instance("", name, InstanceState.STOPPED, 0, 0)
        return InstanceDetails(instance=instance)
    disks = tuple(DiskDetails(name=disk.id, size=disk.capacity) for disk in machine.disks)
    return InstanceDetails(
        instance=Instance(
            "",
            name,
            InstanceState.STOPPED,
            machine.vcpus,
            machine.memory,
            tuple(Disk(disk.name, disk.size) for disk in disks),
        ),
        firmware=machine.firmware,
        secure_boot=machine.secure_boot,
        hardware=machine.hardware,
        disks=disks,
        nics=tuple(
            NicDetails(name=f"nic{index}", mac=nic.mac, network=nic.network, model=nic.model)
            for index, nic in enumerate(machine.nics)
        ),
    )


def arrival_facts(
    package: Package, details: InstanceDetails, hypervisor: Hypervisor, storage: str
) -> ArrivalFacts:
    """``storage``: the pool for new disks, or a folder; empty for the hypervisor's own choice."""
    kinds = tuple(sorted(hypervisor.provisioning.kinds)) if hypervisor.provisioning else ()
    host = hypervisor.host.info() if hypervisor.host is not None else None
    if storage and not storage.startswith("/") and hypervisor.storage is not None:
        free: int | None = hypervisor.storage.pool(storage).available
    else:
        free = host.storage_available if host else None
    return ArrivalFacts(
        hypervisor=hypervisor.url,
        package=package.path,
        unreadable=package.unreadable,
        missing_files=package.missing,
        exists=_exists(hypervisor, details.instance.name),
        accepted=hypervisor.provisioning is not None or hypervisor.lifecycle is not None,
        kinds=kinds,
        networks=_networks(hypervisor),
        wanted_networks=tuple(
            dict.fromkeys(
                package.networks.get(nic.network, nic.network)
                for nic in details.nics
                if nic.network
            )
        ),
        free=free,
        memory=(host.maximum_memory or host.memory) if host else None,
        vcpus=(host.maximum_vcpus or host.vcpus) if host else None,
    )


def _exists(hypervisor: Hypervisor, name: str) -> bool | None:
    if hypervisor.inventory is None:
        return None
    try:
        hypervisor.inventory.instance(name)
    except InstanceNotFound:
        return False
    # What a killed import left goes when the next one begins.
    return None if may_be_removed(hypervisor, name) else True


def _networks(hypervisor: Hypervisor) -> tuple[str, ...] | None:
    if hypervisor.networks is None:
        return None
    return tuple(network.name for network in hypervisor.networks.networks())
