"""Virtual networks of libvirt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from ipaddress import ip_address, ip_interface, ip_network
from xml.etree.ElementTree import Element

import libvirt

from hypersdk.drivers.libvirt import translate
from hypersdk.drivers.libvirt.connection import Connection
from hypersdk.drivers.libvirt.elements import document, element
from hypersdk.drivers.libvirt.errors import native
from hypersdk.model.errors import AlreadyExists, InvalidInput
from hypersdk.model.resources import Network

_MODES = frozenset({"isolated", "nat", "route", "bridge"})


class LibvirtNetworks:
    """May be used by any number of threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def networks(self) -> Sequence[Network]:
        """By name."""
        with native(f"list the networks of {self._connection.uri}"):
            found = [_network(network) for network in self._connection.native.listAllNetworks()]
        return sorted(found, key=lambda network: network.name)

    def create_network(self, network: Network) -> Network:
        """Defined, started (``active`` of the argument says nothing), and with its host when
        ``autostart``. DHCP, and so most networks with an address, need dnsmasq on the host.

        Raises AlreadyExists, InvalidInput; a network that does not start is forgotten again.
        """
        root = _element(network)
        if any(other.name == network.name for other in self.networks()):
            raise AlreadyExists(
                f"the network '{network.name}' exists",
                hint="Choose another name, or delete it first.",
            )
        with native(f"create the network '{network.name}'"):
            made = self._connection.native.networkDefineXML(document(root))
            try:
                made.create()
                made.setAutostart(int(network.autostart))
            except libvirt.libvirtError:
                with suppress(libvirt.libvirtError):  # the first error is the one to tell
                    made.undefine()
                raise
            return _network(made)

    def start_network(self, name: str) -> None:
        """Starting one that runs is no error. Raises NotFound."""
        with self._network(name, "start") as network:
            if not network.isActive():
                network.create()

    def stop_network(self, name: str) -> None:
        """NICs of running instances lose it. Stopping one that does not run is no error."""
        with self._network(name, "stop") as network:
            if network.isActive():
                network.destroy()

    def delete_network(self, name: str) -> None:
        with self._network(name, "delete") as network:
            persistent = network.isPersistent()
            if network.isActive():
                network.destroy()
            if persistent:
                network.undefine()

    @contextmanager
    def _network(self, name: str, verb: str) -> Iterator[libvirt.virNetwork]:
        with native(f"{verb} the network '{name}'"):
            yield self._connection.native.networkLookupByName(name)


def _network(network: libvirt.virNetwork) -> Network:
    xml = translate.parsed(network.XMLDesc())
    forward, bridge = xml.find("forward"), xml.find("bridge")
    address = xml.find("ip")
    dhcp = xml.find("ip/dhcp/range")
    return Network(
        name=network.name(),
        mode="isolated" if forward is None else forward.get("mode", "nat"),
        bridge="" if bridge is None else bridge.get("name", ""),
        address="" if address is None else _address(address),
        dhcp_first="" if dhcp is None else dhcp.get("start", ""),
        dhcp_last="" if dhcp is None else dhcp.get("end", ""),
        active=bool(network.isActive()),
        # A network without a definition cannot be asked.
        autostart=bool(network.isPersistent() and network.autostart()),
    )


def _address(element: Element) -> str:
    """``192.168.1.1/24`` of an ``<ip>``, which says it by prefix, by netmask or by class."""
    host = element.get("address", "")
    length = element.get("prefix") or element.get("netmask")
    return str(ip_interface(f"{host}/{length}")) if length else host


def _element(network: Network) -> Element:
    """Raises InvalidInput for what makes no network."""
    name = network.name
    if not name.strip() or "/" in name:
        raise InvalidInput(
            f"{name!r} cannot be the name of a network",
            hint="Any text can without slashes and control characters.",
        )
    if network.mode not in _MODES:
        raise InvalidInput(
            f"'{name}' has an unknown mode '{network.mode}'", hint=", ".join(sorted(_MODES))
        )
    root = element("network", element("name", text=name))
    if network.mode != "isolated":
        root.append(element("forward", mode=network.mode))
    if network.mode == "bridge":
        if not network.bridge or network.address:
            raise InvalidInput(
                f"'{name}' needs the host's bridge, and no address",
                hint="mode='bridge', bridge='br0'",
            )
        root.append(element("bridge", name=network.bridge))
        return root
    if network.bridge:
        root.append(element("bridge", name=network.bridge, stp="on", delay="0"))
    if network.address:
        root.append(_ip(network))
    elif network.dhcp_first or network.dhcp_last or network.mode != "isolated":
        raise InvalidInput(
            f"'{name}' needs an address: 192.168.100.1/24", hint="address='192.168.100.1/24'"
        )
    return root


def _ip(network: Network) -> Element:
    try:
        host = ip_interface(network.address)
        root = element(
            "ip",
            family="ipv6" if host.version == 6 else "",
            address=str(host.ip),
            prefix=str(host.network.prefixlen),
        )
        ends = (network.dhcp_first, network.dhcp_last)
        if any(ends):
            inside = ip_network(host.network)
            if not all(ip_address(end) in inside for end in ends):
                raise InvalidInput(
                    f"DHCP of '{network.name}' leaves {inside}: {' to '.join(ends)}",
                    hint="Give the first and the last address, both inside of the network.",
                )
            root.append(element("dhcp", element("range", start=ends[0], end=ends[1])))
    except ValueError as error:
        raise InvalidInput(
            f"the network '{network.name}' has a bad address: {error}",
            hint="address='192.168.100.1/24'",
        ) from error
    return root
