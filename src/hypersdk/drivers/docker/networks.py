"""Networks of the engine."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from docker.types import IPAMConfig, IPAMPool

from hypersdk.drivers.docker import marks
from hypersdk.drivers.docker.connection import Connection, Json
from hypersdk.drivers.docker.errors import native
from hypersdk.model.capabilities import Limit
from hypersdk.model.errors import AlreadyExists, InvalidInput, NotFound, NotSupported
from hypersdk.model.resources import Network

_BRIDGE_NAME = "com.docker.network.bridge.name"
#: Ours → whether the engine lets nothing out of it.
_INTERNAL = {"isolated": True, "nat": False}

LIMITS = (Limit("networks.stop", "a network of the engine is there or not, it cannot be stopped"),)


class DockerNetworks:
    """The ``networks`` part."""

    limits = LIMITS

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def networks(self) -> Sequence[Network]:
        """By name. ``mode`` is the engine's driver for those that are neither isolated nor nat:
        ``host``, ``null``, ``macvlan`` …"""
        with native(f"list the networks of {self._connection.url}"):
            found = self._connection.client.networks()
        return sorted(map(_network, found), key=lambda network: network.name)

    def create_network(self, network: Network) -> Network:
        """``isolated`` or ``nat``. The engine gives out addresses itself; without ``address`` it
        chooses a range."""
        if network.mode not in _INTERNAL:
            raise InvalidInput(
                f"the engine makes no networks of mode '{network.mode}'", hint="isolated or nat"
            )
        if network.dhcp_first or network.dhcp_last:
            raise InvalidInput(
                f"network '{network.name}' asks for a DHCP range",
                hint="Leave it out: the engine gives each container its address.",
            )
        if any(each.name == network.name for each in self.networks()):
            raise AlreadyExists(
                f"there is a network '{network.name}' already", hint="Choose another name."
            )
        options = {_BRIDGE_NAME: network.bridge} if network.bridge else None
        with native(f"create network '{network.name}'"):
            made = self._connection.client.create_network(
                network.name,
                driver="bridge",
                internal=_INTERNAL[network.mode],
                ipam=_ipam(network),
                options=options,
                check_duplicate=True,
                labels={marks.OWNED: "yes"},
            )
        return self._named(str(made["Id"]))

    def start_network(self, name: str) -> None:
        """It is there, so it works."""
        self._named(name)

    def stop_network(self, name: str) -> None:
        self._named(name)
        raise NotSupported(f"'{name}': {LIMITS[0].note}", hint="Delete it.")

    def delete_network(self, name: str) -> None:
        """Raises NotFound, InvalidState while containers are connected."""
        self._named(name)
        with native(f"delete network '{name}'"):
            self._connection.client.remove_network(name)

    def _named(self, name: str) -> Network:
        with native(f"look at network '{name}'"):
            for row in self._connection.client.networks():
                if name in (row["Name"], row["Id"]):
                    return _network(row)
        raise NotFound(
            f"no network '{name}' on {self._connection.url}",
            hint="See what there is: docker network ls",
        )


def _ipam(network: Network) -> IPAMConfig | None:
    if not network.address:
        return None
    try:
        host = ipaddress.ip_interface(network.address)
    except ValueError as error:
        raise InvalidInput(f"network '{network.name}': {error}", hint="10.7.0.1/24") from error
    return IPAMConfig(pool_configs=[IPAMPool(subnet=str(host.network), gateway=str(host.ip))])


def _network(row: Json) -> Network:
    mode = row["Driver"]
    if mode == "bridge":
        mode = "isolated" if row["Internal"] else "nat"
    ranges = (row["IPAM"] or {}).get("Config") or [{}]
    subnet, gateway = ranges[0].get("Subnet", ""), ranges[0].get("Gateway", "")
    return Network(
        name=row["Name"],
        mode=mode,
        bridge=_bridge(row) if row["Driver"] == "bridge" else "",
        address=f"{gateway}/{subnet.partition('/')[2]}" if subnet and gateway else "",
        active=True,
        autostart=True,
    )


def _bridge(row: Json) -> str:
    """The engine names it after the network's id unless told otherwise."""
    return str((row["Options"] or {}).get(_BRIDGE_NAME) or f"br-{row['Id'][:12]}")
