from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from hypersdk.datapath.cancel import CancelToken
from hypersdk.drivers.docker.driver import DockerHypervisor
from hypersdk.model.errors import (
    AlreadyExists,
    HyperSDKError,
    InstanceNotFound,
    Interrupted,
    InvalidInput,
    InvalidState,
    NotFound,
    NotSupported,
    OperationTimeout,
)
from hypersdk.model.instances import InstanceState
from hypersdk.model.specs import MountSpec, NicSpec, PortSpec
from hypersdk.model.units import MIB
from tests.containers.dockerd import Dockerd, cgroup
from tests.drivers.docker.lab import made, running, volume

#: As first process of a container it gets no signal that it does not handle.
DEAF = ("sleep", "600")


def state(docker: DockerHypervisor, name: str = "web") -> InstanceState:
    return docker.inventory.instance(name).state


def test_limits_are_in_force(docker: DockerHypervisor, engine: Dockerd) -> None:
    running(docker, memory=48 * MIB, cpu_limit=0.5, cpu_weight=200, pids_limit=33)
    container = engine.inspect("web")["Id"]
    if (cgroup("cpu", container) / "cpu.shares").exists():
        files = {
            "memory/memory.limit_in_bytes": str(48 * MIB),
            "cpu/cpu.cfs_quota_us": "50000",
            "cpu/cpu.shares": "2048",
            "pids/pids.max": "33",
        }
    else:
        files = {
            "memory/memory.max": str(48 * MIB),
            "cpu/cpu.max": "50000 100000",
            "cpu/cpu.weight": "200",
            "pids/pids.max": "33",
        }
    found = {
        file: (cgroup(file.split("/")[0], container) / file.split("/")[1]).read_text().strip()
        for file in files
    }
    assert found == files


def test_environment_and_mounts(docker: DockerHypervisor, engine: Dockerd, tmp_path: Path) -> None:
    (tmp_path / "greeting").write_text("hello")
    running(
        docker,
        env={"WORDS": "two words = 2", "EMPTY": ""},
        mounts=(
            MountSpec(source=str(tmp_path), target="/host", read_only=True),
            MountSpec(source="web-data", target="/data"),
        ),
    )
    assert engine.sh("web", 'echo "$WORDS|$EMPTY|"; cat /host/greeting') == (
        b"two words = 2||\nhello"
    )
    assert engine.run("exec", "web", "touch", "/host/x", check=False).returncode
    engine.sh("web", "echo kept > /data/file")
    labels = engine.inspect("web-data")["Labels"]
    assert labels["dev.hypersdk.owned"] == "yes"


def test_networks(docker: DockerHypervisor, engine: Dockerd) -> None:
    engine.run("network", "create", "--subnet", "10.99.1.0/24", "front")
    engine.run("network", "create", "--subnet", "10.99.2.0/24", "back")
    mac = "02:42:aa:bb:cc:dd"
    running(docker, nics=(NicSpec(network="front", mac=mac), NicSpec(network="back")))
    networks = engine.inspect("web")["NetworkSettings"]["Networks"]
    assert set(networks) == {"front", "back"}
    assert networks["front"]["MacAddress"] == mac
    running(docker, "alone")
    assert set(engine.inspect("alone")["NetworkSettings"]["Networks"]) == {"none"}


def test_a_port_that_is_taken_is_named_with_its_holder(docker: DockerHypervisor) -> None:
    ports = (PortSpec(host=18080, inside=80),)
    running(docker, "first", ports=ports)
    made(docker, "second", ports=ports)
    with pytest.raises(AlreadyExists, match=r"port 18080 .* 'first'"):
        docker.lifecycle.start("second")
    assert state(docker, "second") is InstanceState.STOPPED
    docker.lifecycle.stop("first")
    docker.lifecycle.start("second")


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"image": "lab:none"}, NotFound),
        ({"nics": (NicSpec(network="none-such"),)}, NotFound),
        ({"nics": (NicSpec(), NicSpec(network="none-such"))}, NotFound),
        ({"command": ()}, InvalidInput),
        ({"mounts": (MountSpec(source="/none/such", target="/x"),)}, InvalidInput),
        ({"mounts": (MountSpec(source="in valid", target="/x"),)}, InvalidInput),
    ],
)
def test_what_cannot_be_made_leaves_nothing(
    docker: DockerHypervisor,
    engine: Dockerd,
    fields: dict[str, Any],
    kind: type[HyperSDKError],
) -> None:
    mounts = (*fields.get("mounts", ()), MountSpec(source="web-data", target="/data"))
    with pytest.raises(kind):
        made(docker, **{**fields, "mounts": mounts})
    assert not engine.left()


def test_a_name_that_is_taken(docker: DockerHypervisor, engine: Dockerd) -> None:
    made(docker)
    before = engine.left()
    with pytest.raises(AlreadyExists, match="web"):
        made(docker, **volume("new"))
    assert engine.left() == before


def test_a_command_that_is_not_there(docker: DockerHypervisor) -> None:
    made(docker, command=("/no/such",))
    with pytest.raises(HyperSDKError, match="/no/such"):
        docker.lifecycle.start("web")
    assert state(docker) is InstanceState.STOPPED


def test_states_as_the_table_says(docker: DockerHypervisor) -> None:
    lifecycle = docker.lifecycle
    made(docker)
    for refused in (lifecycle.pause, lifecycle.resume, lifecycle.reset):
        with pytest.raises(InvalidState):
            refused("web")
    lifecycle.stop("web")
    for _ in range(2):
        lifecycle.start("web")
        assert state(docker) is InstanceState.RUNNING
    lifecycle.resume("web")
    with pytest.raises(InvalidState):
        lifecycle.delete("web")
    for _ in range(2):
        lifecycle.pause("web")
        assert state(docker) is InstanceState.PAUSED
    with pytest.raises(InvalidState):
        lifecycle.stop("web")
    with pytest.raises(InvalidState):
        lifecycle.delete("web")
    lifecycle.start("web")
    assert state(docker) is InstanceState.RUNNING
    for _ in range(2):
        lifecycle.stop("web")
        assert state(docker) is InstanceState.STOPPED
    lifecycle.delete("web")
    for gone in (lifecycle.start, lifecycle.stop, lifecycle.delete):
        with pytest.raises(InstanceNotFound):
            gone("web")


def test_starting_paused_is_refused_before_anything_happens(docker: DockerHypervisor) -> None:
    made(docker)
    with pytest.raises(NotSupported):
        docker.lifecycle.start("web", paused=True)
    assert state(docker) is InstanceState.STOPPED


def test_who_does_not_obey_is_not_cut_off(docker: DockerHypervisor) -> None:
    running(docker, command=DEAF)
    with pytest.raises(OperationTimeout, match="SIGTERM"):
        docker.lifecycle.stop("web", timeout=0.3)
    assert state(docker) is InstanceState.RUNNING
    docker.lifecycle.stop("web", force=True)
    assert state(docker) is InstanceState.STOPPED


def test_waiting_obeys_the_token(docker: DockerHypervisor) -> None:
    running(docker, command=DEAF)
    token = CancelToken()
    timer = threading.Timer(0.3, token.cancel)
    timer.start()
    with pytest.raises(Interrupted), token.scope():
        docker.lifecycle.stop("web", timeout=60)
    timer.join()


def test_force_stops_a_paused_one(docker: DockerHypervisor) -> None:
    running(docker)
    docker.lifecycle.pause("web")
    docker.lifecycle.stop("web", force=True)
    assert state(docker) is InstanceState.STOPPED


@pytest.mark.parametrize("paused", [False, True])
def test_reset_begins_anew(docker: DockerHypervisor, engine: Dockerd, paused: bool) -> None:
    running(docker, command=DEAF)
    before = engine.inspect("web")["State"]["Pid"]
    if paused:
        docker.lifecycle.pause("web")
    docker.lifecycle.reset("web")
    assert engine.inspect("web")["State"]["Pid"] != before
    assert state(docker) is (InstanceState.PAUSED if paused else InstanceState.RUNNING)


def test_deleting_keeps_volumes_unless_told(docker: DockerHypervisor, engine: Dockerd) -> None:
    engine.run("volume", "create", "of-others")
    mounts = tuple(
        MountSpec(source=source, target=f"/{source}") for source in ("own", "shared", "of-others")
    )
    made(docker, "first", mounts=mounts)
    made(docker, "second", mounts=mounts[1:2])
    docker.lifecycle.delete("first")
    assert engine.left() == {
        *("volume own", "volume shared", "volume of-others", "container second")
    }
    made(docker, "first", mounts=mounts)
    docker.lifecycle.delete("first", disks=True)
    assert engine.left() == {"volume shared", "volume of-others", "container second"}


def test_removed_behind_our_back(docker: DockerHypervisor, engine: Dockerd) -> None:
    running(docker)
    engine.run("rm", "--force", "web")
    with pytest.raises(InstanceNotFound):
        docker.lifecycle.pause("web")
    assert made(docker).name == "web"
