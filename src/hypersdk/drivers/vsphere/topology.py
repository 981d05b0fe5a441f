"""How vCenter arranges what it has. On an ESXi host there is one of everything, and no tags."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from pyVmomi import vim

from hypersdk.drivers.vsphere import finding
from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.drivers.vsphere.properties import moid
from hypersdk.drivers.vsphere.rest import Rest
from hypersdk.drivers.vsphere.storage import VsphereStorage
from hypersdk.model.errors import NotSupported
from hypersdk.model.topology import Cluster, Node, ResourcePool, Tag, Topology

_TAGGING = "/rest/com/vmware/cis/tagging"
#: Everything that has a place above or below others.
_ABOVE = (
    vim.Folder,
    vim.Datacenter,
    vim.ComputeResource,
    vim.HostSystem,
    vim.ResourcePool,
)
_NODE = (
    "name",
    "parent",
    "runtime.connectionState",
    "runtime.inMaintenanceMode",
    "summary.config.product.fullName",
    "hardware.cpuInfo.numCpuThreads",
    "hardware.memorySize",
)
_CLUSTER = (
    "name",
    "host",
    "configuration.drsConfig.enabled",
    "configuration.dasConfig.enabled",
)


class VsphereTopology:
    """No part of the port: an attribute of `VsphereHypervisor`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def read(self) -> Topology:
        """All of it. Tags are left None where there are none to be had."""
        paths = _Paths(self._connection)
        hosts = self._hosts(paths)
        try:
            tags: tuple[Tag, ...] | None = tuple(self.tags())
        except NotSupported:
            tags = None
        return Topology(
            datacenters=paths.of_kind("Datacenter"),
            clusters=self._clusters(paths, hosts),
            hosts=tuple(hosts.values()),
            pools=self._pools(paths),
            folders=tuple(path for path in paths.of_kind("Folder") if "/vm/" in path),
            datastores=tuple(VsphereStorage(self._connection).pools()),
            tags=tags,
        )

    def tags(self) -> Sequence[Tag]:
        """By category and name. Raises NotSupported on an ESXi host, HypervisorDenied."""
        if not self._connection.is_vcenter:
            raise NotSupported("an ESXi host has no tags", hint="Ask its vCenter.")
        with Rest(self._connection) as rest:
            categories = {
                each: str(rest.get(f"{_TAGGING}/category/id:{quote(each)}")["name"])
                for each in rest.get(f"{_TAGGING}/category") or ()
            }
            found = [_tag(rest, each, categories) for each in rest.get(f"{_TAGGING}/tag") or ()]
        return sorted(found, key=lambda tag: (tag.category, tag.name))

    def _hosts(self, paths: _Paths) -> dict[str, Node]:
        found = {}
        for each, row in self._connection.collect(vim.HostSystem, _NODE):
            parent = row["parent"]
            cluster = isinstance(parent, vim.ClusterComputeResource)
            found[each] = Node(
                name=str(row["name"]),
                path=paths.of(each),
                cluster=paths.name(moid(parent)) if cluster else "",
                product=str(row["summary.config.product.fullName"] or ""),
                connected=str(row["runtime.connectionState"]) == "connected",
                maintenance=bool(row["runtime.inMaintenanceMode"]),
                vcpus=int(row["hardware.cpuInfo.numCpuThreads"] or 0),
                memory=int(row["hardware.memorySize"] or 0),
            )
        return found

    def _clusters(self, paths: _Paths, hosts: dict[str, Node]) -> tuple[Cluster, ...]:
        rows = self._connection.collect(vim.ClusterComputeResource, _CLUSTER)
        return tuple(
            Cluster(
                name=str(row["name"]),
                path=paths.of(each),
                hosts=tuple(
                    hosts[moid(one)].name for one in row["host"] or () if moid(one) in hosts
                ),
                balanced=row["configuration.drsConfig.enabled"],
                restarts=row["configuration.dasConfig.enabled"],
            )
            for each, row in rows
        )

    def _pools(self, paths: _Paths) -> tuple[ResourcePool, ...]:
        rows = self._connection.collect(vim.ResourcePool, ("name",))
        return tuple(ResourcePool(name=str(row["name"]), path=paths.of(each)) for each, row in rows)


class _Paths:
    """Paths of the whole inventory, read in one call."""

    def __init__(self, connection: Connection) -> None:
        self._rows: dict[str, tuple[str, str, str]] = {}
        for kind in _ABOVE:
            word = kind.__name__.rpartition(".")[2]
            for each, row in connection.collect(kind, ("name", "parent")):
                above = moid(row["parent"]) if row["parent"] is not None else ""
                self._rows[each] = (str(row["name"]), above, word)

    def name(self, each: str) -> str:
        return self._rows[each][0] if each in self._rows else ""

    def of(self, each: str) -> str:
        names: list[str] = []
        while each in self._rows and len(names) < finding.DEPTH_MAX:
            name, each, _ = self._rows[each]
            names.append(name)
        return "/".join(reversed(names))

    def of_kind(self, word: str) -> tuple[str, ...]:
        """In order."""
        return tuple(sorted(self.of(each) for each, row in self._rows.items() if row[2] == word))


def _tag(rest: Rest, each: str, categories: dict[str, str]) -> Tag:
    found: dict[str, Any] = rest.get(f"{_TAGGING}/tag/id:{quote(each)}")
    path = f"{_TAGGING}/tag-association/id:{quote(each)}?~action=list-attached-objects"
    return Tag(
        name=str(found["name"]),
        category=categories.get(str(found["category_id"]), ""),
        description=str(found.get("description") or ""),
        objects=tuple(sorted(str(thing["id"]) for thing in rest.post(path, {}) or ())),
    )
