"""Make, run, stop and delete instances of the mock hypervisor."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from hypersdk.drivers.mock.errors import native
from hypersdk.drivers.mock.fleece import live
from hypersdk.drivers.mock.state import InstanceFolder, MockDefinition, MockDisk, Root
from hypersdk.model.errors import InvalidInput, InvalidState
from hypersdk.model.instances import TRANSITIONS, Instance, InstanceState
from hypersdk.model.specs import InstanceSpec


class MockLifecycle:
    """An instance runs when its state file says so; no process stands behind it.

    Its guests obey at once, so no ``timeout`` is ever used up.
    """

    def __init__(self, root: Root) -> None:
        self._root = root

    def create(self, spec: InstanceSpec) -> Instance:
        """A stopped instance with empty disks; those without a name become vda, vdb, …

        Disks live with their instance: ``path``, ``pool`` and ``base`` raise InvalidInput. What a
        mock has no use for (NICs, firmware, cloud-init, kernel) is ignored.
        """
        names = iter(f"vd{letter}" for letter in "abcdefghijklmnopqrstuvwxyz")
        disks: list[MockDisk] = []
        for disk in spec.disks:
            if disk.path or disk.pool or disk.base:
                raise InvalidInput(
                    f"a disk of '{spec.name}' asks for a path, pool or base image",
                    hint="The mock hypervisor keeps disks with their instance: give a size alone.",
                )
            taken = {*(made.name for made in disks), *(other.name for other in spec.disks)}
            name = disk.name or next(free for free in names if free not in taken)
            if disk.size < 0 or name in {made.name for made in disks}:
                raise InvalidInput(f"a disk '{name}' of {disk.size} bytes cannot be created")
            disks.append(MockDisk(name, uuid4().hex, disk.size))
        definition = MockDefinition(
            id=str(uuid4()),
            name=spec.name,
            vcpus=spec.vcpus,
            memory=spec.memory,
            tags=dict(spec.tags),
            disks=tuple(disks),
        )
        return self._root.add(definition).observe()

    def start(self, name: str, *, paused: bool = False) -> None:
        """A paused instance runs on; ``paused`` matters to one that did not run."""
        with self._locked(name, "start") as folder:
            state = folder.state()
            if state is InstanceState.RUNNING or (paused and state is InstanceState.PAUSED):
                return
            _change(folder, InstanceState.PAUSED if paused else InstanceState.RUNNING)

    def stop(self, name: str, *, force: bool = False, timeout: float = 60.0) -> None:  # noqa: ARG002 - of the port
        """Raises InvalidState for a paused instance unless forced: it cannot be asked."""
        with self._locked(name, "stop") as folder:
            if folder.state() is InstanceState.PAUSED and not force:
                raise InvalidState(
                    f"'{name}' is paused and cannot power down",
                    hint="Resume it first, or stop it with force.",
                )
            _change(folder, InstanceState.STOPPED)

    def pause(self, name: str) -> None:
        with self._locked(name, "pause") as folder:
            _require(folder, name, InstanceState.RUNNING, InstanceState.PAUSED)
            _change(folder, InstanceState.PAUSED)

    def resume(self, name: str) -> None:
        with self._locked(name, "resume") as folder:
            _require(folder, name, InstanceState.RUNNING, InstanceState.PAUSED)
            _change(folder, InstanceState.RUNNING)

    def reset(self, name: str) -> None:
        """A crashed instance runs again; a paused one stays paused."""
        with self._locked(name, "reset") as folder:
            if folder.state() is InstanceState.STOPPED:
                raise InvalidState(f"'{name}' is stopped", hint="Start it.")
            if folder.state() is InstanceState.CRASHED:
                _change(folder, InstanceState.RUNNING)

    def delete(self, name: str, *, disks: bool = False) -> None:
        """Remove a stopped instance and its checkpoints; its disks are moved to ``ROOT/kept``
        unless they are to go as well.

        Raises InvalidState while it runs or a backup reads it.
        """
        with self._locked(name, "delete") as folder:
            if folder.state() is not InstanceState.STOPPED:
                raise InvalidState(f"'{name}' is {folder.state().value}", hint="Stop it first.")
            if live(folder.path / "views"):
                raise InvalidState(f"a backup is reading '{name}'", hint="Wait until it ends.")
            self._root.remove(folder, keep_disks=not disks)

    @contextmanager
    def _locked(self, name: str, verb: str) -> Iterator[InstanceFolder]:
        folder = self._root.find(name)
        with folder.locked(), native(f"{verb} '{name}'"):
            yield folder


def _require(folder: InstanceFolder, name: str, *allowed: InstanceState) -> None:
    state = folder.state()
    if state not in allowed:
        raise InvalidState(
            f"'{name}' is {state.value}",
            hint="Start it first." if state is InstanceState.STOPPED else "Reset or stop it.",
        )


def _change(folder: InstanceFolder, state: InstanceState) -> None:
    """Being there already is success; the table of the model rules the rest."""
    before = folder.state()
    if before is state:
        return
    if state not in TRANSITIONS[before]:
        raise InvalidState(f"{folder.definition().name!r} is {before.value}, not {state.value}")
    folder.set_state(state)
