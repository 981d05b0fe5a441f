"""What is around a machine: its host, the cluster's rules, datastores, and what we may do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pyVmomi import vim

from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.drivers.vsphere.properties import moid
from hypersdk.model.details import StorageDetails
from hypersdk.model.errors import NotSupported

_Cluster = vim.cluster

#: Without these a machine cannot be read: leases need the first, running ones the next two, reads
#: of changes only the last.
NEEDED = (
    "VApp.Export",
    "VirtualMachine.State.CreateSnapshot",
    "VirtualMachine.State.RemoveSnapshot",
    "VirtualMachine.Config.ChangeTracking",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Of one machine. None: not known, or there is none."""

    host: str = ""
    product: str = ""
    cluster: str = ""
    balanced: bool | None = None
    power_managed: bool | None = None
    host_affinity: bool | None = None


def around(connection: Connection, machine: Any, host: Any) -> Surroundings:
    """``host``: a ``vim.HostSystem``, or None for a machine that has none."""
    if host is None:
        return Surroundings()
    row = connection.get(
        host,
        "name",
        "parent",
        "summary.config.product.name",
        "summary.config.product.version",
    )
    name = str(row["name"] or "")
    product = " ".join(
        str(row[f"summary.config.product.{each}"] or "") for each in ("name", "version")
    ).strip()
    parent = row["parent"]
    if not isinstance(parent, vim.ClusterComputeResource):
        return Surroundings(host=name, product=product)
    # The one object that is read whole: rules and groups are in it, and there is one per cluster.
    cluster = connection.get(parent, "name", "configurationEx")
    rules = cluster["configurationEx"]
    return Surroundings(
        host=name,
        product=product,
        cluster=str(cluster["name"] or ""),
        balanced=_balanced(rules, moid(machine)),
        power_managed=_flag(getattr(rules, "dpmConfigInfo", None)),
        host_affinity=_bound(rules, moid(machine)),
    )


def datastores(connection: Connection, things: Sequence[Any]) -> tuple[StorageDetails, ...]:
    """Those a machine has files on."""
    names = ("name", "summary.type", "summary.accessible", "summary.capacity", "summary.freeSpace")
    return tuple(
        StorageDetails(
            name=str(row["name"]),
            kind=str(row["summary.type"] or ""),
            accessible=row["summary.accessible"],
            capacity=row["summary.capacity"],
            free=row["summary.freeSpace"],
        )
        for row in connection.many(things, *names).values()
    )


def networks(connection: Connection, things: Sequence[Any]) -> dict[str, str]:
    """Id, and key of a distributed port group, → name."""
    # Of several kinds, which one filter does not take.
    found = {}
    for thing in things:
        found[moid(thing)] = str(connection.get(thing, "name")["name"] or "")
    return found


def missing_privileges(
    connection: Connection, thing: Any, wanted: Sequence[str] = NEEDED
) -> tuple[str, ...] | None:
    """Of ``wanted``, what the session's user lacks on an object; None where it cannot be asked."""
    manager = connection.content.authorizationManager
    if manager is None:
        return None
    try:
        answers = connection.call(
            lambda: manager.HasPrivilegeOnEntity(thing, connection.session.key, list(wanted)),
            f"ask for our privileges on {moid(thing)}",
        )
    except NotSupported:
        return None
    return tuple(name for name, granted in zip(wanted, answers, strict=True) if not granted)


def _balanced(rules: Any, machine: str) -> bool | None:
    """A machine may be left out of what its cluster does."""
    if rules is None:
        return None
    for own in getattr(rules, "drsVmConfig", None) or ():
        if moid(own.key) == machine and own.enabled is not None:
            return bool(own.enabled) and bool(_flag(getattr(rules, "drsConfig", None)))
    return _flag(getattr(rules, "drsConfig", None))


def _bound(rules: Any, machine: str) -> bool | None:
    if rules is None:
        return None
    groups = {
        group.name: {moid(each) for each in group.vm or ()}
        for group in getattr(rules, "group", None) or ()
        if isinstance(group, _Cluster.VmGroup)
    }
    return any(
        rule.enabled and machine in _members(rule, groups)
        for rule in getattr(rules, "rule", None) or ()
    )


def _members(rule: Any, groups: dict[str, set[str]]) -> Iterable[str]:
    if isinstance(rule, _Cluster.VmHostRuleInfo):
        return groups.get(str(rule.vmGroupName), set())
    return {moid(each) for each in getattr(rule, "vm", None) or ()}


def _flag(section: Any) -> bool | None:
    """Whether a service of the cluster is on."""
    enabled = getattr(section, "enabled", None)
    return None if enabled is None else bool(enabled)
