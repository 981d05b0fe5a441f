from __future__ import annotations

import pytest

from hypersdk.flows.fleet.inventory import FleetInstance, FleetInventory
from hypersdk.flows.fleet.selection import members_named, select_instances
from hypersdk.model.errors import Conflict, HypervisorUnreachable, InstanceNotFound
from hypersdk.model.instances import Instance
from tests.flows.fleet.labs import STOPPED, labels


def one(hypervisor: str, name: str, id: str) -> FleetInstance:
    return FleetInstance(hypervisor, Instance(id, name, STOPPED, 1, 1 << 30))


INVENTORY = FleetInventory(
    (
        one("lab", "web", "1"),
        one("lab", "db", "2"),
        one("edge", "web", "3"),
        one("edge", "cache", "4"),
        one("mock:///x", "odd", "5"),
        one("vc", "twin", "6"),
        one("vc", "twin", "7"),
    ),
    {"down": HypervisorUnreachable("nothing answers")},
)


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["db"], ["lab/db"]),
        (["cache", "db", "cache"], ["edge/cache", "lab/db"]),
        (["edge/web"], ["edge/web"]),
        (["3"], ["edge/web"]),
        (["edge/3"], ["edge/web"]),
        (["mock:///x/odd"], ["mock:///x/odd"]),
        (["w*"], ["lab/web", "edge/web"]),
        (["lab/*"], ["lab/web", "lab/db"]),
        (["*/web", "db"], ["lab/web", "edge/web", "lab/db"]),
        (["vc/7"], ["vc/twin"]),
        ([], []),
    ],
)
def test_names_labels_ids_and_patterns(names: list[str], found: list[str]) -> None:
    assert labels(select_instances(INVENTORY, names)) == found


def test_a_name_that_several_hypervisors_have_is_refused_unless_told() -> None:
    with pytest.raises(Conflict) as caught:
        select_instances(INVENTORY, ["web"])
    assert caught.value.message == "'web' is the name of several instances: lab/web, edge/web"
    assert labels(select_instances(INVENTORY, ["web"], everywhere=True)) == ["lab/web", "edge/web"]


def test_a_name_that_one_hypervisor_has_twice_is_told_apart_by_ids() -> None:
    with pytest.raises(Conflict, match=r"several instances: vc/6, vc/7\n"):
        select_instances(INVENTORY, ["vc/twin"])


def test_what_is_not_there_says_what_is_and_what_was_not_asked() -> None:
    with pytest.raises(InstanceNotFound, match="no instance 'wep'") as caught:
        select_instances(INVENTORY, ["wep"])
    assert caught.value.hint == "Did you mean web? Not asked, because they failed: down."
    with pytest.raises(InstanceNotFound, match=r"no instance matches 'q\*'"):
        select_instances(INVENTORY, ["q*"])


@pytest.mark.parametrize(
    ("names", "members"),
    [
        (["lab/web", "lab/*"], ("lab",)),
        (["lab/web", "mock:///x/odd"], ("lab", "mock:///x")),
        (["lab/web", "db"], ()),
        (["*/web"], ()),
        ([], ()),
    ],
)
def test_only_members_that_are_named_need_to_be_asked(
    names: list[str], members: tuple[str, ...]
) -> None:
    assert members_named(["lab", "edge", "mock:///x"], names) == members
