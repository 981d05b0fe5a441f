from __future__ import annotations

import time

import pytest

from hypersdk.drivers.docker.driver import DockerHypervisor
from hypersdk.model.errors import InstanceNotFound
from hypersdk.model.instances import InstanceState
from hypersdk.model.specs import NicSpec
from hypersdk.model.units import MIB
from tests.containers.dockerd import IMAGE, Dockerd
from tests.drivers.docker.lab import made, running


def test_counters_count(docker: DockerHypervisor, engine: Dockerd) -> None:
    running(docker, nics=(NicSpec(),), cpu_limit=1.5)
    before = docker.metrics.metrics(["web"])[0]
    engine.sh("web", "dd if=/dev/zero of=/dev/null bs=1M count=3000; ping -c 3 -i 0.1 127.0.0.1")
    after = docker.metrics.metrics(["web"])[0]
    assert after.cpu_nanoseconds > before.cpu_nanoseconds + 1_000_000
    assert (after.vcpus, after.memory, after.memory_maximum) == (2, 32 * MIB, 32 * MIB)
    assert 0 < after.memory_resident <= 32 * MIB
    assert [nic.name for nic in after.nics] == ["eth0"]
    assert [disk.disk for disk in after.disks] == ["rootfs"]


def test_all_at_once(docker: DockerHypervisor, engine: Dockerd) -> None:
    for name in ("web-1", "web-2", "web-3", "web-4"):
        running(docker, name)
    made(docker, "off")
    engine.run("run", "--detach", "--name", "others", IMAGE, "sleep", "60")
    docker.metrics.metrics()
    began = time.monotonic()
    found = {each.name: each for each in docker.metrics.metrics()}
    # The engine takes a second for the figures of one; not five for those of five.
    assert time.monotonic() - began < 4
    assert set(found) == {"web-1", "web-2", "web-3", "web-4", "off", "others"}
    assert found["off"].state is InstanceState.STOPPED
    assert (found["off"].cpu_nanoseconds, found["off"].memory_resident) == (0, 0)
    host = docker.host.info()
    assert (found["others"].vcpus, found["others"].memory) == (host.vcpus, host.memory)


def test_named(docker: DockerHypervisor) -> None:
    identity = made(docker).id
    assert docker.metrics.metrics([]) == []
    assert docker.metrics.metrics([identity])[0].name == "web"
    with pytest.raises(InstanceNotFound):
        docker.metrics.metrics(["web", "none"])
