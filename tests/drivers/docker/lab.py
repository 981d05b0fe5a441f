"""What tests of the driver make over and over."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hypersdk.drivers.docker.driver import DockerHypervisor
from hypersdk.model.instances import Instance
from hypersdk.model.specs import InstanceSpec, MountSpec
from hypersdk.model.units import MIB
from tests.containers.dockerd import IMAGE, RUNS

SMALL = InstanceSpec(name="web", image=IMAGE, command=RUNS, memory=32 * MIB)


def made(docker: DockerHypervisor, name: str = "web", **fields: Any) -> Instance:
    return docker.lifecycle.create(replace(SMALL, name=name, **fields))


def running(docker: DockerHypervisor, name: str = "web", **fields: Any) -> Instance:
    made(docker, name, **fields)
    docker.lifecycle.start(name)
    return docker.inventory.instance(name)


def volume(source: str, target: str = "/data") -> dict[str, Any]:
    return {"mounts": (MountSpec(source=source, target=target),)}


def until(true: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait for what another process does."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)
