from __future__ import annotations

import threading

import pytest

from hypersdk.datapath.cancel import CancelToken
from hypersdk.drivers.docker.driver import DockerHypervisor
from hypersdk.model.errors import InstanceNotFound, Interrupted
from tests.containers.dockerd import Dockerd
from tests.drivers.docker.lab import running, until

TALKS = ("sh", "-c", "echo one; echo two >&2; echo three; exec tail -f /tmp/words 2>/dev/null")
#: Waits for its cue, so that nothing is said before somebody listens.
SAYS = ("sh", "-c", "until [ -e /go ]; do sleep 0.05; done; echo first; echo second; exit 0")


def test_read(docker: DockerHypervisor) -> None:
    running(docker, command=TALKS)
    until(lambda: docker.logs.read("web").count(b"\n") == 3)
    assert sorted(docker.logs.read("web").splitlines()) == [b"one", b"three", b"two"]
    assert len(docker.logs.read("web", tail=2).splitlines()) == 2
    assert docker.logs.read("web", tail=0) == b""
    docker.lifecycle.stop("web", force=True)
    assert b"one\n" in docker.logs.read("web")


def test_follow_to_the_end(docker: DockerHypervisor, engine: Dockerd) -> None:
    running(docker, command=SAYS)
    lines = docker.logs.follow("web")
    engine.run("exec", "web", "touch", "/go")
    assert b"".join(lines) == b"first\nsecond\n"


def test_closing_ends_it(docker: DockerHypervisor) -> None:
    running(docker)
    before = threading.active_count()
    lines = docker.logs.follow("web")
    lines.close()
    lines.close()
    assert threading.active_count() == before


def test_silence_obeys_the_token(docker: DockerHypervisor) -> None:
    running(docker)
    token = CancelToken()
    timer = threading.Timer(0.3, token.cancel)
    timer.start()
    lines = docker.logs.follow("web")
    with pytest.raises(Interrupted), token.scope():
        next(lines)
    timer.join()
    lines.close()


def test_missing(docker: DockerHypervisor) -> None:
    with pytest.raises(InstanceNotFound):
        docker.logs.read("web")
    with pytest.raises(InstanceNotFound):
        docker.logs.follow("web")
