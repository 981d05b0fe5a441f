"""A folder with real QEMU processes for each test, and nothing of it left behind."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hypersdk.conformance.targets.qmp import Backend, Monitor, QmpGuest
from hypersdk.drivers.qmp.driver import QmpHypervisor
from hypersdk.model.instances import Instance
from hypersdk.model.specs import DiskSpec, InstanceSpec
from hypersdk.model.units import MIB
from tests.components import require
from tests.kvm.system import System


class Place:
    """One hypervisor's folder, the driver, and looks past it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "q"
        self.driver = QmpHypervisor(self.root)
        self.backend = Backend(self.root)
        self.guest = QmpGuest(self.backend)

    def spec(self, name: str = "web", **changes: Any) -> InstanceSpec:
        given: dict[str, Any] = {
            "memory": 64 * MIB,
            "disks": (DiskSpec(name="vda", size=16 * MIB),),
            "acceleration": "tcg",
            **changes,
        }
        return InstanceSpec(name=name, **given)

    def create(self, name: str = "web", **changes: Any) -> Instance:
        return self.driver.lifecycle.create(self.spec(name, **changes))

    def running(self, name: str = "web", **changes: Any) -> Instance:
        self.create(name, **changes)
        self.driver.lifecycle.start(name)
        return self.driver.inventory.instance(name)

    def run_folder(self, name: str = "web") -> Path:
        return self.backend.definition(name)[0] / "run"

    def pids(self) -> list[int]:
        """Of QEMU processes with files here."""
        return [pid for pid, _ in self.backend.processes()]

    def monitor(self, name: str = "web") -> Monitor:
        return self.backend.monitor(name)

    def close(self) -> None:
        for instance in list(self.driver.inventory.instances()):
            self.driver.lifecycle.stop(instance.name, force=True)
            self.driver.lifecycle.delete(instance.name, disks=True)
        self.driver.close()
        left = self.pids()
        shutil.rmtree(self.folder)
        assert not left, f"QEMU processes are left: {left}"


@pytest.fixture
def place() -> Iterator[Place]:
    require("qemu-system-x86_64", "qemu-img", "qemu-io")
    # Sockets lie in it: pytest's own folders have too long names.
    made = Place(Path(tempfile.mkdtemp(prefix="qmp-")))
    yield made
    made.close()


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> System:
    return System.installed(tmp_path_factory.mktemp("system"))
