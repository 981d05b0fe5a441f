from __future__ import annotations

from hypersdk.drivers.docker.definition import KIND, definition, saved
from hypersdk.drivers.docker.driver import DockerHypervisor
from tests.containers.dockerd import Dockerd
from tests.drivers.docker.lab import made, volume


def test_there_and_back(docker: DockerHypervisor, engine: Dockerd) -> None:
    made(docker, env={"A": "ü"}, **volume("web-data"))
    found = engine.inspect("web")
    kept = definition(found)
    assert kept.kind == KIND
    again = saved(kept)
    for key in ("Id", "Name", "Config", "HostConfig", "Mounts"):
        assert again[key] == found[key]
    assert again["NetworkSettings"]["Networks"] == found["NetworkSettings"]["Networks"]
