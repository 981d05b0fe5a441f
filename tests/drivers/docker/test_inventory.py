from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import pytest

from hypersdk.drivers.docker.driver import DockerHypervisor
from hypersdk.model.errors import InstanceNotFound
from hypersdk.model.instances import InstanceState
from hypersdk.model.units import MIB
from tests.containers.dockerd import IMAGE, Dockerd
from tests.drivers.docker.lab import made, volume


def test_all_by_name(docker: DockerHypervisor, engine: Dockerd) -> None:
    made(docker, "web", tags={"a": "b"}, folder="x/y", **volume("web-data"))
    engine.run("create", "--name", "db", "--label", "of=others", IMAGE, "sleep", "9")
    found = list(docker.inventory.instances())
    assert [each.name for each in found] == ["db", "web"]
    db, web = found
    assert (db.owned, db.id, db.tags) == (False, engine.inspect("db")["Id"], {"of": "others"})
    assert (web.owned, web.tags, web.folder, web.image) == (True, {"a": "b"}, "x/y", IMAGE)
    assert [disk.name for disk in web.disks] == ["rootfs", "web-data"]
    # The engine's list does not tell limits.
    assert (web.vcpus, web.memory) == (0, 0)


def test_one_in_full(docker: DockerHypervisor) -> None:
    identity = made(docker, cpu_limit=1.5, memory=48 * MIB).id
    for name in ("web", identity):
        found = docker.inventory.instance(name)
        assert (found.name, found.vcpus, found.memory) == ("web", 2, 48 * MIB)
        assert found.state is InstanceState.STOPPED


def test_limits_are_observed_not_remembered(docker: DockerHypervisor, engine: Dockerd) -> None:
    made(docker)
    engine.run("update", "--cpus", "1.2", "--memory", "64m", "--memory-swap", "64m", "web")
    found = docker.inventory.instance("web")
    assert (found.vcpus, found.memory) == (math.ceil(1.2), 64 * MIB)


def test_without_limits_of_others(docker: DockerHypervisor, engine: Dockerd) -> None:
    engine.run("create", "--name", "free", IMAGE, "true")
    found = docker.inventory.instance("free")
    assert (found.vcpus, found.memory) == (0, 0)


def test_missing(docker: DockerHypervisor) -> None:
    for name in ("no", "", "a/b", "ümlaut", "x" * 300):
        with pytest.raises(InstanceNotFound):
            docker.inventory.instance(name)


def test_a_container_made_from_one_of_ours_is_not_ours(
    docker: DockerHypervisor, engine: Dockerd
) -> None:
    """Labels of an image are those of the containers made from it."""
    own = made(docker)
    snapshot = docker.snapshots.create("web", "s1")
    image = next(line for line in engine.left() if f":{snapshot.name}" in line).split()[1]
    engine.run("create", "--name", "copy", image)
    copy = docker.inventory.instance("copy")
    assert not copy.owned
    assert copy.id != own.id
    assert docker.inventory.instance(own.id).name == "web"


def test_many_at_once(docker: DockerHypervisor) -> None:
    names = [f"many-{number:03}" for number in range(40)]
    with ThreadPoolExecutor(16) as threads:
        identities = set(threads.map(lambda name: made(docker, name).id, names))
        assert len(identities) == 40
        assert [each.name for each in docker.inventory.instances()] == names
        list(threads.map(docker.lifecycle.delete, names))
    assert not list(docker.inventory.instances())
