from __future__ import annotations

import os
from pathlib import Path

from hypersdk.drivers.docker.driver import DockerHypervisor
from tests.containers.dockerd import Dockerd
from tests.drivers.docker.lab import made, running


def test_observed(docker: DockerHypervisor, engine: Dockerd) -> None:
    made(docker, "off")
    running(docker, "on")
    running(docker, "held")
    docker.lifecycle.pause("held")
    found = docker.host.info()
    assert found.name == os.uname().nodename
    assert (found.product, found.version) == (
        "Docker",
        engine.said("version", "--format", "{{.Server.Version}}"),
    )
    assert found.vcpus == os.cpu_count() == found.maximum_vcpus
    total = int(Path("/proc/meminfo").read_text().split()[1]) * 1024
    assert found.memory == total
    assert 0 < found.memory_available < total
    assert found.storage_available is not None
    assert found.storage_available > 0
    assert found.active_instances == 2
    docker.lifecycle.stop("held", force=True)
