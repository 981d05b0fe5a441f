from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from hypersdk.drivers.docker.driver import DockerHypervisor, connect
from hypersdk.model.errors import (
    HypervisorDenied,
    HypervisorUnreachable,
    InstanceNotFound,
    MissingRequirement,
)
from hypersdk.model.instances import InstanceState
from tests.containers.dockerd import Dockerd
from tests.drivers.docker.lab import made, running


@pytest.fixture
def old_engine(tmp_path: Path) -> Iterator[Path]:
    """Speaks as an engine of 2017 does."""
    path = tmp_path / "old.sock"
    body = json.dumps({"ApiVersion": "1.30", "Version": "17.06"}).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()

        def serve() -> None:
            while True:
                try:
                    with listening.accept()[0] as client:
                        client.recv(1 << 16)
                        client.sendall(head + body)
                except OSError:
                    return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield path
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(HypervisorUnreachable) as raised:
        connect(f"docker://{tmp_path}/none.sock")
    assert "dockerd runs" in raised.value.hint


def test_something_else_listens(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HypervisorUnreachable):
        connect(f"docker://{tmp_path}/file")


def test_an_engine_that_is_too_old(old_engine: Path) -> None:
    with pytest.raises(MissingRequirement, match=r"1\.30") as raised:
        connect(f"docker://{old_engine}")
    assert "20.10" in raised.value.hint


def test_a_socket_that_does_not_let_us_in(engine: Dockerd) -> None:
    """The kernel refuses it to a user without the right; root has every right."""
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:  # pragma: no cover - in the child
        try:
            os.setgroups([])
            os.setgid(65_534)
            os.setuid(65_534)
            connect(engine.url)
        except HypervisorDenied as error:
            os.write(writing, error.hint.encode())
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as said:
        assert "group 'docker'" in said.read()


def test_the_beginning_of_an_id_is_no_name(docker: DockerHypervisor, engine: Dockerd) -> None:
    made(docker)
    container = engine.inspect("web")["Id"]
    assert docker.inventory.instance(container).name == "web"
    with pytest.raises(InstanceNotFound):
        docker.inventory.instance(container[:12])


def test_the_engine_goes_and_comes_back(docker: DockerHypervisor, engine: Dockerd) -> None:
    identity = running(docker).id
    engine.stop()
    with pytest.raises(HypervisorUnreachable):
        docker.inventory.instance("web")
    with pytest.raises(HypervisorUnreachable):
        docker.lifecycle.start("web")
    engine.start()
    found = docker.inventory.instance(identity)
    assert (found.name, found.state) == ("web", InstanceState.STOPPED)
    docker.lifecycle.start("web")


def test_another_connection_finds_the_same(docker: DockerHypervisor, engine: Dockerd) -> None:
    first = running(docker, tags={"tier": "gold"}, folder="prod")
    with closing(connect(engine.url)) as other:
        assert other.inventory.instance("web") == first
        assert first.owned


def test_closed_is_closed(docker: DockerHypervisor) -> None:
    docker.close()
    docker.close()
    with pytest.raises(HypervisorUnreachable, match="closed"):
        list(docker.inventory.instances())
