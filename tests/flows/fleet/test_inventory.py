from __future__ import annotations

from typing import Any

import pytest

from hypersdk.datapath.cancel import CancelToken
from hypersdk.flows.fleet.inventory import InstanceFilter, fleet_inventory
from hypersdk.model.errors import HypervisorUnreachable, Interrupted, InvalidInput, NotSupported
from hypersdk.model.instances import Instance
from hypersdk.model.specs import InstanceSpec
from tests.flows.fleet.labs import RUNNING, STOPPED, Labs, everything, labels


def test_one_inventory_in_the_order_of_the_members(labs: Labs) -> None:
    labs.add("b", "web", "db")
    labs.add("a", "web", foreign=("old",))
    with labs.fleet("b", "a") as fleet:
        inventory = fleet_inventory(fleet)
        assert labels(inventory.instances) == ["b/db", "b/web", "a/old", "a/web"]
        assert inventory.failures == {}


def test_a_member_that_fails_is_reported_beside_the_others(labs: Labs) -> None:
    labs.add("a", "web")
    labs.add(
        "b",
        "db",
        config='[[failures]]\noperation = "inventory.instances"\nkind = "lost_reply"\n',
    )
    labs.add("c", config='without = ["inventory"]')
    other = {"d": "nonsense://x", "e": labs.url("nowhere")}
    with labs.fleet("a", "b", "c", urls=other) as fleet:
        inventory = fleet_inventory(fleet)
        assert labels(inventory.instances) == ["a/web"]
        assert {name: type(error) for name, error in inventory.failures.items()} == {
            "b": HypervisorUnreachable,
            "c": NotSupported,
            "d": InvalidInput,
            "e": HypervisorUnreachable,
        }


def test_a_fault_of_a_driver_does_not_hide_the_others(labs: Labs) -> None:
    labs.add("a", "web")
    labs.add("b", "db")
    (state,) = (labs._folder / "b").glob("*/definition.json")
    state.write_text("[]")
    with labs.fleet("a", "b") as fleet:
        inventory = fleet_inventory(fleet)
        assert labels(inventory.instances) == ["a/web"]
        assert list(inventory.failures) == ["b"]


SPECS = (
    InstanceSpec(name="web-1", folder="prod/web", tags={"site": "lab", "tier": "front"}),
    InstanceSpec(name="web-2", folder="prod", tags={"site": "edge"}, image="nginx:1.29"),
    InstanceSpec(name="Database", folder="production"),
)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, ["Database", "old", "web-1", "web-2"]),
        ({"states": {RUNNING}}, ["web-1"]),
        ({"states": {RUNNING, STOPPED}}, ["Database", "old", "web-1", "web-2"]),
        ({"owned": True}, ["Database", "web-1", "web-2"]),
        ({"owned": False}, ["old"]),
        ({"tags": {"site": "lab"}}, ["web-1"]),
        ({"tags": {"site": None}}, ["web-1", "web-2"]),
        ({"tags": {"site": None, "tier": "back"}}, []),
        ({"folder": "prod"}, ["web-1", "web-2"]),
        ({"folder": "/prod/"}, ["web-1", "web-2"]),
        ({"folder": "prod/web"}, ["web-1"]),
        ({"folder": "prod*"}, ["Database", "web-1", "web-2"]),
        ({"search": "data"}, ["Database"]),
        ({"search": "WEB"}, ["web-1", "web-2"]),
        ({"search": "web"}, ["web-1", "web-2"]),
        ({"search": "*-1"}, ["web-1"]),
        ({"search": "web-[2-9]"}, ["web-2"]),
        ({"search": "nginx"}, ["web-2"]),
        ({"search": "nginx:*"}, ["web-2"]),
        ({"search": "nginx*"}, ["web-2"]),
        ({"search": "site=lab"}, ["web-1"]),
        ({"search": "front"}, ["web-1"]),
        ({"search": "site=*", "owned": True, "states": {STOPPED}}, ["web-2"]),
        ({"hypervisors": {"b"}}, []),
    ],
)
def test_filters(labs: Labs, wanted: dict[str, Any], found: list[str]) -> None:
    labs.add("a", *SPECS, foreign=("old",))
    labs.add("b")
    labs.start("a", "web-1")
    with labs.fleet("a", "b") as fleet:
        assert [each.instance.name for each in everything(fleet, **wanted)] == found


def test_an_id_is_found() -> None:
    instance = Instance("3F2A-11", "web", STOPPED, 1, 1)
    assert InstanceFilter(search="3f2a").matches(instance)


def test_only_members_in_the_filter_are_asked(labs: Labs) -> None:
    labs.add("a", "web")
    with labs.fleet("a", urls={"b": "nonsense://x"}) as fleet:
        assert fleet_inventory(fleet, InstanceFilter(hypervisors=["a"])).failures == {}
        with pytest.raises(InvalidInput, match="no hypervisor is called 'A'"):
            fleet_inventory(fleet, InstanceFilter(hypervisors=["A"]))


def test_it_can_be_cancelled(labs: Labs) -> None:
    labs.add("a", "web")
    token = CancelToken()
    token.cancel()
    with labs.fleet("a") as fleet, pytest.raises(Interrupted):
        fleet_inventory(fleet, cancel=token)
