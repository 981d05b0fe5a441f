from __future__ import annotations

import pytest

from hypersdk.drivers.docker.driver import DockerHypervisor
from hypersdk.model.errors import (
    AlreadyExists,
    InvalidInput,
    LimitExceeded,
    NotFound,
    NotSupported,
)
from hypersdk.model.specs import DiskSpec, NicSpec
from hypersdk.model.units import MIB
from tests.containers.dockerd import IMAGE, Dockerd, cgroup
from tests.drivers.docker.lab import made, running


def networks(engine: Dockerd) -> set[str]:
    return set(engine.inspect("web")["NetworkSettings"]["Networks"])


def test_limits_change_while_it_runs(docker: DockerHypervisor, engine: Dockerd) -> None:
    running(docker, vcpus_maximum=2, memory_maximum=64 * MIB)
    docker.hotplug.set_vcpus("web", 2)
    docker.hotplug.set_memory("web", 64 * MIB)
    container = engine.inspect("web")["Id"]
    if (cgroup("memory", container) / "memory.limit_in_bytes").exists():
        assert (cgroup("cpu", container) / "cpu.cfs_quota_us").read_text() == "200000\n"
        limit = (cgroup("memory", container) / "memory.limit_in_bytes").read_text()
    else:
        limit = (cgroup("", container) / "memory.max").read_text()
    assert int(limit) == 64 * MIB
    docker.lifecycle.stop("web")
    docker.hotplug.set_memory("web", 32 * MIB)
    docker.lifecycle.start("web")
    found = docker.inventory.instance("web")
    assert (found.vcpus, found.memory) == (2, 32 * MIB)


def test_no_more_than_it_was_made_with_room_for(docker: DockerHypervisor) -> None:
    made(docker)
    with pytest.raises(LimitExceeded):
        docker.hotplug.set_vcpus("web", 2)
    with pytest.raises(LimitExceeded):
        docker.hotplug.set_memory("web", 33 * MIB)
    with pytest.raises(InvalidInput):
        docker.hotplug.set_vcpus("web", 0)
    assert docker.inventory.instance("web").memory == 32 * MIB


def test_containers_of_others_have_the_hosts_room(
    docker: DockerHypervisor, engine: Dockerd
) -> None:
    engine.run("create", "--name", "quota", "--cpu-quota", "50000", IMAGE, "true")
    engine.run("create", "--name", "free", IMAGE, "true")
    for name in ("quota", "free"):
        docker.hotplug.set_vcpus(name, 2)
        docker.hotplug.set_memory(name, 64 * MIB)
        found = docker.inventory.instance(name)
        assert (found.vcpus, found.memory) == (2, 64 * MIB)
        with pytest.raises(LimitExceeded):
            docker.hotplug.set_vcpus(name, docker.host.info().vcpus + 1)


def test_networks_come_and_go(docker: DockerHypervisor, engine: Dockerd) -> None:
    engine.run("network", "create", "--subnet", "10.96.1.0/24", "back")
    running(docker)
    first = docker.hotplug.attach_nic("web", NicSpec())
    second = docker.hotplug.attach_nic("web", NicSpec(network="back"))
    there = engine.inspect("web")["NetworkSettings"]["Networks"]
    assert {name: each["MacAddress"] for name, each in there.items()} == {
        "bridge": first,
        "back": second,
    }
    with pytest.raises(AlreadyExists):
        docker.hotplug.attach_nic("web", NicSpec())
    docker.lifecycle.reset("web")
    assert networks(engine) == {"bridge", "back"}
    mac = engine.inspect("web")["NetworkSettings"]["Networks"]["bridge"]["MacAddress"]
    docker.hotplug.detach_nic("web", mac)
    assert networks(engine) == {"back"}
    docker.hotplug.detach_nic("web", "back")
    docker.lifecycle.reset("web")
    assert networks(engine) == {"none"}
    with pytest.raises(NotFound):
        docker.hotplug.detach_nic("web", second)


def test_a_stopped_one_is_connected_when_it_starts(
    docker: DockerHypervisor, engine: Dockerd
) -> None:
    made(docker)
    assert docker.hotplug.attach_nic("web", NicSpec()) == "bridge"
    docker.lifecycle.start("web")
    assert engine.inspect("web")["NetworkSettings"]["Networks"]["bridge"]["MacAddress"]


def test_a_network_that_is_not_there_changes_nothing(
    docker: DockerHypervisor, engine: Dockerd
) -> None:
    running(docker)
    with pytest.raises(NotFound):
        docker.hotplug.attach_nic("web", NicSpec(network="none-such"))
    with pytest.raises(InvalidInput):
        docker.hotplug.attach_nic("web", NicSpec(mac="02:42:00:00:00:01"))
    assert networks(engine) == {"none"}


def test_what_containers_have_not(docker: DockerHypervisor) -> None:
    made(docker)
    with pytest.raises(NotSupported):
        docker.hotplug.attach_disk("web", DiskSpec(size=MIB))
    with pytest.raises(NotSupported):
        docker.hotplug.detach_disk("web", "vda")
    with pytest.raises(NotSupported):
        docker.hotplug.insert_media("web", "/x.iso")
    with pytest.raises(NotSupported):
        docker.hotplug.eject_media("web")
