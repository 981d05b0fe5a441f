from __future__ import annotations

from pathlib import Path

import pytest

from hypersdk.drivers.mock.driver import MockHypervisor
from tests.drivers.mock.lab import MIB


@pytest.fixture
def mock(tmp_path: Path) -> MockHypervisor:
    """A hypervisor with one running instance ``web`` that has a disk ``vda`` of 4 MiB."""
    hypervisor = MockHypervisor(tmp_path / "lab")
    hypervisor.create_instance("web", {"vda": 4 * MIB})
    hypervisor.lifecycle.start("web")
    return hypervisor
