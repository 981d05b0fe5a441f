"""From what a package says to what a hypervisor is asked for."""

from __future__ import annotations

from collections.abc import Sequence

from hypersdk.drivers.ports import Hypervisor
from hypersdk.flows.importing.options import ImportOptions
from hypersdk.model.errors import InvalidInput, NotFound
from hypersdk.model.specs import DiskSpec, InstanceSpec, NicSpec
from hypersdk.ovf.machine import OvfDisk, OvfMachine, OvfNic

#: Leaves a network card out.
NO_NETWORK = "-"
_GIB = 1 << 30
_MODELS = {"e1000": "e1000", "e1000e": "e1000e", "pcnet32": "pcnet", "rtl8139": "rtl8139"}


def spec_of(
    machine: OvfMachine, hypervisor: Hypervisor, options: ImportOptions, warnings: list[str]
) -> InstanceSpec:
    """What is to be made. Raises NotFound for a network that is not here."""
    pool, folder = _storage(hypervisor, options.storage)
    name = options.name or machine.name
    return InstanceSpec(
        name=name,
        vcpus=options.vcpus or machine.vcpus,
        memory=options.memory or machine.memory or _GIB,
        disks=tuple(
            DiskSpec(
                size=disk.capacity,
                format=options.disk_format,
                bus=options.bus or bus_of(disk),
                pool=pool,
                path=f"{folder}/{name}-{number}.{options.disk_format}" if folder else "",
            )
            for number, disk in enumerate(machine.disks)
        ),
        nics=nics_of(machine.nics, hypervisor, options, warnings),
        firmware=options.firmware or machine.firmware,
        folder=options.folder,
        tags=options.tags,
    )


def bus_of(disk: OvfDisk) -> str:
    """The nearest that every hypervisor has. A guest may lack a driver for it: making it bootable
    elsewhere is a migration."""
    controller = disk.controller.lower()
    if disk.bus == "virtio" or controller in {"virtualscsi", "virtio", "virtio-blk"}:
        return "virtio"
    if disk.bus in {"sata", "ide"}:
        return "sata"
    return "virtio" if disk.bus == "nvme" else "scsi"


def nics_of(
    nics: Sequence[OvfNic], hypervisor: Hypervisor, options: ImportOptions, warnings: list[str]
) -> tuple[NicSpec, ...]:
    """With networks as they are called here."""
    made = []
    for nic in nics:
        network = network_of(nic.network, hypervisor, options, warnings)
        if network == NO_NETWORK:
            continue
        made.append(
            NicSpec(
                network=network,
                mac=nic.mac.lower() if options.keep_macs else "",
                model=_MODELS.get(nic.model.lower(), "virtio"),
            )
        )
    return tuple(made)


def network_of(
    wanted: str, hypervisor: Hypervisor, options: ImportOptions, warnings: list[str]
) -> str:
    """As it is called here; empty for the network that a machine has without one."""
    chosen = options.networks.get(wanted)
    if chosen == NO_NETWORK:
        return NO_NETWORK
    if hypervisor.networks is None:
        if wanted not in {"", "user"} and chosen is None:
            warnings.append(f"network '{wanted}' is not here: its card is in user-mode networking")
        return ""
    known = [network.name for network in hypervisor.networks.networks()]
    name = wanted if chosen is None else chosen
    if name in known:
        return name
    if chosen is None and wanted in {"", "user"}:
        return ""
    leave_out = f"the card out: --map-network '{wanted}={NO_NETWORK}'."
    raise NotFound(
        f"there is no network '{name}' on {hypervisor.url}",
        hint=f"Map it: --map-network '{wanted}=NETWORK' with one of {', '.join(known)}, or leave "
        f"{leave_out}"
        if known
        else f"It has no networks at all: make one, or leave {leave_out}",
    )


def _storage(hypervisor: Hypervisor, storage: str) -> tuple[str, str]:
    """Pool and folder. Raises NotFound, InvalidInput."""
    if not storage:
        return "", ""
    if storage.startswith("/"):
        return "", storage.rstrip("/")
    if hypervisor.storage is None:
        raise InvalidInput(
            f"{hypervisor.url} has no pools", hint="Name a folder, or leave out the storage."
        )
    hypervisor.storage.pool(storage)
    return storage, ""
