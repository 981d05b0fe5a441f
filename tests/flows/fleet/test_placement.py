from __future__ import annotations

from typing import Any

import pytest

from hypersdk.flows.fleet.placement import (
    PlacementDecision,
    PlacementPolicy,
    PlacementRules,
    needs,
    place_instance,
)
from hypersdk.model.errors import (
    HypervisorUnreachable,
    InvalidInput,
    LimitExceeded,
    NotSupported,
)
from hypersdk.model.specs import CloudInit, DiskSpec, InstanceSpec, MountSpec, NicSpec, PortSpec
from tests.flows.fleet.labs import Labs

GIB = 1 << 30
WEB = InstanceSpec(name="web", memory=2 * GIB)


def room(memory: str, **limits: Any) -> str:
    """A configuration with that much memory for an instance."""
    lines = [f'memory = "{memory}"', *(f"{name} = {value!r}" for name, value in limits.items())]
    return "\n".join(["[limits]", *lines]).replace("'", '"')


def reasons(decision: PlacementDecision) -> dict[str, tuple[str, ...]]:
    return {each.hypervisor: each.reasons for each in decision.candidates}


def order(decision: PlacementDecision) -> list[str]:
    return [each.hypervisor for each in decision.accepted]


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        ({}, []),
        ({"disks": (DiskSpec(size=1),)}, ["lifecycle.disks"]),
        ({"kernel": "/boot/vmlinuz", "cdrom": "/a.iso"}, ["lifecycle.disks"]),
        ({"firmware": "uefi"}, ["lifecycle.disks"]),
        ({"nics": (NicSpec(),), "tags": {"a": "b"}}, ["lifecycle.nics", "lifecycle.tags"]),
        ({"cloud_init": CloudInit(user="me")}, ["lifecycle.cloud_init"]),
        ({"cpu_weight": 200, "cpu_limit": 0.5}, ["lifecycle.cpu_weight", "lifecycle.cpu_limit"]),
        (
            {
                "image": "busybox",
                "env": {"A": "b"},
                "mounts": (MountSpec(source="a", target="/a"),),
                "ports": (PortSpec(host=1, inside=1),),
                "pids_limit": 5,
            },
            [
                "images",
                "lifecycle.env",
                "lifecycle.mounts",
                "lifecycle.ports",
                "lifecycle.pids_limit",
            ],
        ),
    ],
)
def test_what_a_spec_needs(spec: dict[str, Any], found: list[str]) -> None:
    assert list(needs(InstanceSpec(name="x", **spec))) == ["lifecycle", *found]


def test_what_the_caller_needs_besides() -> None:
    assert needs(WEB, ["snapshots.memory", "lifecycle"]) == ("lifecycle", "snapshots.memory")
    with pytest.raises(InvalidInput, match="'snapshotz' is no part or aspect"):
        needs(WEB, ["snapshotz"])


def test_the_one_with_most_room(labs: Labs) -> None:
    for name, memory in (("a", "8GiB"), ("b", "32GiB"), ("c", "16GiB")):
        labs.add(name, config=room(memory))
    with labs.fleet("a", "b", "c") as fleet:
        assert order(place_instance(fleet, WEB)) == ["b", "c", "a"]


def test_the_one_with_the_fewest_instances_and_the_first_one(labs: Labs) -> None:
    labs.add("a", "1", "2", config=room("64GiB"))
    labs.add("b", "1", config=room("8GiB"))
    labs.add("c", "1")
    with labs.fleet("a", "b", "c") as fleet:
        fewest = place_instance(fleet, WEB, PlacementRules(policy=PlacementPolicy.FEWEST))
        assert order(fewest) == ["b", "c", "a"]
        assert [each.instances for each in fewest.candidates] == [1, 1, 2]
        ordered = place_instance(fleet, WEB, PlacementRules(policy=PlacementPolicy.ORDERED))
        assert order(ordered) == ["a", "b", "c"]


def test_a_reason_for_each_that_is_rejected(labs: Labs) -> None:
    labs.add("small", config=room("1GiB"))
    labs.add("full", "1", "2", config=room("8GiB", instances=2))
    labs.add("taken", "web")
    labs.add("simple", config='without = ["snapshots"]')
    labs.add("narrow", config=room("8GiB", total_disk="1GiB", vcpus=2))
    labs.add("good")
    spec = InstanceSpec(name="web", vcpus=4, memory=2 * GIB, disks=(DiskSpec(size=2 * GIB),))
    rules = PlacementRules(requires=["snapshots"])
    names = ("small", "full", "taken", "simple", "narrow", "good")
    with labs.fleet(*names, urls={"down": labs.url("nowhere")}) as fleet:
        decision = place_instance(fleet, spec, rules)
        assert order(decision) == ["good"]
        assert decision.require().hypervisor == "good"
        found = reasons(decision)
        assert found["down"][0].startswith("there is no mock hypervisor in ")
        assert {name: found[name] for name in names} == {
            "small": (
                "gives an instance at most 1.0 GiB of memory",
                "has 1.0 GiB of memory left",
            ),
            "full": ("has 2 of at most 2 instances",),
            "taken": ("has an instance 'web' already",),
            "simple": ("has no snapshots",),
            "narrow": ("gives an instance at most 2 vCPUs", "has 1.0 GiB left for disks"),
            "good": (),
        }
        thin = PlacementRules(thin=True, hypervisors=["narrow"])
        assert reasons(place_instance(fleet, spec, thin)) == {
            "narrow": ("gives an instance at most 2 vCPUs",)
        }


def test_aspects_that_a_part_lacks_and_other_acceleration(labs: Labs) -> None:
    labs.add("a")
    spec = InstanceSpec(
        name="web", mounts=(MountSpec(source="a", target="/a"),), acceleration="kvm"
    )
    with labs.fleet("a") as fleet:
        assert reasons(place_instance(fleet, spec)) == {
            "a": (
                "no lifecycle.mounts: no process stands behind a mock instance",
                "runs with none, not kvm",
            )
        }


def test_a_hypervisor_that_does_not_say_its_room_comes_last(labs: Labs) -> None:
    labs.add("quiet", config='without = ["host"]')
    labs.add("a", config=room("4GiB"))
    with labs.fleet("quiet", "a") as fleet:
        assert order(place_instance(fleet, WEB)) == ["a", "quiet"]


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (["small", "simple", "down"], LimitExceeded),
        (["simple", "down"], NotSupported),
        (["down"], HypervisorUnreachable),
    ],
)
def test_the_error_says_of_which_kind_the_trouble_is(
    labs: Labs, names: list[str], kind: type[Exception]
) -> None:
    labs.add("small", config=room("1GiB"))
    labs.add("simple", config='without = ["lifecycle"]')
    with labs.fleet("small", "simple", urls={"down": labs.url("nowhere")}) as fleet:
        decision = place_instance(fleet, WEB, PlacementRules(hypervisors=names))
        with pytest.raises(kind, match="no hypervisor can take 'web'") as caught:
            decision.require()
        assert type(caught.value) is kind
        for name in names:
            assert f"{name}: " in str(caught.value)


def test_wrong_specs_and_members(labs: Labs) -> None:
    labs.add("a")
    with labs.fleet("a") as fleet:
        with pytest.raises(InvalidInput, match="at least one processor"):
            place_instance(fleet, InstanceSpec(name="web", vcpus=0))
        with pytest.raises(InvalidInput, match="no hypervisor is called 'b'"):
            place_instance(fleet, WEB, PlacementRules(hypervisors=["b"]))
