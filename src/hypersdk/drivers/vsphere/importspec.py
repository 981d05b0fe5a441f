"""What vSphere makes of an OVF descriptor: the specification of an import, and which of our disks
belongs to which of its files."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyVmomi import vim

from hypersdk.drivers.diskports import Placement
from hypersdk.drivers.vsphere import placement as places
from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.drivers.vsphere.folders import Folders
from hypersdk.drivers.vsphere.ovfdefinition import file_name
from hypersdk.drivers.vsphere.placement import Datastore, HostPlace
from hypersdk.drivers.vsphere.tags import tag_options
from hypersdk.drivers.vsphere.translate import plain
from hypersdk.model.errors import InvalidInput, NotFound
from hypersdk.model.instances import Disk, Purpose

_NETWORK = re.compile(rb"<(?:[A-Za-z0-9_]+:)?Network\s[^>]*?name=\"([^\"]*)\"")
_PLACE = re.compile(r"(?P<kind>[A-Za-z]*Controller)(?P<number>\d+):(?P<unit>\d+)$")
_BUSES = (("SCSI", "scsi"), ("LsiLogic", "scsi"), ("BusLogic", "scsi"), ("AHCI", "sata"),
          ("SATA", "sata"), ("IDE", "ide"), ("NVME", "nvme"))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Destination:
    """Where an import goes."""

    datacenter: Any
    host: HostPlace
    datastore: Datastore
    #: Path below the datacenter's folder of machines.
    folder: str

    @classmethod
    def choose(cls, connection: Connection, placement: Placement) -> Destination:
        """Raises NotFound, LimitExceeded, InvalidInput."""
        datacenter = places.datacenter(connection)
        hosts = places.hosts(connection, datacenter)
        reached = frozenset().union(*(host.datastores for host in hosts))
        stores = places.datastores(connection, datacenter)
        datastore = places.choose_datastore(stores, placement.pool, reached)
        host = places.choose_host(hosts, {datastore.id})
        return cls(datacenter, host, datastore, placement.folder.strip("/"))

    def folders(self, connection: Connection) -> Folders:
        """Below which the machine comes."""
        return Folders(connection, connection.get(self.datacenter, "vmFolder")["vmFolder"])


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """What is imported, where."""

    name: str
    #: ``vim.ImportSpec``.
    spec: Any
    #: Name of our disk → id of the device that vSphere asks its file for.
    devices: Mapping[str, str]
    destination: Destination


def plan(
    connection: Connection,
    descriptor: bytes,
    name: str,
    disks: Sequence[Disk],
    placement: Placement,
) -> ImportPlan:
    """Ask vSphere, change nothing.

    Raises InvalidInput for what vSphere does not take, NotFound for a network or datastore.
    """
    destination = Destination.choose(connection, placement)
    networks = _networks(connection, descriptor, destination, placement.networks)
    parameters = vim.OvfManager.CreateImportSpecParams(
        entityName=name,
        hostSystem=connection.object(vim.HostSystem, destination.host.id),
        networkMapping=networks,
        diskProvisioning="thin",
        locale="",
        deploymentOption="",
    )
    pool = destination.host.pool(connection)
    datastore = connection.object(vim.Datastore, destination.datastore.id)
    result = connection.call(
        lambda: connection.content.ovfManager.CreateImportSpec(
            descriptor.decode("utf-8", "replace"), pool, datastore, parameters
        ),
        f"plan the import of '{name}'",
    )
    if result.error or result.importSpec is None:
        reasons = "; ".join(str(each.msg or type(each).__name__) for each in result.error or ())
        raise InvalidInput(
            f"vSphere does not take the definition of '{name}': {reasons or 'it says not why'}",
            hint="Correct what it names in the OVF descriptor.",
        )
    adjust(result.importSpec.configSpec, placement)
    return ImportPlan(name, result.importSpec, matched(disks, result.fileItem or ()), destination)


def adjust(config: Any, placement: Placement) -> None:
    """Fresh MAC addresses, no links, and tags, as far as they are asked for."""
    if placement.tags:
        config.extraConfig = [*(config.extraConfig or ()), *tag_options(placement.tags)]
    for change in config.deviceChange or ():
        card = change.device
        if not isinstance(card, vim.vm.device.VirtualEthernetCard):
            continue
        if placement.new_macs is not False:
            card.addressType, card.macAddress = "generated", None
        if placement.isolated:
            card.connectable = vim.vm.device.VirtualDevice.ConnectInfo(
                startConnected=False, connected=False, allowGuestControl=True
            )


def matched(disks: Sequence[Disk], items: Sequence[Any]) -> dict[str, str]:
    """By the name of the file, by the place of the device, and what is left by order.

    Raises InvalidInput when disks and files do not fit together.
    """
    left = list(items)
    found: dict[str, str] = {}
    for fits in (_same_file, _same_place):
        for disk in disks:
            if disk.name in found:
                continue
            item = next((each for each in left if fits(disk, each)), None)
            if item is not None:
                found[disk.name] = str(item.deviceId)
                left.remove(item)
    rest = [disk for disk in disks if disk.name not in found and disk.purpose is Purpose.DISK]
    files = [item for item in left if _is_disk(item)]
    if len(rest) != len(files):
        names = ", ".join(disk.name for disk in rest) or "none"
        raise InvalidInput(
            f"disks and definition do not fit: without a place are {names}, without a disk "
            f"{', '.join(str(item.path) for item in files) or 'none'}",
            hint="Import all disks that the definition names, or another definition.",
        )
    found.update((disk.name, str(item.deviceId)) for disk, item in zip(rest, files, strict=True))
    return found


def _same_file(disk: Disk, item: Any) -> bool:
    path = str(item.path or "")
    if disk.purpose is Purpose.NVRAM:
        return path.endswith(".nvram")
    return path in {file_name(disk.name), disk.name, disk.path.rpartition("/")[2] or disk.name}


def _same_place(disk: Disk, item: Any) -> bool:
    found = _PLACE.search(str(item.deviceId or ""))
    if found is None or disk.purpose is not Purpose.DISK:
        return False
    bus = next((name for word, name in _BUSES if word in found["kind"]), "")
    return disk.name == f"{bus}{found['number']}-{found['unit']}"


def _is_disk(item: Any) -> bool:
    return str(item.path or "").endswith(".vmdk") or item.cimType == 17


def _networks(
    connection: Connection, descriptor: bytes, destination: Destination, mapping: Mapping[str, str]
) -> list[Any]:
    wanted = {
        html.unescape(name.decode("utf-8", "replace")) for name in _NETWORK.findall(descriptor)
    }
    if not wanted:
        return []
    rows = connection.collect(vim.Network, ("name",), destination.datacenter)
    there = {plain(str(row["name"])): moid for moid, row in rows}
    found = []
    for name in sorted(wanted):
        here = mapping.get(name, name)
        if here not in there:
            raise NotFound(
                f"there is no network '{here}' here",
                hint=f"Use another with --map-network '{name}'=NEW. There are: "
                f"{', '.join(sorted(there)) or 'none'}.",
            )
        network = connection.object(vim.Network, there[here])
        found.append(vim.OvfManager.NetworkMapping(name=name, network=network))
    return found
