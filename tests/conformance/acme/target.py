"""What the kit must know of it."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from hypersdk.conformance.target import Expectations, Observation
from hypersdk.drivers.ports import Hypervisor
from hypersdk.model.instances import InstanceState
from hypersdk.model.specs import DiskSpec, InstanceSpec

from .driver import connect


class AcmeTarget:
    guest = None
    expectations = Expectations(start=5.0, stop=5.0, many=20, settle=0.2)

    def __init__(self) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="acme-")
        self._folder = Path(self._temporary.name)
        self.url = f"acme://{self._folder}"
        self.observer = AcmeObserver(self._folder)

    def connect(self) -> Hypervisor:
        return connect(self.url)

    def spec(self, name: str) -> InstanceSpec:
        return InstanceSpec(name=name, memory=64 << 20)

    def disk(self, name: str) -> DiskSpec | None:
        return None

    def disconnect(self, hypervisor: Hypervisor) -> bool:
        return False

    def close(self) -> None:
        self._temporary.cleanup()


class AcmeObserver:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def look(self, name: str) -> Observation | None:
        for path in self._folder.glob("*.json"):
            found = json.loads(path.read_text())
            if found["name"] == name:
                return Observation(
                    id=found["id"],
                    state=InstanceState(found["state"]),
                    vcpus=found["vcpus"],
                    memory=found["memory"],
                )
        return None

    def resources(self) -> frozenset[str]:
        return frozenset(path.name for path in self._folder.iterdir())
