from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hypersdk.drivers.docker.configuration import Surroundings, container, networks, volumes
from hypersdk.model.errors import InvalidInput, LimitExceeded
from hypersdk.model.specs import CloudInit, DiskSpec, MountSpec, NicSpec, PortSpec
from hypersdk.model.units import GIB, MIB
from tests.drivers.docker.lab import SMALL

HERE = Surroundings(vcpus=4, memory=8 * GIB, cgroups="1", api=(1, 41))


def test_limits() -> None:
    spec = replace(SMALL, vcpus=2, memory=64 * MIB, pids_limit=7, cpu_weight=50)
    host = container(spec, "id", HERE)["HostConfig"]
    assert host["NanoCpus"] == 2_000_000_000
    assert host["Memory"] == host["MemorySwap"] == 64 * MIB
    assert (host["PidsLimit"], host["CpuShares"]) == (7, 512)
    assert container(replace(spec, cpu_limit=0.25), "id", HERE)["HostConfig"]["NanoCpus"] == 2.5e8


def test_marks() -> None:
    labels = container(replace(SMALL, tags={"a b": "c"}, folder="prod/web"), "id", HERE)["Labels"]
    assert labels["dev.hypersdk.id"] == "id"
    assert labels["dev.hypersdk.tag.a b"] == "c"
    assert labels["dev.hypersdk.folder"] == "prod/web"


def test_what_it_runs_is_the_images_unless_said() -> None:
    assert "Cmd" not in container(replace(SMALL, command=()), "id", HERE)


def test_ports_and_mounts() -> None:
    spec = replace(
        SMALL,
        ports=(PortSpec(host=80, inside=8080), PortSpec(host=81, inside=8080, address="0.0.0.0")),
        mounts=(
            MountSpec(source="/srv", target="/a", read_only=True),
            MountSpec(source="v", target="/b"),
            MountSpec(source="v", target="/c"),
        ),
    )
    host = container(spec, "id", HERE)["HostConfig"]
    assert host["PortBindings"] == {
        "8080/tcp": [
            {"HostIp": "127.0.0.1", "HostPort": "80"},
            {"HostIp": "0.0.0.0", "HostPort": "81"},
        ]
    }
    assert [(each["Type"], each["ReadOnly"]) for each in host["Mounts"]] == [
        ("bind", True),
        ("volume", False),
        ("volume", False),
    ]
    assert volumes(spec) == ["v"]


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({}, ["none"]),
        ({"ports": (PortSpec(host=80, inside=80),)}, ["bridge"]),
        ({"nics": (NicSpec(), NicSpec(network="back"))}, ["bridge", "back"]),
    ],
)
def test_networks(fields: dict[str, Any], names: list[str]) -> None:
    assert networks(replace(SMALL, **fields)) == names


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"disks": (DiskSpec(size=GIB),)}, "disks"),
        ({"firmware": "uefi"}, "firmware"),
        ({"cloud_init": CloudInit()}, "cloud_init"),
        ({"kernel": "/vmlinuz"}, "kernel"),
        ({"acceleration": "kvm"}, "acceleration"),
        ({"image": ""}, "image"),
        ({"name": "a"}, "name"),
        ({"name": "in/valid"}, "name"),
        ({"memory": MIB}, "6 MiB"),
        ({"nics": (NicSpec(bridge="br0"),)}, "br0"),
        ({"nics": (NicSpec(model="e1000"),)}, "e1000"),
        ({"nics": (NicSpec(), NicSpec(mac="52:54:00:00:00:01"))}, "second NIC"),
    ],
)
def test_what_a_container_cannot_have_is_refused(fields: dict[str, Any], word: str) -> None:
    with pytest.raises(InvalidInput, match=word):
        container(replace(SMALL, **fields), "id", HERE)


@pytest.mark.parametrize("fields", [{"vcpus": 5}, {"cpu_limit": 4.5}, {"memory": 9 * GIB}])
def test_more_than_the_host_has(fields: dict[str, Any]) -> None:
    with pytest.raises(LimitExceeded):
        container(replace(SMALL, **fields), "id", HERE)
