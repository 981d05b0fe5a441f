"""The conformance kit on a real engine."""

from __future__ import annotations

from collections.abc import Callable

from hypersdk.conformance.target import Site
from hypersdk.conformance.targets.docker import DockerTarget, target
from hypersdk.conformance.testing import conformance_tests
from tests.containers.dockerd import Dockerd
from tests.containers.fixtures import require_dockerd


class OwnEngine(DockerTarget):
    """With an engine that goes with it."""

    def __init__(self) -> None:
        require_dockerd()
        self._engine = Dockerd()
        made = target(self._engine.url, Site())
        self.__dict__.update(made.__dict__ | {"_engine": self._engine})

    def close(self) -> None:
        super().close()
        self._engine.close()


_APART = "the engine of the tests has a network of its own: tests/drivers/docker/test_lifecycle.py"
test_conformance: Callable[..., None] = conformance_tests(
    OwnEngine,
    skip={
        "limits.ports_lead_inside": _APART,
        "limits.a_taken_port_is_refused": _APART,
    },
)
