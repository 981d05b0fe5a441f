from __future__ import annotations

from uuid import uuid4

import pytest

from hypersdk.drivers.vsphere.driver import VsphereHypervisor
from hypersdk.model.errors import AlreadyExists, InvalidInput, InvalidState, NotFound, NotSupported
from hypersdk.model.resources import Network
from tests.vsphere.lab import VsphereLab


def test_an_isolated_network_on_all_hosts(hypervisor: VsphereHypervisor) -> None:
    name = f"net-{uuid4().hex[:8]}"
    networks = hypervisor.networks
    made = networks.create_network(Network(name))
    assert (made.mode, made.bridge, made.active) == ("isolated", name, True)
    assert made in networks.networks()
    with pytest.raises(AlreadyExists):
        networks.create_network(Network(name))
    networks.start_network(name)
    with pytest.raises(NotSupported):
        networks.stop_network(name)
    networks.delete_network(name)
    assert name not in [each.name for each in networks.networks()]
    with pytest.raises(NotFound):
        networks.delete_network(name)
    # Its switch is gone as well: the name can be taken again.
    networks.create_network(Network(name))
    networks.delete_network(name)


def test_a_network_on_a_switch_that_is_there(hypervisor: VsphereHypervisor) -> None:
    name = f"net-{uuid4().hex[:8]}"
    made = hypervisor.networks.create_network(Network(name, mode="bridge", bridge="vSwitch0"))
    assert made.bridge == "vSwitch0"
    hypervisor.networks.delete_network(name)
    with pytest.raises(NotFound):
        hypervisor.networks.create_network(Network(name, mode="bridge", bridge="no-switch"))


@pytest.mark.parametrize(
    "network",
    [Network("x", mode="nat"), Network("x", mode="bridge"), Network("x", address="10.0.0.1/24")],
)
def test_what_vsphere_cannot_make(hypervisor: VsphereHypervisor, network: Network) -> None:
    with pytest.raises(InvalidInput):
        hypervisor.networks.create_network(network)


def test_a_network_in_use_stays(hypervisor: VsphereHypervisor, vsphere_lab: VsphereLab) -> None:
    name = f"net-{uuid4().hex[:8]}"
    hypervisor.networks.create_network(Network(name))
    with (
        vsphere_lab.faulty("soap_fault", method="RemovePortGroup", fault="ResourceInUse"),
        pytest.raises(InvalidState, match=f"delete network '{name}'"),
    ):
        hypervisor.networks.delete_network(name)
    hypervisor.networks.delete_network(name)


def test_they_are_listed_by_name(hypervisor: VsphereHypervisor) -> None:
    names = [each.name for each in hypervisor.networks.networks()]
    assert names == sorted(names)
    assert {"VM Network", "DC0_DVPG0"} <= set(names)
