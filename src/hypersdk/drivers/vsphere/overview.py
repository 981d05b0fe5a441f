"""Hosts, clusters and datacenters in figures, and the server itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pyVmomi import vim

from hypersdk.drivers.vsphere import finding
from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.drivers.vsphere.properties import moid
from hypersdk.drivers.vsphere.translate import plain
from hypersdk.model.management import ClusterFacts, DatacenterFacts, HostFacts, ServerFacts
from hypersdk.model.units import MIB

_HOST = (
    "name",
    "parent",
    "runtime.connectionState",
    "runtime.powerState",
    "summary.hardware.cpuModel",
    "summary.hardware.numCpuCores",
    "summary.hardware.numCpuThreads",
    "summary.hardware.cpuMhz",
    "summary.hardware.memorySize",
    "summary.hardware.numNics",
    "summary.config.product.version",
    "summary.config.product.build",
    "vm",
)
_CLUSTER = (
    "name",
    "parent",
    "summary",
    "configuration.drsConfig.enabled",
    "configuration.drsConfig.defaultVmBehavior",
    "configuration.dasConfig.enabled",
)


class VsphereOverview:
    """No part of the port: an attribute of `VsphereHypervisor`. Safe in threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def server(self) -> ServerFacts:
        about = self._connection.about
        return ServerFacts(
            name=str(about.name),
            version=str(about.version),
            build=str(about.build),
            os=str(about.osType),
            api=str(about.apiType),
            api_version=str(about.apiVersion),
            instance=str(about.instanceUuid or ""),
        )

    def hosts(self) -> Sequence[HostFacts]:
        """By path, of the datacenter that the URL names or of all."""
        paths = Paths(self._connection)
        rows = self._connection.collect(vim.HostSystem, _HOST, self._top())
        return sorted((_host(paths, each, row) for each, row in rows), key=lambda one: one.path)

    def clusters(self) -> Sequence[ClusterFacts]:
        """By path."""
        paths = Paths(self._connection)
        rows = self._connection.collect(vim.ClusterComputeResource, _CLUSTER, self._top())
        return sorted((_cluster(paths, each, row) for each, row in rows), key=lambda one: one.path)

    def datacenters(self) -> Sequence[DatacenterFacts]:
        """By path; the one that the URL names, or all."""
        paths = Paths(self._connection)
        counts = {
            kind: self._counts(paths, kind)
            for kind in (
                vim.ClusterComputeResource, vim.HostSystem, vim.VirtualMachine, vim.Datastore,
            )
        }  # fmt: skip
        chosen = finding.datacenter(self._connection)
        found = [
            DatacenterFacts(
                name=paths.name(each),
                path=paths.of(each),
                clusters=counts[vim.ClusterComputeResource].get(each, 0),
                hosts=counts[vim.HostSystem].get(each, 0),
                instances=counts[vim.VirtualMachine].get(each, 0),
                datastores=counts[vim.Datastore].get(each, 0),
            )
            for each in paths.datacenters
            if chosen is None or moid(chosen) == each
        ]
        return sorted(found, key=lambda one: one.path)

    def _counts(self, paths: Paths, kind: type) -> dict[str, int]:
        """Datacenter → how many of a kind are in it."""
        found: dict[str, int] = {}
        # A machine in a vApp has no folder, but always a host.
        parent = "runtime.host" if kind is vim.VirtualMachine else "parent"
        for _, row in self._connection.collect(kind, (parent,)):
            above = row[parent]
            place = "" if above is None else paths.datacenter_of(moid(above))
            found[place] = found.get(place, 0) + 1
        return found

    def _top(self) -> Any:
        return finding.datacenter(self._connection)


class Paths:
    """Names and places of what has something below it, read in one call."""

    def __init__(self, connection: Connection) -> None:
        kinds = (
            vim.Folder, vim.Datacenter, vim.ComputeResource, vim.HostSystem, vim.ResourcePool,
        )  # fmt: skip
        self._rows: dict[str, tuple[str, str]] = {}
        #: Ids.
        self.datacenters: set[str] = set()
        for kind in kinds:
            for each, row in connection.collect(kind, ("name", "parent")):
                above = moid(row["parent"]) if row["parent"] is not None else ""
                self._rows[each] = (plain(str(row["name"])), above)
                if kind is vim.Datacenter:
                    self.datacenters.add(each)

    def name(self, each: str) -> str:
        return self._rows[each][0] if each in self._rows else ""

    def of(self, each: str) -> str:
        """``europe/DC0/host/cluster``; the root folder is in no path."""
        names = [self._rows[one][0] for one in self._up(each) if self._rows[one][1]]
        return "/".join(reversed(names))

    def datacenter_of(self, each: str) -> str:
        """Its id; empty for what is in none."""
        return next((one for one in self._up(each) if one in self.datacenters), "")

    def _up(self, each: str) -> Iterable[str]:
        for _ in range(finding.DEPTH_MAX):
            if each not in self._rows:
                return
            yield each
            each = self._rows[each][1]


def _host(paths: Paths, each: str, row: Mapping[str, Any]) -> HostFacts:
    parent = row["parent"]
    clustered = isinstance(parent, vim.ClusterComputeResource)
    return HostFacts(
        name=plain(str(row["name"])),
        path=paths.of(each),
        datacenter=paths.name(paths.datacenter_of(each)),
        cluster=paths.name(moid(parent)) if clustered else "",
        connection=str(row["runtime.connectionState"]),
        power=str(row["runtime.powerState"]),
        cpu_model=str(row["summary.hardware.cpuModel"] or ""),
        cores=int(row["summary.hardware.numCpuCores"] or 0),
        threads=int(row["summary.hardware.numCpuThreads"] or 0),
        mhz=int(row["summary.hardware.cpuMhz"] or 0),
        memory=int(row["summary.hardware.memorySize"] or 0),
        nics=int(row["summary.hardware.numNics"] or 0),
        instances=len(row["vm"] or ()),
        version=str(row["summary.config.product.version"] or ""),
        build=str(row["summary.config.product.build"] or ""),
    )


def _cluster(paths: Paths, each: str, row: Mapping[str, Any]) -> ClusterFacts:
    summary = row["summary"]
    return ClusterFacts(
        name=plain(str(row["name"])),
        path=paths.of(each),
        mhz=int(summary.totalCpu or 0),
        memory=int(summary.totalMemory or 0),
        hosts=int(summary.numHosts or 0),
        cores=int(summary.numCpuCores or 0),
        threads=int(summary.numCpuThreads or 0),
        balanced=bool(row["configuration.drsConfig.enabled"]),
        behavior=str(row["configuration.drsConfig.defaultVmBehavior"] or ""),
        restarts=bool(row["configuration.dasConfig.enabled"]),
        effective_mhz=int(summary.effectiveCpu or 0),
        effective_memory=int(summary.effectiveMemory or 0) * MIB,
    )
