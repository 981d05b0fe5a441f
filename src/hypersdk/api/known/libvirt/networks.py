"""Networks, and the network cards that are connected to them."""

from __future__ import annotations

from ipaddress import ip_interface, ip_network

from fastapi import Request

from hypersdk.api.known import reach
from hypersdk.api.known.power import note
from hypersdk.api.known.reach import InstanceName, Reached, Which
from hypersdk.api.security import note_change
from hypersdk.api.services import Who, WithServices
from hypersdk.contract.known.resources import (
    AttachNicAsked,
    DetachNicAsked,
    KnownNetwork,
    NetworkAsked,
    NetworkDone,
    NetworksAnswer,
    NewNetworkAsked,
    NicDone,
)
from hypersdk.model.errors import InvalidInput, NotFound
from hypersdk.model.resources import Network
from hypersdk.model.specs import NicSpec

#: The word for a network that leads nowhere.
_NOWHERE = "none"


def known_list_networks(services: WithServices, who: Who, hypervisor: Which = "") -> NetworksAnswer:
    """By name."""
    with reach.libvirt(services, who, hypervisor) as here:
        found = [_network(each) for each in reach.networks(here.hypervisor).networks()]
    return NetworksAnswer(networks=found, total=len(found))


def known_get_network(
    services: WithServices, who: Who, name: InstanceName, hypervisor: Which = ""
) -> KnownNetwork:
    with reach.libvirt(services, who, hypervisor) as here:
        for each in reach.networks(here.hypervisor).networks():
            if each.name == name:
                return _network(each)
        raise NotFound(
            f"there is no network '{name}' on {here.hypervisor.url}",
            hint="They are listed at /libvirt/networks",
        )


def known_create_network(
    services: WithServices,
    who: Who,
    request: Request,
    body: NewNetworkAsked,
    hypervisor: Which = "",
) -> NetworkDone:
    """Started, and again with its host."""
    with reach.libvirt(services, who, hypervisor) as here:
        made = reach.networks(here.hypervisor).create_network(_wanted(body))
        _noted(request, here, body.name, "created")
    return NetworkDone(message=f"Network {made.name} created and started", network=made.name)


def known_delete_network(
    services: WithServices, who: Who, request: Request, body: NetworkAsked, hypervisor: Which = ""
) -> NetworkDone:
    """It is stopped before."""
    with reach.libvirt(services, who, hypervisor) as here:
        reach.networks(here.hypervisor).delete_network(body.name)
        _noted(request, here, body.name, "deleted")
    return NetworkDone(message=f"Network {body.name} deleted", network=body.name)


def known_start_network(
    services: WithServices, who: Who, request: Request, body: NetworkAsked, hypervisor: Which = ""
) -> NetworkDone:
    with reach.libvirt(services, who, hypervisor) as here:
        reach.networks(here.hypervisor).start_network(body.name)
        _noted(request, here, body.name, "started")
    return NetworkDone(message=f"Network {body.name} started", network=body.name)


def known_stop_network(
    services: WithServices, who: Who, request: Request, body: NetworkAsked, hypervisor: Which = ""
) -> NetworkDone:
    """Network cards of running domains lose it."""
    with reach.libvirt(services, who, hypervisor) as here:
        reach.networks(here.hypervisor).stop_network(body.name)
        _noted(request, here, body.name, "stopped")
    return NetworkDone(message=f"Network {body.name} stopped", network=body.name)


def known_attach_interface(
    services: WithServices, who: Who, request: Request, body: AttachNicAsked, hypervisor: Which = ""
) -> NicDone:
    """Running or stopped; it is there after a restart too."""
    with reach.libvirt(services, who, hypervisor) as here:
        mac = reach.hotplug(here.hypervisor).attach_nic(
            body.vm_name, NicSpec(network=body.network, model=body.model)
        )
        note(services, who, request, here, body.vm_name, "changed")
    return NicDone(message=f"Interface attached to {body.vm_name}", vm_name=body.vm_name, mac=mac)


def known_detach_interface(
    services: WithServices, who: Who, request: Request, body: DetachNicAsked, hypervisor: Which = ""
) -> NicDone:
    with reach.libvirt(services, who, hypervisor) as here:
        reach.hotplug(here.hypervisor).detach_nic(body.vm_name, body.mac)
        note(services, who, request, here, body.vm_name, "changed")
    return NicDone(
        message=f"Interface detached from {body.vm_name}", vm_name=body.vm_name, mac=body.mac
    )


def _noted(request: Request, here: Reached, name: str, word: str) -> None:
    note_change(request, f"hypervisors/{here.name}/networks/{name}", None, {"network": word})


def _network(found: Network) -> KnownNetwork:
    return KnownNetwork(
        name=found.name,
        state="active" if found.active else "inactive",
        autostart=found.autostart,
        bridge=found.bridge,
        forward=_NOWHERE if found.mode == "isolated" else found.mode,
        ip_start=found.dhcp_first,
        ip_end=found.dhcp_last,
        subnet=found.address,
    )


def _wanted(asked: NewNetworkAsked) -> Network:
    return Network(
        name=asked.name,
        mode="isolated" if asked.forward == _NOWHERE else asked.forward,
        bridge=asked.bridge,
        address=_address(asked.subnet) if asked.subnet else "",
        dhcp_first=asked.ip_start,
        dhcp_last=asked.ip_end,
    )


def _address(subnet: str) -> str:
    """The address that the host has in a network: the one that is named, else the first."""
    try:
        given = ip_interface(subnet if "/" in subnet else f"{subnet}/24")
        inside = ip_network(given.network)
    except ValueError as error:
        raise InvalidInput(
            f"subnet: '{subnet}' is none", hint="Write 192.168.100.0/24, or 192.168.100.1."
        ) from error
    host = given.ip if given.ip != inside.network_address else inside.network_address + 1
    return f"{host}/{inside.prefixlen}"


HANDLERS = {
    "known_list_networks": known_list_networks,
    "known_get_network": known_get_network,
    "known_create_network": known_create_network,
    "known_delete_network": known_delete_network,
    "known_start_network": known_start_network,
    "known_stop_network": known_stop_network,
    "known_attach_interface": known_attach_interface,
    "known_detach_interface": known_detach_interface,
}
