"""Where new machines go: host, resource pool, datastores, port groups.

The datastore is the one that was asked for, or else the one with most room; the host is the one
with most free memory among those that reach the datastores. In a cluster with DRS the host is where
the machine begins, and DRS moves it as it does others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from pyVmomi import vim

from hypersdk.drivers.vsphere import finding
from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.drivers.vsphere.properties import moid
from hypersdk.model.errors import InvalidInput, LimitExceeded, NotFound
from hypersdk.model.specs import NicSpec
from hypersdk.model.units import MIB

_HOST = (
    "name",
    "runtime.connectionState",
    "runtime.inMaintenanceMode",
    "summary.hardware.cpuMhz",
    "summary.hardware.memorySize",
    "summary.quickStats.overallMemoryUsage",
    "datastore",
    "network",
    "parent",
)
_DATASTORE = ("name", "summary.accessible", "summary.freeSpace", "summary.maintenanceMode")


@dataclass(frozen=True, slots=True)
class Datastore:
    """A place for disks. Bytes."""

    id: str
    name: str
    free: int


@dataclass(frozen=True, slots=True)
class HostPlace:
    """A host that can take machines."""

    id: str
    name: str
    #: Of one of its processors.
    mhz: int
    #: Bytes.
    free_memory: int
    datastores: frozenset[str]
    #: Its cluster, or itself as a compute resource.
    compute: Any

    def pool(self, connection: Connection) -> Any:
        """The root resource pool."""
        return connection.get(self.compute, "resourcePool")["resourcePool"]


def datacenter(connection: Connection) -> Any:
    """That of the URL, or the only one. Raises InvalidInput, NotFound."""
    chosen = finding.datacenter(connection)
    if chosen is not None:
        return chosen
    rows = {row["name"]: each for each, row in connection.collect(vim.Datacenter, ("name",))}
    if len(rows) == 1:
        return connection.object(vim.Datacenter, next(iter(rows.values())))
    raise InvalidInput(
        "the vCenter has several datacenters, and the URL names none",
        hint=f"Add one to the URL, as in vsphere://…/{min(rows, default='DC0')}",
    )


def hosts(connection: Connection, root: Any) -> list[HostPlace]:
    """Those that can take machines, the one with most free memory first."""
    return sorted(_usable(connection, root), key=lambda host: (-host.free_memory, host.name))


def _usable(connection: Connection, root: Any) -> Iterable[HostPlace]:
    for each, row in connection.collect(vim.HostSystem, _HOST, root):
        if row.get("runtime.connectionState") != "connected":
            continue
        if row.get("runtime.inMaintenanceMode"):
            continue
        used = (row.get("summary.quickStats.overallMemoryUsage") or 0) * MIB
        yield HostPlace(
            id=each,
            name=row["name"],
            mhz=row.get("summary.hardware.cpuMhz") or 0,
            free_memory=(row.get("summary.hardware.memorySize") or 0) - used,
            datastores=frozenset(moid(found) for found in row.get("datastore") or ()),
            compute=row["parent"],
        )


def datastores(connection: Connection, root: Any) -> list[Datastore]:
    """Those that can take disks, the one with most room first."""
    found = [
        Datastore(each, row["name"], row.get("summary.freeSpace") or 0)
        for each, row in connection.collect(vim.Datastore, _DATASTORE, root)
        if row.get("summary.accessible")
        and row.get("summary.maintenanceMode", "normal") == "normal"
    ]
    return sorted(found, key=lambda each: (-each.free, each.name))


def choose_host(places: Iterable[HostPlace], needed: Collection[str] = ()) -> HostPlace:
    """The first of them that reaches these datastores. Raises LimitExceeded."""
    for place in places:
        if place.datastores.issuperset(needed):
            return place
    raise LimitExceeded(
        "there is no host that is connected, not in maintenance, and reaches the datastores asked "
        "for",
        hint="See the hosts in the vSphere Client, or name another datastore as pool.",
    )


def choose_datastore(found: Iterable[Datastore], name: str, reached: Collection[str]) -> Datastore:
    """The one of this name; without a name the first among those that are reached.

    Raises NotFound, LimitExceeded.
    """
    known = list(found)
    for each in known:
        if each.name == name or (not name and each.id in reached):
            return each
    if not name:
        raise LimitExceeded(
            "there is no datastore that can take disks", hint="See them: they must be accessible."
        )
    names = [each.name for each in known]
    near = get_close_matches(name, names, n=1)
    question = f"Did you mean {near[0]}? " if near else ""
    raise NotFound(
        f"there is no datastore '{name}' that can take disks",
        hint=f"{question}There are: {', '.join(sorted(names))}.",
    )


def nic_backing(connection: Connection, root: Any, nic: NicSpec) -> Any:
    """What a NIC is connected to. Raises InvalidInput, NotFound."""
    if nic.bridge:
        raise InvalidInput(
            f"a NIC asks for the bridge '{nic.bridge}'; here are port groups",
            hint="Name a port group as its network.",
        )
    kind = vim.dvs.DistributedVirtualPortgroup
    rows = connection.collect(kind, ("name", "key", "config.distributedVirtualSwitch"), root)
    groups = {row["name"]: row for _, row in rows}
    if nic.network in groups:
        return _distributed(connection, groups[nic.network])
    plain = {row["name"]: each for each, row in connection.collect(vim.Network, ("name",), root)}
    if nic.network in plain:
        return vim.vm.device.VirtualEthernetCard.NetworkBackingInfo(
            deviceName=nic.network, network=connection.object(vim.Network, plain[nic.network])
        )
    hint = f"There are: {', '.join(sorted({*plain, *groups}))}."
    if not nic.network:
        raise InvalidInput("a NIC names no network; it needs a port group", hint=hint)
    raise NotFound(f"there is no network '{nic.network}'", hint=hint)


def _distributed(connection: Connection, group: dict[str, Any]) -> Any:
    switch = connection.get(group["config.distributedVirtualSwitch"], "uuid")
    return vim.vm.device.VirtualEthernetCard.DistributedVirtualPortBackingInfo(
        port=vim.dvs.PortConnection(portgroupKey=group["key"], switchUuid=switch["uuid"])
    )
