from __future__ import annotations

import pytest

from hypersdk.drivers.mock.driver import MockHypervisor, connect
from hypersdk.model.errors import (
    AlreadyExists,
    HypervisorError,
    InvalidInput,
    InvalidState,
    NotFound,
)
from hypersdk.model.instances import InstanceState
from hypersdk.model.resources import Network
from hypersdk.model.specs import InstanceSpec, NicSpec

LAN = Network(
    "lan",
    mode="nat",
    address="192.168.100.1/24",
    dhcp_first="192.168.100.10",
    dhcp_last="192.168.100.99",
)


def test_networks_come_and_go_and_are_kept(mock: MockHypervisor) -> None:
    made = mock.networks.create_network(LAN)
    assert made.active
    assert list(connect(mock.url).networks.networks()) == [made]
    for _ in range(2):
        mock.networks.stop_network("lan")
    assert not mock.networks.networks()[0].active
    for _ in range(2):
        mock.networks.start_network("lan")
    assert list(mock.networks.networks()) == [made]
    with pytest.raises(AlreadyExists):
        mock.networks.create_network(Network("lan"))
    mock.networks.delete_network("lan")
    assert list(mock.networks.networks()) == []


@pytest.mark.parametrize("verb", ["start_network", "stop_network", "delete_network"])
def test_a_missing_network_is_not_found(mock: MockHypervisor, verb: str) -> None:
    mock.networks.create_network(LAN)
    with pytest.raises(NotFound, match="There are: lan"):
        getattr(mock.networks, verb)("wan")


@pytest.mark.parametrize(
    "network",
    [
        Network(""),
        Network("x", mode="magic"),
        Network("x", address="192.168.1.300/24"),
        Network("x", dhcp_first="192.168.1.10"),
        Network("x", address="192.168.1.1/24", dhcp_last="192.168.2.10"),
    ],
)
def test_what_makes_no_network_is_refused(mock: MockHypervisor, network: Network) -> None:
    with pytest.raises(InvalidInput):
        mock.networks.create_network(network)
    assert list(mock.networks.networks()) == []


def test_a_damaged_one_is_named(mock: MockHypervisor) -> None:
    mock.networks.create_network(LAN)
    (path,) = (mock._path / "networks").iterdir()
    path.write_text("[]")
    with pytest.raises(HypervisorError, match="is damaged"):
        mock.networks.networks()


def test_instances_need_networks_that_are_there_and_started(mock: MockHypervisor) -> None:
    app = InstanceSpec(name="app", nics=(NicSpec(network="lan"),))
    with pytest.raises(NotFound, match="no network 'lan'"):
        mock.lifecycle.create(app)
    mock.networks.create_network(LAN)
    mock.lifecycle.create(app)
    mock.networks.stop_network("lan")
    with pytest.raises(InvalidState, match="not started"):
        mock.lifecycle.start("app")
    mock.networks.start_network("lan")
    mock.lifecycle.start("app")
    mock.networks.delete_network("lan")
    assert mock.inventory.instance("app").state is InstanceState.RUNNING
    mock.lifecycle.stop("app")
    with pytest.raises(NotFound):
        mock.lifecycle.start("app")
