"""A test's place in a private containerd, which must be as before when the test has ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from hypersdk.conformance.targets.containerd import ContainerdObserver, Ctr
from hypersdk.drivers.containerd.driver import ContainerdHypervisor, connect
from hypersdk.model.errors import NotFound
from hypersdk.model.instances import InstanceState
from hypersdk.model.specs import InstanceSpec
from hypersdk.model.units import MIB
from tests.containers.containerd import IMAGE, Containerd

T = TypeVar("T")
#: Seconds that what a test has removed may take to be gone, and that anything may take to happen.
PATIENCE = 20.0


@dataclass(frozen=True)
class Lab:
    daemon: Containerd
    hypervisor: ContainerdHypervisor
    #: Looks past the driver.
    observer: ContainerdObserver

    def spec(self, name: str = "web", **changes: Any) -> InstanceSpec:
        return replace(InstanceSpec(name=name, image=IMAGE, memory=64 * MIB), **changes)

    def created(self, name: str = "web", **changes: Any) -> str:
        return self.hypervisor.lifecycle.create(self.spec(name, **changes)).name

    def running(self, name: str = "web", **changes: Any) -> str:
        self.created(name, **changes)
        self.hypervisor.lifecycle.start(name)
        return name

    def state(self, name: str = "web") -> InstanceState:
        return self.hypervisor.inventory.instance(name).state

    def shell(self, command: str, name: str = "web") -> bytes:
        """What a command inside says; it must succeed."""
        done = self.hypervisor.execution.run(name, ("sh", "-c", command))
        assert done.exit_code == 0, done.stderr
        return done.stdout

    def restart(self) -> None:
        self.daemon.restart()


def eventually(question: Callable[[], T], wanted: Callable[[T], bool] = bool) -> T:
    """The first answer that is wanted."""
    deadline = time.monotonic() + PATIENCE
    while not wanted(answer := question()):
        assert time.monotonic() < deadline, f"it stayed {answer!r}"
        time.sleep(0.02)
    return answer


@pytest.fixture
def lab(containerd: Containerd) -> Iterator[Lab]:
    """A clean namespace with the image of busybox. Fails the test that leaves something behind."""
    containerd.start()
    folder = containerd.folder / "hypersdk" / containerd.namespace
    observer = ContainerdObserver(Ctr(str(containerd.socket), containerd.namespace), Path(folder))
    before = observer.resources()
    hypervisor = connect(containerd.url)
    yield Lab(containerd, hypervisor, observer)
    containerd.start()
    for instance in list(hypervisor.inventory.instances()):
        with suppress(NotFound):
            hypervisor.lifecycle.stop(instance.name, force=True)
            hypervisor.lifecycle.delete(instance.name, disks=True)
    for image in hypervisor.images.images():
        if image.name != IMAGE:
            hypervisor.images.delete(image.name)
    hypervisor.close()
    eventually(lambda: observer.resources() - before, lambda left: not left)
