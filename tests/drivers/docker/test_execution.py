from __future__ import annotations

import os
import threading
import time

import pytest

from hypersdk.datapath.cancel import CancelToken
from hypersdk.drivers.docker.driver import DockerHypervisor
from hypersdk.model.errors import (
    Interrupted,
    InvalidInput,
    InvalidState,
    NotFound,
    OperationTimeout,
)
from hypersdk.model.units import MIB
from tests.containers.dockerd import Dockerd
from tests.drivers.docker.lab import made, running, until
from tests.repository.examples import noise


def commands(engine: Dockerd) -> str:
    return "\n".join(engine.processes("web"))


def test_streams_exit_code_and_environment(docker: DockerHypervisor) -> None:
    running(docker)
    done = docker.execution.run(
        "web",
        ["sh", "-c", 'cat; echo "$A" >&2; exit 7'],
        stdin=b"in\0put",
        env={"A": "b c"},
    )
    assert (done.exit_code, done.stdout, done.stderr) == (7, b"in\0put", b"b c\n")


def test_a_lot_in_both_directions(docker: DockerHypervisor) -> None:
    running(docker, memory=128 * MIB)
    content = noise(5 * MIB)
    done = docker.execution.run("web", ["cat"], stdin=content)
    assert done.stdout == content


def test_a_command_that_does_not_read(docker: DockerHypervisor) -> None:
    running(docker)
    assert docker.execution.run("web", ["true"], stdin=bytes(4 * MIB)).exit_code == 0


def test_quick_ones_lose_nothing(docker: DockerHypervisor) -> None:
    running(docker)
    for _ in range(20):
        assert docker.execution.run("web", ["echo", "all of it"]).stdout == b"all of it\n"


def test_after_its_time_it_is_killed_with_its_children(
    docker: DockerHypervisor, engine: Dockerd
) -> None:
    running(docker)
    began = time.monotonic()
    with pytest.raises(OperationTimeout, match=r"0\.5 s"):
        docker.execution.run("web", ["sh", "-c", "sleep 987 & sleep 986"], timeout=0.5)
    assert time.monotonic() - began < 10
    until(lambda: "sleep 98" not in commands(engine))
    assert "sleep 1" in commands(engine) or "trap" in commands(engine)


def test_cancelled_it_is_killed(docker: DockerHypervisor, engine: Dockerd) -> None:
    running(docker)
    token = CancelToken()
    timer = threading.Timer(0.3, token.cancel)
    timer.start()
    with pytest.raises(Interrupted), token.scope():
        docker.execution.run("web", ["sleep", "987"])
    timer.join()
    until(lambda: "sleep 987" not in commands(engine))


def test_without_the_right_to_kill_it_is_killed_from_inside(
    docker: DockerHypervisor, engine: Dockerd
) -> None:
    """As a member of the group docker: the engine lets us in, the kernel lets us kill nothing."""
    running(docker)
    engine.socket.chmod(0o666)
    engine.folder.chmod(0o711)
    if (child := os.fork()) == 0:  # pragma: no cover - in the child
        code = 1
        try:
            os.setgroups([])
            os.setgid(65_534)
            os.setuid(65_534)
            docker.execution.run("web", ["sleep", "987"], timeout=0.3)
        except OperationTimeout:
            code = 0
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    engine.socket.chmod(0o660)
    engine.folder.chmod(0o700)
    assert code == 0
    until(lambda: "sleep 987" not in commands(engine))


@pytest.mark.parametrize("command", ["nope", "/no/such", "./x"])
def test_no_such_program(docker: DockerHypervisor, command: str) -> None:
    running(docker)
    with pytest.raises(NotFound, match="no such program"):
        docker.execution.run("web", [command])


def test_a_folder_is_no_program(docker: DockerHypervisor) -> None:
    running(docker)
    with pytest.raises(InvalidInput, match="permission denied"):
        docker.execution.run("web", ["/etc"])


def test_it_must_run(docker: DockerHypervisor) -> None:
    made(docker)
    with pytest.raises(InvalidState, match="stopped"):
        docker.execution.run("web", ["true"])
    docker.lifecycle.start("web")
    docker.lifecycle.pause("web")
    with pytest.raises(InvalidState, match="paused"):
        docker.execution.run("web", ["true"])
    docker.lifecycle.resume("web")
    with pytest.raises(InvalidInput):
        docker.execution.run("web", [])
    docker.lifecycle.stop("web", force=True)
