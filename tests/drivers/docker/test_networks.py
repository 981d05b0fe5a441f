from __future__ import annotations

from dataclasses import replace

import pytest

from hypersdk.drivers.docker.driver import DockerHypervisor
from hypersdk.model.errors import (
    AlreadyExists,
    InvalidInput,
    InvalidState,
    NotFound,
    NotSupported,
)
from hypersdk.model.resources import Network
from hypersdk.model.specs import NicSpec
from tests.containers.dockerd import Dockerd
from tests.drivers.docker.lab import running

LAB = Network("lab", mode="isolated", bridge="hdlab0", address="10.97.1.1/24")


def test_made_and_observed(docker: DockerHypervisor, engine: Dockerd) -> None:
    made = docker.networks.create_network(LAB)
    assert made == replace(LAB, active=True)
    assert made in docker.networks.networks()
    found = engine.inspect("lab")
    assert found["Internal"]
    assert found["IPAM"]["Config"] == [{"Subnet": "10.97.1.0/24", "Gateway": "10.97.1.1"}]
    docker.networks.start_network("lab")
    docker.networks.delete_network("lab")
    assert "lab" not in [network.name for network in docker.networks.networks()]


def test_the_engines_own(docker: DockerHypervisor) -> None:
    modes = {network.name: network.mode for network in docker.networks.networks()}
    assert modes == {"bridge": "nat", "host": "host", "none": "null"}


def test_refusals(docker: DockerHypervisor) -> None:
    docker.networks.create_network(LAB)
    with pytest.raises(AlreadyExists):
        docker.networks.create_network(LAB)
    with pytest.raises(AlreadyExists):
        docker.networks.create_network(Network("other", mode="nat", address="10.97.1.1/24"))
    for wrong in (
        Network("x", mode="route"),
        Network("x", mode="nat", address="nonsense"),
        Network("x", mode="nat", dhcp_first="10.1.1.1", dhcp_last="10.1.1.9"),
    ):
        with pytest.raises(InvalidInput):
            docker.networks.create_network(wrong)
    with pytest.raises(NotSupported):
        docker.networks.stop_network("lab")
    for call in (
        docker.networks.start_network,
        docker.networks.stop_network,
        docker.networks.delete_network,
    ):
        with pytest.raises(NotFound):
            call("none-such")
    with pytest.raises(InvalidInput):
        docker.networks.delete_network("bridge")
    running(docker, nics=(NicSpec(network="lab"),))
    with pytest.raises(InvalidState):
        docker.networks.delete_network("lab")
