"""Fixtures of the container lab. A folder of tests that wants them names them in ``conftest.py``::

from tests.containers.fixtures import docker, dockerd, engine  # noqa: F401
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hypersdk.drivers.docker.driver import DockerHypervisor, connect
from tests.components import missing, require, require_root
from tests.containers.dockerd import Dockerd

#: Seconds that what a test has stopped may take to be gone.
_GONE_SECONDS = 10


def require_dockerd() -> None:
    """Skip the test when something is missing that an engine takes."""
    require_root()
    require("dockerd", "docker", "containerd", "runc", "unshare", "setpriv", "ip")
    if not Path("/bin/busybox").exists():
        missing("needs busybox-static: run scripts/setup")


@pytest.fixture(scope="session")
def dockerd() -> Iterator[Dockerd]:
    """A private engine, one for each worker."""
    require_dockerd()
    with Dockerd() as daemon:
        yield daemon


@pytest.fixture
def engine(dockerd: Dockerd) -> Iterator[Dockerd]:
    """The engine with nothing in it but the lab's image, and afterwards again."""
    yield dockerd
    dockerd.start()
    deadline = time.monotonic() + _GONE_SECONDS
    while left := dockerd.left():
        assert time.monotonic() < deadline, f"cannot be removed: {sorted(left)}"
        dockerd.remove_all()


@pytest.fixture
def docker(engine: Dockerd) -> Iterator[DockerHypervisor]:
    """Our driver, connected to the clean engine."""
    hypervisor = connect(engine.url)
    yield hypervisor
    hypervisor.close()
