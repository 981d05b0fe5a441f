from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hypersdk.drivers.libvirt.driver import LibvirtHypervisor
from hypersdk.drivers.libvirt.networks import LibvirtNetworks
from hypersdk.model.errors import AlreadyExists, HypervisorError, InvalidInput, NotFound
from hypersdk.model.resources import Network
from tests.kvm.fixtures import Lab


@pytest.fixture
def networks(lab: Lab) -> Iterator[LibvirtNetworks]:
    connected = LibvirtHypervisor(lab.libvirtd.uri)
    assert connected.networks is not None
    yield connected.networks
    connected.close()


def test_an_isolated_network_runs(networks: LibvirtNetworks) -> None:
    bridge = f"hy{os.getpid()}"
    made = networks.create_network(Network(name="<my> nët", bridge=bridge))
    assert made == Network(name="<my> nët", bridge=bridge, active=True, autostart=True)
    assert Path("/sys/class/net", bridge).exists()
    assert networks.networks() == [made]
    with pytest.raises(AlreadyExists):
        networks.create_network(Network(name="<my> nët"))
    for _ in range(2):
        networks.stop_network("<my> nët")
        assert networks.networks() == [replace(made, active=False)]
    for _ in range(2):
        networks.start_network("<my> nët")
        assert networks.networks() == [made]
    networks.delete_network("<my> nët")
    assert networks.networks() == []
    assert not Path("/sys/class/net", bridge).exists()
    for call in (networks.start_network, networks.stop_network, networks.delete_network):
        with pytest.raises(NotFound):
            call("<my> nët")


def test_a_network_that_does_not_start_is_forgotten(networks: LibvirtNetworks) -> None:
    taken = Network(name="loop", bridge="lo")
    with pytest.raises(HypervisorError, match="create the network 'loop'"):
        networks.create_network(taken)
    assert networks.networks() == []


@pytest.mark.parametrize(
    "network",
    [
        Network(name="a", mode="nat", address="192.168.100.1/24", bridge="b0"),
        Network(
            name="a",
            mode="nat",
            address="192.168.100.1/24",
            dhcp_first="192.168.100.10",
            dhcp_last="192.168.100.99",
            bridge="b0",
        ),
        Network(name="a", mode="route", address="10.0.0.1/8", bridge="b0", autostart=False),
        Network(name="a", mode="isolated", address="fd00::1/64", bridge="b0"),
        Network(name="a", mode="bridge", bridge="br0"),
    ],
)
def test_all_kinds_are_described_as_they_were_asked_for(network: Network) -> None:
    """In libvirt's test driver, which needs neither dnsmasq nor a firewall."""
    hypervisor = LibvirtHypervisor("test:///default")
    assert hypervisor.networks is not None
    made = hypervisor.networks.create_network(network)
    assert made == replace(network, active=True)
    assert made in hypervisor.networks.networks()
    hypervisor.networks.delete_network("a")
    hypervisor.close()


@pytest.mark.parametrize(
    ("network", "complaint"),
    [
        (Network(name=""), "name"),
        (Network(name="a/b"), "name"),
        (Network(name="a", mode="open"), "mode 'open'"),
        (Network(name="a", mode="nat"), "needs an address"),
        (Network(name="a", dhcp_first="10.0.0.5", dhcp_last="10.0.0.9"), "needs an address"),
        (Network(name="a", address="300.0.0.1/24"), "bad address"),
        (Network(name="a", address="10.0.0.1/24", dhcp_first="10.0.0.5"), "bad address"),
        (
            Network(name="a", address="10.0.0.1/24", dhcp_first="10.0.1.5", dhcp_last="10.0.1.9"),
            "leaves 10.0.0.0/24",
        ),
        (Network(name="a", mode="bridge"), "bridge"),
    ],
)
def test_what_is_no_network_is_refused(network: Network, complaint: str) -> None:
    hypervisor = LibvirtHypervisor("test:///default")
    assert hypervisor.networks is not None
    with pytest.raises(InvalidInput, match=complaint):
        hypervisor.networks.create_network(network)
    assert [found.name for found in hypervisor.networks.networks()] == ["default"]
    hypervisor.close()
