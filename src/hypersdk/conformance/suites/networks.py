"""What NICs can be connected to."""

from __future__ import annotations

from uuid import uuid4

from hypersdk.conformance import expect
from hypersdk.conformance.case import case
from hypersdk.conformance.lab import Lab
from hypersdk.model.errors import AlreadyExists, NotFound
from hypersdk.model.instances import InstanceState
from hypersdk.model.resources import Network
from hypersdk.model.specs import NicSpec


def _network(lab: Lab) -> Network:
    """A fresh network that leads nowhere."""
    name = f"kit-{uuid4().hex[:8]}"
    lab.later(
        "delete a network",
        lambda parts: expect.tolerated(NotFound, lambda: parts.networks.delete_network(name)),
    )
    return lab.networks.create_network(Network(name, mode="isolated", autostart=False))


def _listed(lab: Lab, name: str) -> Network | None:
    return next((found for found in lab.networks.networks() if found.name == name), None)


@case("networks")
def networks_come_and_go(lab: Lab) -> None:
    """A network is listed, active, after it was made, and not after it was deleted."""
    made = _network(lab)
    expect.true(made.active, "it is not active")
    expect.equal(_listed(lab, made.name), made, "the listed network")
    lab.networks.delete_network(made.name)
    expect.equal(_listed(lab, made.name), None, "the listed network after a delete")


@case("networks")
def a_taken_name_is_refused(lab: Lab) -> None:
    """A network of a name that is taken raises AlreadyExists."""
    made = _network(lab)
    expect.raises(
        AlreadyExists, lambda: lab.networks.create_network(Network(made.name)), "a taken name"
    )
    expect.equal(_listed(lab, made.name), made, "the listed network")


@case("networks")
def missing_networks_are_not_found(lab: Lab) -> None:
    """Deleting a network that is not there raises NotFound."""
    expect.raises(NotFound, lambda: lab.networks.delete_network("kit-no-network"), "deleting it")


@case("networks.stop")
def a_network_stops_and_starts(lab: Lab) -> None:
    """A network that was stopped is listed, not active, until it is started again."""
    made = _network(lab)
    for active in (False, True):
        act = lab.networks.start_network if active else lab.networks.stop_network
        act(made.name)
        found = _listed(lab, made.name)
        expect.true(found is not None and found.active is active, f"active is not {active}")


@case("networks", needs=("lifecycle.nics",))
def instances_are_connected(lab: Lab) -> None:
    """An instance with a NIC in a fresh network starts."""
    made = _network(lab)
    name = lab.running(nics=(NicSpec(network=made.name),)).name
    expect.equal(lab.state(name), InstanceState.RUNNING, "its state")
    lab.lifecycle.stop(name, force=True)
    lab.lifecycle.delete(name, disks=True)
