from __future__ import annotations

import math
from dataclasses import replace

import pytest

from hypersdk.drivers.specs import checked, refuse
from hypersdk.model.errors import InvalidInput
from hypersdk.model.specs import DiskSpec, InstanceSpec, MountSpec, PortSpec
from hypersdk.model.units import GIB

SPEC = InstanceSpec(name="web")


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"name": " \t"},
        {"vcpus": 0},
        {"vcpus": -1},
        {"vcpus": 4, "vcpus_maximum": 2},
        {"vcpus_maximum": -1},
        {"memory": 0},
        {"memory": (1 << 20) - 1},
        {"memory": 2 * GIB, "memory_maximum": GIB},
        {"memory_maximum": -1},
        {"cpu_weight": -1},
        {"cpu_weight": 10_001},
        {"cpu_limit": -0.5},
        {"cpu_limit": math.inf},
        {"cpu_limit": math.nan},
        {"pids_limit": -1},
        {"disks": (DiskSpec(size=-1),)},
        {"env": {"A=B": "c"}},
        {"env": {"": "c"}},
        {"mounts": (MountSpec(source="/srv", target="inside"),)},
        {"ports": (PortSpec(host=0, inside=80),)},
        {"ports": (PortSpec(host=80, inside=65_536),)},
        {"ports": (PortSpec(host=80, inside=80, protocol="icmp"),)},
    ],
)
def test_what_cannot_be_made_anywhere(change: dict[str, object]) -> None:
    with pytest.raises(InvalidInput) as caught:
        checked(replace(SPEC, **change))  # type: ignore[arg-type]
    assert caught.value.hint


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"vcpus": 2, "vcpus_maximum": 2},
        {"memory": 1 << 20, "memory_maximum": 1 << 20},
        {"cpu_weight": 1},
        {"cpu_weight": 10_000},
        {"cpu_limit": 0.01},
        {"env": {"A": "b=c"}},
        {"ports": (PortSpec(host=1, inside=65_535, protocol="udp"),)},
    ],
)
def test_what_is_at_its_limits_can(change: dict[str, object]) -> None:
    spec = replace(SPEC, **change)  # type: ignore[arg-type]
    assert checked(spec) is spec


def test_only_what_differs_from_the_default_is_refused() -> None:
    names = ("image", "command", "env", "mounts", "ports", "pids_limit", "firmware")
    refuse(SPEC, names, "which a test has not")
    for change in (
        {"image": "x"},
        {"command": ("x",)},
        {"env": {"A": "b"}},
        {"mounts": (MountSpec(source="/a", target="/b"),)},
        {"ports": (PortSpec(host=1, inside=1),)},
        {"pids_limit": 1},
        {"firmware": "uefi"},
    ):
        asked = replace(SPEC, **change)
        (name,) = change
        with pytest.raises(InvalidInput, match=f"asks for {name}, which a test has not") as caught:
            refuse(asked, names, "which a test has not")
        assert caught.value.hint
        refuse(asked, set(names) - {name}, "which a test has not")
