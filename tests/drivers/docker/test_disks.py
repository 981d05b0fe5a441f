from __future__ import annotations

import io
import os
import subprocess
import tarfile
import threading
import time
from pathlib import Path

import pytest

from hypersdk.datapath.ports import BlockSource
from hypersdk.drivers.diskports import ViewOptions
from hypersdk.drivers.docker.driver import DockerHypervisor
from hypersdk.model.errors import (
    DataPathError,
    HypervisorError,
    InstanceNotFound,
    InvalidState,
    NotFound,
    NotSupported,
)
from hypersdk.model.instances import Consistency, InstanceState, Purpose
from hypersdk.model.specs import MountSpec
from hypersdk.model.units import MIB
from tests.containers.dockerd import Dockerd
from tests.datapath.suite import read_all
from tests.drivers.docker.lab import made, running, until, volume


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setenv("HYPERSDK_SCRATCH_DIR", str(folder))
    return folder


def names(source: BlockSource) -> dict[str, bytes]:
    found = {}
    with source, tarfile.open(fileobj=io.BytesIO(read_all(source))) as archive:
        for entry in archive:
            file = archive.extractfile(entry) if entry.isreg() else None
            found[entry.name] = file.read() if file else b""
    return found


def test_filesystem_and_volumes(docker: DockerHypervisor, engine: Dockerd, scratch: Path) -> None:
    mounts = (
        MountSpec(source="web-data", target="/data"),
        MountSpec(source="read-only", target="/config", read_only=True),
        MountSpec(source="/tmp", target="/host"),
    )
    running(docker, mounts=mounts)
    engine.sh("web", "echo own > /file; echo kept > /data/file; mkdir /data/sub")
    with docker.disks.view("web", {"rootfs": "token of something else"}) as view:
        assert docker.inventory.instance("web").state is InstanceState.RUNNING
        assert view.consistency is Consistency.CRASH
        assert ["/host is /tmp of the host" in said for said in view.warnings] == [True]
        disks = {each.disk.name: each for each in view.disks}
        assert set(disks) == {"rootfs", "web-data", "read-only"}
        for each in disks.values():
            assert each.disk.purpose is Purpose.ARCHIVE
            assert (each.checkpoint, each.incremental) == (None, False)
            assert "no record of changes" in each.reason
        rootfs = names(disks["rootfs"].open())
        assert rootfs["file"] == b"own\n"
        assert "data/file" not in rootfs
        assert names(disks["web-data"].open())["data/file"] == b"kept\n"
        assert set(names(disks["read-only"].open())) == {"config"}
        assert disks["rootfs"].open().size == disks["rootfs"].disk.size
        view.confirm()
        view.keep_checkpoints()
    with pytest.raises(DataPathError, match="ended"):
        disks["rootfs"].open()
    assert not list(scratch.iterdir())


def test_a_stopped_one(docker: DockerHypervisor) -> None:
    made(docker, **volume("web-data"))
    with docker.disks.view("web", {}) as view:
        assert view.consistency is Consistency.OFFLINE
        assert {"bin/busybox", "etc/passwd"} <= set(names(view.disks[0].open()))
        assert b'"Name": "/web"' in view.definition.content
    docker.lifecycle.start("web")


def test_a_paused_one_stays_paused(docker: DockerHypervisor) -> None:
    running(docker)
    docker.lifecycle.pause("web")
    with docker.disks.view("web", {}) as view:
        assert view.consistency is Consistency.CRASH
        assert docker.inventory.instance("web").state is InstanceState.PAUSED
    assert docker.inventory.instance("web").state is InstanceState.PAUSED
    docker.lifecycle.stop("web", force=True)


def test_all_archives_are_of_one_moment(docker: DockerHypervisor, engine: Dockerd) -> None:
    """A counter is written to two volumes by turns; they may differ by one."""
    writes = "n=0; while :; do n=$((n+1)); echo $n > /a/n; echo $n > /b/n; done"
    mounts = (MountSpec(source="va", target="/a"), MountSpec(source="vb", target="/b"))
    running(docker, command=("sh", "-c", writes), mounts=mounts)
    until(lambda: engine.run("exec", "web", "cat", "/b/n", check=False).stdout)
    with docker.disks.view("web", {}) as view:
        found = [names(each.open()) for each in view.disks[1:]]
    first, second = found[0]["a/n"], found[1]["b/n"]
    if first and second:  # the shell empties a file before it writes
        assert int(first) - int(second) in (0, 1)
    docker.lifecycle.stop("web", force=True)


def test_without_pausing_it_is_said(docker: DockerHypervisor) -> None:
    running(docker)
    with docker.disks.view("web", {}, ViewOptions(freeze=False)) as view:
        assert ["several moments" in said for said in view.warnings] == [True]


def test_excluded(docker: DockerHypervisor) -> None:
    made(docker, **volume("web-data"))
    with docker.disks.view("web", {}, ViewOptions(exclude=frozenset({"web-data"}))) as view:
        assert [each.disk.name for each in view.disks] == ["rootfs"]
    with pytest.raises(NotFound, match="none-such"):
        docker.disks.view("web", {}, ViewOptions(exclude=frozenset({"none-such"})))
    with pytest.raises(InstanceNotFound):
        docker.disks.view("none", {})
    with pytest.raises(NotSupported):
        docker.disks.rewrite("web")


def test_resumed_by_somebody_meanwhile(docker: DockerHypervisor, engine: Dockerd) -> None:
    running(docker)
    engine.sh("web", "dd if=/dev/urandom of=/large bs=1M count=24 2>/dev/null")
    ended = threading.Event()

    def meddle() -> None:
        while not ended.is_set():
            engine.run("unpause", "web", check=False)

    thread = threading.Thread(target=meddle)
    thread.start()
    try:
        with pytest.raises(HypervisorError, match="while it was read"):
            docker.disks.view("web", {})
    finally:
        ended.set()
        thread.join()
    assert docker.inventory.instance("web").state is InstanceState.RUNNING


def test_two_at_once(docker: DockerHypervisor, engine: Dockerd) -> None:
    running(docker, memory=128 * MIB)
    engine.sh("web", "dd if=/dev/zero of=/large bs=1M count=64 2>/dev/null")
    first = threading.Thread(target=lambda: docker.disks.view("web", {}).__exit__(None, None, None))
    first.start()
    until(lambda: engine.inspect("web")["State"]["Paused"] or not first.is_alive())
    if first.is_alive():
        with pytest.raises(InvalidState, match="another backup"):
            docker.disks.view("web", {})
    first.join()
    assert docker.inventory.instance("web").state is InstanceState.RUNNING


def test_no_room_for_the_archives(
    docker: DockerHypervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "small", small], check=True)
    try:
        monkeypatch.setenv("HYPERSDK_SCRATCH_DIR", str(small))
        running(docker)
        with pytest.raises(DataPathError, match="space"):
            docker.disks.view("web", {})
        assert docker.inventory.instance("web").state is InstanceState.RUNNING
        assert not os.listdir(small)
    finally:
        subprocess.run(["umount", small], check=True)


def test_how_long_it_stands_still(docker: DockerHypervisor, engine: Dockerd) -> None:
    """It is paused while it is read, not while it is stored."""
    running(docker)
    with docker.disks.view("web", {}):
        began = time.monotonic()
        assert docker.inventory.instance("web").state is InstanceState.RUNNING
        assert time.monotonic() - began < 10
