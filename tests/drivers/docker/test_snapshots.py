from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from hypersdk.datapath.cancel import CancelToken
from hypersdk.drivers.docker.driver import DockerHypervisor
from hypersdk.model.errors import (
    AlreadyExists,
    HyperSDKError,
    Interrupted,
    InvalidInput,
    NotFound,
    NotSupported,
)
from hypersdk.model.instances import InstanceState
from hypersdk.model.specs import PortSpec
from hypersdk.model.units import MIB
from tests.containers.dockerd import IMAGE, RUNS, Dockerd
from tests.drivers.docker.lab import made, running, until, volume


def tree(docker: DockerHypervisor) -> dict[str, str]:
    return {each.name: each.parent for each in docker.snapshots.snapshots("web")}


def current(docker: DockerHypervisor) -> list[str]:
    return [each.name for each in docker.snapshots.snapshots("web") if each.current]


def test_content_comes_back_and_identity_stays(docker: DockerHypervisor, engine: Dockerd) -> None:
    own = running(docker, tags={"a": "b"}, folder="x", env={"A": "1"}, **volume("web-data"))
    engine.sh("web", "echo one > /file; echo one > /data/file")
    taken = docker.snapshots.create("web", "before", description="first")
    assert (taken.state, taken.memory, taken.parent) == (InstanceState.RUNNING, False, "")
    assert taken.disks == {"rootfs": "internal", "web-data": "no"}
    assert taken.description == "first"
    engine.sh("web", "echo two > /file; echo two > /data/file; touch /new")
    config = engine.inspect("web")
    docker.snapshots.revert("web", "before")
    assert docker.inventory.instance("web") == own
    now = engine.inspect("web")
    assert now["Id"] != config["Id"]
    assert now["Config"]["Env"] == config["Config"]["Env"]
    limits = ("Memory", "NanoCpus", "CpuShares", "NetworkMode", "PortBindings")
    assert [now["HostConfig"][each] for each in limits] == [
        config["HostConfig"][each] for each in limits
    ]
    # Volumes are not in a snapshot.
    assert engine.sh("web", "cat /file /data/file; ls /new || true") == b"one\ntwo\n"
    assert engine.lines("ps", "--all", "--format", "{{.Names}}") == ["web"]


def test_a_tree(docker: DockerHypervisor) -> None:
    made(docker)
    for name in ("a", "b"):
        docker.snapshots.create("web", name)
    docker.snapshots.revert("web", "a")
    assert current(docker) == ["a"]
    docker.snapshots.create("web", "c")
    assert tree(docker) == {"a": "", "b": "a", "c": "a"}
    assert current(docker) == ["c"]
    docker.snapshots.create("web", "d")
    docker.snapshots.delete("web", "c")
    assert tree(docker) == {"a": "", "b": "a", "d": "a"}
    docker.snapshots.delete("web", "a", children=True)
    assert tree(docker) == {}


def test_a_snapshot_that_it_stands_on_can_be_deleted(
    docker: DockerHypervisor, engine: Dockerd
) -> None:
    running(docker)
    engine.sh("web", "echo kept > /file")
    docker.snapshots.create("web", "a")
    docker.snapshots.revert("web", "a")
    docker.snapshots.delete("web", "a")
    assert tree(docker) == {}
    assert engine.sh("web", "cat /file") == b"kept\n"
    docker.snapshots.create("web", "a")
    assert tree(docker) == {"a": ""}


def test_states_are_those_of_the_snapshot(docker: DockerHypervisor) -> None:
    made(docker)
    docker.snapshots.create("web", "stopped")
    docker.lifecycle.start("web")
    docker.snapshots.create("web", "running")
    docker.lifecycle.pause("web")
    docker.snapshots.create("web", "paused")
    for word in ("stopped", "running", "paused", "running", "stopped"):
        docker.snapshots.revert("web", word)
        assert docker.inventory.instance("web").state.value == word


def test_any_name(docker: DockerHypervisor) -> None:
    made(docker)
    name = "before the upgrade / äöü " + "x" * 200
    docker.snapshots.create("web", name)
    assert tree(docker) == {name: ""}
    docker.snapshots.revert("web", name)
    docker.snapshots.delete("web", name)


def test_when_the_new_one_does_not_start_the_old_one_is_back(
    docker: DockerHypervisor, engine: Dockerd
) -> None:
    running(docker, ports=(PortSpec(host=18088, inside=80),))
    engine.sh("web", "echo one > /file")
    docker.snapshots.create("web", "a")
    engine.sh("web", "echo two > /file")
    docker.lifecycle.stop("web")
    before, left = engine.inspect("web")["Id"], engine.left()
    running(docker, "thief", ports=(PortSpec(host=18088, inside=80),))
    with pytest.raises(AlreadyExists, match="18088"):
        docker.snapshots.revert("web", "a")
    assert engine.inspect("web")["Id"] == before
    assert engine.left() == left | {"container thief"}
    docker.lifecycle.stop("thief")
    docker.lifecycle.start("web")
    assert engine.sh("web", "cat /file") == b"two\n"


def test_networks_and_unnamed_volumes_stay(docker: DockerHypervisor, engine: Dockerd) -> None:
    engine.run("network", "create", "--subnet", "10.98.1.0/24", "front")
    engine.run("network", "create", "--subnet", "10.98.2.0/24", "back")
    engine.run(
        *("run", "--detach", "--name", "web", "--network", "front", "--ip", "10.98.1.77"),
        *("--network-alias", "www", "--volume", "/unnamed", "--volume", "named:/named:ro"),
        *("--volume", "/tmp:/host", "--label", "of=others", IMAGE, *RUNS),
    )
    engine.run("network", "connect", "back", "web")
    engine.sh("web", "echo kept > /unnamed/file")
    identity = docker.inventory.instance("web").id
    docker.snapshots.create("web", "a")
    docker.snapshots.revert("web", "a")
    found = engine.inspect("web")
    networks = found["NetworkSettings"]["Networks"]
    assert set(networks) == {"front", "back"}
    assert networks["front"]["IPAddress"] == "10.98.1.77"
    assert "www" in networks["front"]["Aliases"]
    assert engine.sh("web", "cat /unnamed/file") == b"kept\n"
    assert {mount["Destination"]: mount["RW"] for mount in found["Mounts"]} == {
        "/unnamed": True,
        "/named": False,
        "/host": True,
    }
    again = docker.inventory.instance("web")
    assert (again.id, again.owned, again.tags) == (identity, False, {"of": "others"})
    docker.snapshots.revert("web", "a")
    assert docker.inventory.instance(identity).name == "web"


def test_all_of_it_goes_with_the_instance(docker: DockerHypervisor, engine: Dockerd) -> None:
    made(docker)
    for name in ("a", "b"):
        docker.snapshots.create("web", name)
        docker.snapshots.revert("web", name)
    docker.lifecycle.delete("web")
    assert not engine.left()


def test_refusals(docker: DockerHypervisor) -> None:
    made(docker)
    docker.snapshots.create("web", "a")
    with pytest.raises(AlreadyExists):
        docker.snapshots.create("web", "a")
    with pytest.raises(InvalidInput):
        docker.snapshots.create("web", " ")
    with pytest.raises(NotSupported):
        docker.snapshots.create("web", "m", memory=True)
    with pytest.raises(NotSupported):
        docker.snapshots.create("web", "q", quiesce=True)
    for call in (docker.snapshots.revert, docker.snapshots.delete):
        with pytest.raises(NotFound, match="There are: a"):
            call("web", "none")
    assert tree(docker) == {"a": ""}


def test_cancelled_leaves_nothing(docker: DockerHypervisor, engine: Dockerd) -> None:
    running(docker, memory=256 * MIB)
    # So much that the engine needs a while.
    engine.sh("web", "dd if=/dev/urandom of=/large bs=1M count=100 2>/dev/null")
    left = engine.left()
    token = CancelToken()
    timer = threading.Timer(0.1, token.cancel)
    timer.start()
    with pytest.raises(Interrupted), token.scope():
        docker.snapshots.create("web", "a")
    timer.join()
    # The engine goes on by itself, and what it makes is removed then.
    until(lambda: "docker-call" not in {thread.name for thread in threading.enumerate()})
    assert engine.left() == left
    assert tree(docker) == {}


def test_from_many_threads(docker: DockerHypervisor) -> None:
    names = [f"web-{number}" for number in range(6)]

    def life(name: str) -> None:
        running(docker, name)
        docker.snapshots.create(name, "a")
        docker.snapshots.revert(name, "a")
        docker.lifecycle.stop(name, force=True)
        docker.lifecycle.delete(name)

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(life, names))
    with pytest.raises(HyperSDKError):
        docker.inventory.instance(names[0])
