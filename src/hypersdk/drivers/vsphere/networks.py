"""Networks: standard and distributed port groups, and those of NSX.

What is made here are standard ones, on every host: ``isolated`` on a switch of its own that has no
way out, ``bridge`` on a switch that is there already.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from pyVmomi import vim

from hypersdk.drivers.vsphere import finding, translate
from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.drivers.vsphere.properties import moid
from hypersdk.model.capabilities import Limit
from hypersdk.model.errors import AlreadyExists, InvalidInput, InvalidState, NotFound, NotSupported
from hypersdk.model.resources import Network

LIMITS = (Limit("networks.stop", "a port group is there or not, it cannot be stopped"),)
_SYSTEM = "configManager.networkSystem"
_UPLINKS = "config.uplinkPortgroup"
#: Ports of a switch that is made for one network.
_PORTS = 128
#: VMware's longest name of a standard switch.
_SWITCH_NAME_MAX = 31


class VsphereNetworks:
    """The ``networks`` part. Those of the datacenter that the URL names, or of all."""

    limits = LIMITS

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def networks(self) -> Sequence[Network]:
        """By name. ``bridge`` is the switch. ``isolated``: no host has a way out of it."""
        switches = self._switches()
        rows = self._rows()
        return sorted(
            (_network(row, thing, switches) for thing, row in rows), key=lambda each: each.name
        )

    def create_network(self, network: Network) -> Network:
        """``isolated``, or ``bridge`` with the name of a standard switch in ``bridge``. vSphere
        gives out no addresses. Raises AlreadyExists, InvalidInput, NotFound for no such switch."""
        if network.address or network.dhcp_first or network.dhcp_last:
            raise InvalidInput(
                f"network '{network.name}' asks for addresses",
                hint="Leave them out: vSphere gives out none.",
            )
        if any(translate.plain(row["name"]) == network.name for _, row in self._rows()):
            raise AlreadyExists(
                f"there is a network '{network.name}' already", hint="Choose another name."
            )
        if network.mode == "isolated":
            self._make(network.name, _own_switch(network), own=True)
        elif network.mode == "bridge" and network.bridge:
            self._make(network.name, network.bridge, own=False)
        else:
            raise InvalidInput(
                f"vSphere makes no networks of mode '{network.mode}'",
                hint="isolated, or bridge with the name of a standard switch.",
            )
        return self._named(network.name)[1]

    def start_network(self, name: str) -> None:
        """It is there, so it works."""
        self._named(name)

    def stop_network(self, name: str) -> None:
        self._named(name)
        raise NotSupported(f"'{name}': {LIMITS[0].note}", hint="Delete it.")

    def delete_network(self, name: str) -> None:
        """With the switch that was made for it. Raises NotFound, InvalidState while machines are
        connected."""
        thing, network = self._named(name)
        if used := self._connection.get(thing, "vm")["vm"]:
            raise InvalidState(
                f"{len(used)} machines are connected to '{name}'", hint="Disconnect them first."
            )
        doing = f"delete network '{name}'"
        if isinstance(thing, vim.dvs.DistributedVirtualPortgroup):
            self._connection.task(thing.Destroy_Task, doing)
            return
        systems = self._systems()
        self._on_all([partial(each.RemovePortGroup, name) for each in systems], doing, NotFound)
        if network.mode == "isolated" and network.bridge == _own_switch(network):
            removals = [partial(each.RemoveVirtualSwitch, network.bridge) for each in systems]
            self._on_all(removals, doing, NotFound)

    def _make(self, name: str, switch: str, *, own: bool) -> None:
        systems = self._systems()
        doing = f"create network '{name}'"
        if own:
            spec = vim.host.VirtualSwitch.Specification(numPorts=_PORTS)
            additions = [partial(each.AddVirtualSwitch, switch, spec) for each in systems]
            self._on_all(additions, doing, AlreadyExists)
        group = vim.host.PortGroup.Specification(
            name=name, vlanId=0, vswitchName=switch, policy=vim.host.NetworkPolicy()
        )
        self._on_all([partial(each.AddPortGroup, group) for each in systems], doing, AlreadyExists)

    def _on_all(
        self, calls: Sequence[Callable[[], object]], doing: str, done: type[Exception]
    ) -> None:
        """Each host, where it is done already is done; nowhere done by us is an error."""
        refused: Exception | None = None
        made = 0
        for call in calls:
            try:
                self._connection.call(call, doing)
                made += 1
            except done as error:
                refused = error
        if not made and refused is not None:
            raise refused

    def _systems(self) -> list[Any]:
        root = finding.datacenter(self._connection)
        rows = self._connection.collect(vim.HostSystem, (_SYSTEM,), root)
        return [row[_SYSTEM] for _, row in rows if row[_SYSTEM] is not None]

    def _switches(self) -> dict[str, tuple[str, bool]]:
        """Port group → its switch, and whether that has a way out on some host."""
        rows = self._connection.many(
            self._systems(), "networkInfo.portgroup", "networkInfo.vswitch"
        )
        found: dict[str, tuple[str, bool]] = {}
        for row in rows.values():
            ways = {each.name: bool(each.pnic) for each in row["networkInfo.vswitch"] or ()}
            for group in row["networkInfo.portgroup"] or ():
                switch = str(group.spec.vswitchName)
                _, before = found.get(group.spec.name, ("", False))
                found[str(group.spec.name)] = (switch, before or ways.get(switch, False))
        return found

    def _rows(self) -> list[tuple[Any, dict[str, Any]]]:
        """Without those that carry a distributed switch's way out: no NIC can be connected."""
        connection = self._connection
        root = finding.datacenter(connection)
        names = ("name", "summary.accessible")
        ways: set[str] = set()
        for _, row in connection.collect(vim.DistributedVirtualSwitch, (_UPLINKS,), root):
            ways.update(moid(each) for each in row[_UPLINKS] or ())
        return [
            (_thing(connection, found), row)
            for found, row in connection.collect(vim.Network, names, root)
            if found not in ways
        ]

    def _named(self, name: str) -> tuple[Any, Network]:
        for thing, row in self._rows():
            if translate.plain(str(row["name"])) == name:
                return thing, _network(row, thing, self._switches())
        raise NotFound(
            f"no network '{name}' at {self._connection.address.place}",
            hint="See what there is: networks()",
        )


def _thing(connection: Connection, found: str) -> Any:
    """Ids tell the kind."""
    distributed = found.startswith("dvportgroup")
    kind = vim.dvs.DistributedVirtualPortgroup if distributed else vim.Network
    return connection.object(kind, found)


def _own_switch(network: Network) -> str:
    return (network.bridge or network.name)[:_SWITCH_NAME_MAX]


def _network(row: dict[str, Any], thing: Any, switches: dict[str, tuple[str, bool]]) -> Network:
    name = translate.plain(str(row["name"]))
    switch, way_out = switches.get(name, ("", True))
    return Network(
        name=name,
        mode="bridge" if way_out else "isolated",
        bridge="" if isinstance(thing, vim.dvs.DistributedVirtualPortgroup) else switch,
        active=row["summary.accessible"] is not False,
        autostart=True,
    )
