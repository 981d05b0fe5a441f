"""One instance of the mock hypervisor: its folder, its definition, its state, its lock."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hypersdk.drivers.mock import notices
from hypersdk.drivers.mock.cache import Cache
from hypersdk.drivers.mock.clock import Clock
from hypersdk.drivers.mock.definition import MockDefinition, MockDisk
from hypersdk.drivers.mock.errors import native
from hypersdk.drivers.mock.files import replace_file
from hypersdk.drivers.mock.freezing import thaw
from hypersdk.drivers.mock.locks import locked
from hypersdk.model.errors import HypervisorError, InstanceNotFound
from hypersdk.model.instances import Disk, EventKind, Instance, InstanceState

#: Share of its processors that a simulated guest keeps busy.
LOAD = 0.05

#: States in which there is a machine that runs or could run on.
ACTIVE = frozenset({InstanceState.RUNNING, InstanceState.PAUSED})


@dataclass(frozen=True, slots=True)
class RunState:
    """Content of ``state.json``."""

    state: InstanceState
    #: Since when it is running, by the hypervisor's clock; 0 while it does not run.
    since: float = 0.0
    #: Nanoseconds of processor time up to ``since``, of this run.
    cpu: int = 0

    def encode(self) -> bytes:
        content = {"state": self.state.value, "since": self.since, "cpu": self.cpu}
        return json.dumps(content).encode()

    @classmethod
    def decode(cls, content: bytes) -> RunState:
        """UNKNOWN when the file makes no sense."""
        try:
            raw = json.loads(content)
            return cls(InstanceState(raw["state"]), raw.get("since", 0.0), raw.get("cpu", 0))
        except (KeyError, TypeError, ValueError, AttributeError):
            return cls(InstanceState.UNKNOWN)

    def processor_time(self, definition: MockDefinition, now: float) -> int:
        """Nanoseconds used until ``now``."""
        if self.state is not InstanceState.RUNNING or not self.since:
            return self.cpu
        processors = min(definition.vcpus, definition.cpu_limit or definition.vcpus)
        return self.cpu + max(0, int((now - self.since) * processors * LOAD * 1e9))


class InstanceFolder:
    """One instance on disk. Any number of these may stand for the same."""

    def __init__(self, path: Path, clock: Clock, cache: Cache) -> None:
        self.path = path
        self.clock = clock
        self._cache = cache

    # What it is

    def definition(self) -> MockDefinition:
        """Raises InstanceNotFound when it is gone, HypervisorError when the file is damaged."""
        path = f"{self.path}/definition.json"
        with self._reading(path):
            return self._cache.read(path, self._decoded)

    def definition_bytes(self) -> bytes:
        """Checked content of the definition file. Raises as `definition`."""
        path = f"{self.path}/definition.json"
        with self._reading(path):
            content = Path(path).read_bytes()
        self._decoded(content)
        return content

    def set_definition(self, definition: MockDefinition) -> None:
        replace_file(self.path / "definition.json", definition.encode())
        self.announce(EventKind.DEFINED, definition, self.state(), "defined")

    def disk_path(self, disk: MockDisk) -> Path:
        return self.path / "disks" / f"{disk.id}.raw"

    def observe(self) -> Instance:
        """The instance as it is now."""
        found, run = self.definition(), self.run()
        disks = tuple(
            Disk(disk.name, disk.size, path=f"{self.path}/disks/{disk.id}.raw")
            for disk in found.disks
        )
        return Instance(
            id=found.id,
            name=found.name,
            state=run.state,
            vcpus=found.vcpus,
            memory=found.memory,
            disks=disks,
            tags=found.tags,
            owned=found.owned,
            folder=found.folder,
            image=found.image,
        )

    # Whether it runs

    def run(self) -> RunState:
        path = f"{self.path}/state.json"
        with self._reading(path):
            return self._cache.read(path, RunState.decode)

    def state(self) -> InstanceState:
        """Observed state; UNKNOWN when the state file makes no sense."""
        return self.run().state

    def set_state(self, state: InstanceState, detail: str = "") -> None:
        """Under the lock. What runs anew begins with counters at zero and an empty serial line."""
        before, now = self.run(), self.clock.now()
        fresh = before.state not in ACTIVE and state in ACTIVE
        if fresh:
            self._forget_last_run()
        if state not in ACTIVE:
            thaw(self.path)
        cpu = 0 if fresh else before.processor_time(self.definition(), now)
        since = now if state is InstanceState.RUNNING else 0.0
        self.set_run(RunState(state, since, cpu), detail)

    def set_run(self, run: RunState, detail: str = "") -> None:
        """Under the lock."""
        replace_file(self.path / "state.json", run.encode(), durable=False)
        words = detail or run.state.value
        self.announce(EventKind.STATE, self.definition(), run.state, words)

    def announce(
        self, kind: EventKind, definition: MockDefinition, state: InstanceState, detail: str
    ) -> None:
        """Tell whoever follows the hypervisor's events."""
        notice = notices.Notice(
            kind, definition.id, definition.name, state, self.clock.now(), detail
        )
        notices.announce(self.path.parent, notice)

    # Its lock

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Exclude every other thread and process.

        Raises InstanceNotFound once it is deleted, HypervisorBusy when others hold it too long.
        """
        lock = locked(self.path / "lock")
        with native(f"lock {self.path}"):
            try:
                lock.__enter__()
            except FileNotFoundError as error:
                raise _gone(self.path) from error
        try:
            yield
        finally:
            lock.__exit__(None, None, None)

    def _decoded(self, content: bytes) -> MockDefinition:
        try:
            return MockDefinition.decode(content)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise HypervisorError(f"{self.path / 'definition.json'} is damaged: {error}") from error

    def _forget_last_run(self) -> None:
        for file in (*self.path.glob("counters/*"), *self.path.glob("serial/*guest")):
            os.truncate(file, 0)
        (self.path / "keys").unlink(missing_ok=True)

    @contextmanager
    def _reading(self, path: str) -> Iterator[None]:
        with native(f"read {path}"):
            try:
                yield
            except FileNotFoundError as error:
                raise _gone(self.path) from error


def _gone(path: Path) -> InstanceNotFound:
    return InstanceNotFound(f"the instance in {path} was deleted")
