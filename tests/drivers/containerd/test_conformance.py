"""The conformance kit on a private containerd."""

from __future__ import annotations

from hypersdk.conformance.target import Site
from hypersdk.conformance.targets.containerd import ContainerdTarget
from hypersdk.conformance.testing import conformance_tests
from tests.containers.containerd import Containerd, require_containerd


class _Private(ContainerdTarget):
    """Ends its containerd when it is closed."""

    daemon: Containerd

    def close(self) -> None:
        super().close()
        self.daemon.close()


def _private() -> _Private:
    require_containerd()
    daemon = Containerd()
    made = _Private(daemon.url, Site())
    made.daemon = daemon
    return made


test_conformance = conformance_tests(_private)
