"""What the machines run on: one ESXi host, or all that a vCenter has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyVmomi import vim

from hypersdk.drivers.vsphere import finding
from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.model.hosts import HostInfo
from hypersdk.model.units import MIB

_HOST = (
    "name",
    "hardware.cpuInfo.numCpuThreads",
    "hardware.memorySize",
    "summary.quickStats.overallMemoryUsage",
    "runtime.connectionState",
)
#: Most processors of one machine, by major version (VMware's configuration maximums).
_VCPUS_MAX = {6: 128, 7: 768, 8: 768, 9: 960}


class VsphereHost:
    """May be used by any number of threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def info(self) -> HostInfo:
        """Sums over the connected hosts, and datastores that can be reached, of the datacenter
        that the URL names, or of all."""
        connection = self._connection
        chosen = finding.datacenter(connection)
        hosts = [
            row
            for _, row in connection.collect(vim.HostSystem, _HOST, chosen)
            if str(row["runtime.connectionState"]) == "connected"
        ]
        memory = sum(int(row["hardware.memorySize"] or 0) for row in hosts)
        version = str(connection.about.version)
        return HostInfo(
            name=self._name(hosts),
            product=str(connection.about.name),
            version=version,
            architecture="x86_64",
            vcpus=sum(int(row["hardware.cpuInfo.numCpuThreads"] or 0) for row in hosts),
            memory=memory,
            memory_available=max(0, memory - sum(map(_used, hosts))),
            storage_available=self._storage(chosen),
            active_instances=self._active(chosen),
            maximum_vcpus=_VCPUS_MAX.get(int(version.partition(".")[0] or 0)),
            acceleration="none",
        )

    def _name(self, hosts: list[dict[str, Any]]) -> str:
        if not self._connection.is_vcenter and hosts:
            return str(hosts[0]["name"])
        return self._connection.address.host

    def _storage(self, chosen: Any) -> int | None:
        names = ("summary.freeSpace", "summary.accessible")
        free = [
            int(row["summary.freeSpace"] or 0)
            for _, row in self._connection.collect(vim.Datastore, names, chosen)
            if row["summary.accessible"]
        ]
        return sum(free) if free else None

    def _active(self, chosen: Any) -> int:
        rows = self._connection.collect(vim.VirtualMachine, ("runtime.powerState",), chosen)
        return sum(str(row["runtime.powerState"]) != "poweredOff" for _, row in rows)


def _used(row: Mapping[str, Any]) -> int:
    return int(row["summary.quickStats.overallMemoryUsage"] or 0) * MIB
