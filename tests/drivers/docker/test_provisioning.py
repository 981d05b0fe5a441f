from __future__ import annotations

import contextlib
import json
from dataclasses import replace

import pytest

from hypersdk.drivers.diskports import Placement
from hypersdk.drivers.docker.driver import DockerHypervisor
from hypersdk.model.errors import (
    AlreadyExists,
    HyperSDKError,
    InvalidInput,
    InvalidState,
    NotFound,
)
from hypersdk.model.instances import Definition, Disk, Instance, InstanceState
from hypersdk.model.specs import NicSpec
from hypersdk.model.units import MIB
from tests.containers.dockerd import IMAGE, RUNS, Dockerd
from tests.drivers.docker.lab import made, running, volume


class Kept:
    """A backup without a repository: the archives wait in memory."""

    def __init__(self, docker: DockerHypervisor, name: str = "web") -> None:
        self._docker = docker
        with docker.disks.view(name, {}) as view:
            self.definition = view.definition
            self.disks = [each.disk for each in view.disks]
            self._archives = {}
            for each in view.disks:
                with each.open() as source:
                    content = bytearray(source.size)
                    source.readinto(0, memoryview(content))
                    self._archives[each.disk.name] = bytes(content)

    def restore(self, placement: Placement | None = None, broken: str = "") -> Instance:
        building = self._docker.provisioning.build(
            self.definition, self.disks, placement or Placement()
        )
        with building:
            for disk in self.disks:
                content = self._archives[disk.name]
                if disk.name == broken:
                    content = b"\xff" * len(content)
                with building.sink(disk.name) as sink:
                    sink.write(0, memoryview(content))
                    sink.flush()
            return building.commit()


@pytest.fixture
def web(docker: DockerHypervisor, engine: Dockerd) -> Instance:
    """With content in its filesystem and in a volume; it runs."""
    return running(
        docker,
        tags={"tier": "gold"},
        folder="prod",
        env={"A": "secret words"},
        cpu_limit=0.5,
        pids_limit=99,
        nics=(NicSpec(),),
        **volume("web-data"),
    )


@pytest.fixture
def kept(docker: DockerHypervisor, engine: Dockerd, web: Instance) -> Kept:
    engine.sh("web", "echo own > /file; echo kept > /data/file; chown 77:88 /data; chmod 750 /data")
    return Kept(docker)


def gone(docker: DockerHypervisor, engine: Dockerd) -> None:
    docker.lifecycle.stop("web", force=True)
    docker.lifecycle.delete("web", disks=True)
    assert not engine.left()


def test_after_it_was_lost(
    docker: DockerHypervisor, engine: Dockerd, web: Instance, kept: Kept
) -> None:
    before = engine.inspect("web")
    gone(docker, engine)
    again = kept.restore()
    assert replace(again, state=web.state) == web
    assert again.state is InstanceState.STOPPED
    now = engine.inspect("web")
    for key in ("Cmd", "Env"):
        assert now["Config"][key] == before["Config"][key]
    for key in ("Memory", "NanoCpus", "PidsLimit", "NetworkMode"):
        assert now["HostConfig"][key] == before["HostConfig"][key]
    docker.lifecycle.start("web")
    assert engine.sh("web", "cat /file /data/file; stat -c %u:%g:%a /data") == (
        b"own\nkept\n77:88:750\n"
    )
    gone(docker, engine)


def test_beside_the_old_one(docker: DockerHypervisor, engine: Dockerd, kept: Kept) -> None:
    copied = kept.restore(Placement(name="copy", tags={"by": "test"}))
    assert copied.tags["by"] == "test"
    assert copied.id != docker.inventory.instance("web").id
    assert {"container copy", "volume copy-data", "volume web-data"} <= engine.left()
    docker.lifecycle.start("copy")
    engine.sh("copy", "echo changed > /data/file")
    assert engine.sh("web", "cat /data/file") == b"kept\n"


def test_isolated(docker: DockerHypervisor, engine: Dockerd, kept: Kept) -> None:
    kept.restore(Placement(name="copy", isolated=True))
    docker.lifecycle.start("copy")
    assert set(engine.inspect("copy")["NetworkSettings"]["Networks"]) == {"none"}


def test_in_place_of_the_old_one(docker: DockerHypervisor, engine: Dockerd, kept: Kept) -> None:
    engine.sh("web", "echo worse > /file; echo worse > /data/file; echo new > /data/new")
    identity = docker.inventory.instance("web").id
    with pytest.raises(AlreadyExists, match="web"):
        kept.restore()
    with pytest.raises(InvalidState, match="Stop it"):
        kept.restore(Placement(overwrite=True))
    docker.lifecycle.stop("web")
    assert kept.restore(Placement(overwrite=True)).id == identity
    docker.lifecycle.start("web")
    assert engine.sh("web", "cat /file /data/file; ls /data") == b"own\nkept\nfile\n"
    gone(docker, engine)


def test_a_volume_that_is_there(docker: DockerHypervisor, engine: Dockerd, kept: Kept) -> None:
    docker.lifecycle.stop("web")
    docker.lifecycle.delete("web")
    before = engine.left()
    with pytest.raises(AlreadyExists, match="web-data"):
        kept.restore()
    made(docker, "other", **volume("web-data"))
    with pytest.raises(InvalidState, match="another container"):
        kept.restore(Placement(overwrite=True))
    docker.lifecycle.delete("other")
    assert engine.left() == before
    kept.restore(Placement(overwrite=True))


def test_a_volume_that_was_left_out(docker: DockerHypervisor, engine: Dockerd, kept: Kept) -> None:
    gone(docker, engine)
    kept.disks = kept.disks[:1]
    with pytest.raises(NotFound, match="web-data"):
        kept.restore()
    engine.run("volume", "create", "web-data")
    kept.restore()
    assert {"container web", "volume web-data"} <= engine.left()


@pytest.mark.parametrize("disk", ["rootfs", "web-data"])
def test_a_failure_leaves_nothing(
    docker: DockerHypervisor, engine: Dockerd, kept: Kept, disk: str
) -> None:
    gone(docker, engine)
    with pytest.raises(HyperSDKError):
        kept.restore(broken=disk)
    assert not engine.left()


def test_leaving_without_commit(docker: DockerHypervisor, engine: Dockerd, kept: Kept) -> None:
    gone(docker, engine)
    with docker.provisioning.build(kept.definition, kept.disks, Placement()) as building:
        assert building.name == "web"
        assert building.path("web-data") == "volume:web-data"
        assert building.path("rootfs").startswith("image:hypersdk-base/")
        building.sink("rootfs").close()
    assert not engine.left()


def test_networks_are_mapped(docker: DockerHypervisor, engine: Dockerd) -> None:
    engine.run("network", "create", "--subnet", "10.95.1.0/24", "front")
    engine.run(
        *("run", "--detach", "--name", "web", "--network", "front", "--network-alias", "www"),
        *(IMAGE, *RUNS),
    )
    kept = Kept(docker)
    engine.run("rm", "--force", "web")
    engine.run("network", "rm", "front")
    engine.run("network", "create", "--subnet", "10.95.2.0/24", "other")
    with pytest.raises(NotFound, match="--map-network front=OTHER"):
        kept.restore()
    kept.restore(Placement(networks={"front": "other"}))
    docker.lifecycle.start("web")
    networks = engine.inspect("web")["NetworkSettings"]["Networks"]
    assert set(networks) == {"other"}
    assert "www" in networks["other"]["Aliases"]


def test_refused_before_bytes_are_copied(docker: DockerHypervisor, kept: Kept) -> None:
    build = docker.provisioning.build
    with pytest.raises(InvalidInput, match="libvirt"):
        build(Definition("libvirt", b"{}"), kept.disks, Placement())
    with pytest.raises(InvalidInput, match="cannot be read"):
        build(Definition("docker-json", b"nonsense"), kept.disks, Placement())
    later = json.dumps({**json.loads(kept.definition.content), "format": 2}).encode()
    with pytest.raises(InvalidInput, match="later version"):
        build(Definition("docker-json", later), kept.disks, Placement())
    with pytest.raises(InvalidInput, match="filesystem"):
        build(kept.definition, kept.disks[1:], Placement(name="x"))
    with pytest.raises(InvalidInput, match="filesystem"):
        build(kept.definition, [Disk("vda", MIB)], Placement(name="x"))
    with pytest.raises(InvalidInput, match="pool"):
        build(kept.definition, kept.disks, Placement(name="xx", pool="default"))


def test_discard(docker: DockerHypervisor, engine: Dockerd, kept: Kept) -> None:
    before = engine.left()
    with contextlib.ExitStack() as stack:
        building = stack.enter_context(
            docker.provisioning.build(kept.definition, kept.disks, Placement(name="trial"))
        )
        paths = [building.path(disk.name) for disk in kept.disks]
    kept.restore(Placement(name="trial"))
    docker.lifecycle.start("trial")
    docker.provisioning.discard("trial", paths)
    docker.provisioning.discard("trial", paths)
    assert engine.left() == before
