"""What happens to a container that was paused by a run which was killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hypersdk.drivers.docker.address import address
from hypersdk.drivers.docker.connection import Connection
from hypersdk.drivers.docker.driver import DockerHypervisor
from hypersdk.drivers.docker.pausing import Record, dead_records, paused
from hypersdk.model.errors import HyperSDKError
from hypersdk.model.instances import InstanceState
from tests.containers.dockerd import Dockerd
from tests.drivers.docker.lab import running, until

#: Pauses a container as a backup does, says so, and waits to be killed.
HOLD = """
import sys, time
from hypersdk.drivers.docker.address import address
from hypersdk.drivers.docker.connection import Connection
from hypersdk.drivers.docker.pausing import paused
connection = Connection(address(sys.argv[1]))
with paused(connection, connection.find("web")):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HYPERSDK_SCRATCH_DIR", str(tmp_path))
    return tmp_path


def killed(engine: Dockerd) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLD, engine.url], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    assert engine.inspect("web")["State"]["Paused"]
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    holder.stdout.close()


def state(docker: DockerHypervisor) -> InstanceState:
    return docker.inventory.instance("web").state


def test_a_watcher_resumes_it(docker: DockerHypervisor, engine: Dockerd, scratch: Path) -> None:
    running(docker)
    killed(engine)
    until(lambda: state(docker) is InstanceState.RUNNING and not list(scratch.iterdir()))


def test_what_the_watcher_missed(docker: DockerHypervisor, engine: Dockerd, scratch: Path) -> None:
    """As after the whole host went down: the record is there, and nobody holds it."""
    running(docker)
    docker.lifecycle.pause("web")
    record = {"url": engine.url, "container": engine.inspect("web")["Id"], "name": "web"}
    path = scratch / "hypersdk-docker-0.paused"
    path.write_text(json.dumps(record))
    (scratch / "hypersdk-docker-1.paused").write_text("nonsense")
    (scratch / "hypersdk-docker-2.paused").write_text(
        json.dumps({**record, "url": "docker:///of/another/engine"})
    )
    assert docker.leftovers.reap(dry_run=True) == ["web: resumed after a backup that was killed"]
    assert state(docker) is InstanceState.PAUSED
    assert docker.leftovers.reap() == ["web: resumed after a backup that was killed"]
    assert state(docker) is InstanceState.RUNNING
    assert not path.exists()
    assert docker.leftovers.reap() == []
    assert len(list(scratch.iterdir())) == 2


def test_the_next_backup_cleans_up(
    docker: DockerHypervisor, engine: Dockerd, scratch: Path
) -> None:
    running(docker)
    docker.lifecycle.pause("web")
    record = {"url": engine.url, "container": engine.inspect("web")["Id"], "name": "web"}
    (scratch / "hypersdk-docker-0.paused").write_text(json.dumps(record))
    with docker.disks.view("web", {}):
        assert state(docker) is InstanceState.RUNNING
    assert not list(scratch.iterdir())


def test_records_of_others_are_none(scratch: Path) -> None:
    path = scratch / "hypersdk-docker-0.paused"
    path.write_text(json.dumps({"url": "docker:///x", "container": "1", "name": "web"}))
    assert [record for _, record in dead_records()] == [Record("docker:///x", "1", "web")]
    os.chown(path, 65_534, 65_534)
    assert list(dead_records()) == []


def test_an_engine_that_is_gone_keeps_the_record(
    docker: DockerHypervisor, engine: Dockerd, scratch: Path
) -> None:
    """Held when the engine ends: nobody knows, so the record stays, and the next run looks."""
    running(docker)
    connection = Connection(address(engine.url))
    with pytest.raises(HyperSDKError), paused(connection, connection.find("web")):
        engine.stop()
    connection.close()
    assert len(list(scratch.glob("*.paused"))) == 1
    engine.start()
    docker.leftovers.reap()
    assert not list(scratch.iterdir())
