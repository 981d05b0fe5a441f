"""Make, run, stop and delete instances."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from hypersdk.datapath.cancel import WAIT_SLICE, token_in_force
from hypersdk.drivers.qmp import process, translate
from hypersdk.drivers.qmp.definition import MachineRecord
from hypersdk.drivers.qmp.images import Images, names_of
from hypersdk.drivers.qmp.locks import is_locked
from hypersdk.drivers.qmp.power import Power
from hypersdk.drivers.qmp.specs import LIMITS, check, machine_of, moved
from hypersdk.drivers.qmp.state import InstanceFolder, Root, folder_name
from hypersdk.drivers.qmp.usage import chain, disk_files, removable
from hypersdk.model.capabilities import Limit
from hypersdk.model.errors import (
    HypervisorUnreachable,
    InvalidState,
    OperationTimeout,
)
from hypersdk.model.instances import Instance, InstanceState
from hypersdk.model.operations import OUTCOMES, Operation
from hypersdk.model.specs import InstanceSpec

#: Seconds until the power button is pressed again: a guest that is still booting misses it.
_PRESS_SECONDS = 10.0
_RUNNING, _PAUSED = InstanceState.RUNNING, InstanceState.PAUSED


class QmpLifecycle:
    """May be used by any number of threads."""

    def __init__(self, root: Root, power: Power) -> None:
        self._root = root
        self._power = power
        self.limits: tuple[Limit, ...] = LIMITS

    def create(self, spec: InstanceSpec) -> Instance:
        """Disks without a path lie in the instance's folder. Its NICs are in user-mode networking:
        they reach what the host reaches, and nobody reaches them.

        Raises AlreadyExists, InvalidInput, NotSupported, LimitExceeded when there is no room.
        """
        check(spec)
        identity = str(uuid.uuid4())
        names = names_of(spec.disks)
        with (
            self._root.draft(spec.name, identity) as draft,
            Images(draft.disks, draft.path / "made") as images,
        ):
            disks = [images.place(disk, name) for disk, name in zip(spec.disks, names, strict=True)]
            machine = machine_of(spec, identity, tuple(disks))
            final = self._root.path / folder_name(spec.name)
            machine = moved(machine, draft.disks, final / "disks")
            self._root.publish(draft, machine)
        return translate.instance(machine, InstanceState.STOPPED)

    def start(self, name: str, *, paused: bool = False) -> None:
        """A paused instance runs on, unless it is to be paused."""
        with self._changing(name, Operation.START) as (folder, machine, state):
            if state is _RUNNING or (paused and state is _PAUSED):
                return
            if state is _PAUSED:
                self._power.resume(folder, machine.name)
                return
            self._power.switch_off(folder, machine.name)  # what is left of one that crashed
            self._power.launch(folder, machine, paused=paused)

    def stop(self, name: str, *, force: bool = False, timeout: float = 60.0) -> None:
        """Presses the power button, every ten seconds. A crashed guest is switched off: it cannot
        be asked.

        Raises InvalidState for a paused instance unless forced, OperationTimeout, Interrupted.
        """
        operation = Operation.FORCE_STOP if force else Operation.STOP
        with self._changing(name, operation) as (folder, machine, state):
            if force or state is not _RUNNING:
                self._power.switch_off(folder, machine.name)
                return
        # Without the lock: whoever loses patience must be able to force it.
        self._power_down(folder, machine, timeout)

    def pause(self, name: str) -> None:
        with self._changing(name, Operation.PAUSE) as (folder, machine, state):
            if state is _RUNNING:
                with self._power.session(folder, machine.name) as session:
                    session.execute("stop")

    def resume(self, name: str) -> None:
        with self._changing(name, Operation.RESUME) as (folder, machine, state):
            if state is _PAUSED:
                self._power.resume(folder, machine.name)

    def reset(self, name: str) -> None:
        """A crashed instance runs again; a paused one stays paused."""
        with self._changing(name, Operation.RESET) as (folder, machine, state):
            if state is InstanceState.CRASHED and not process.is_alive(folder.run):
                self._power.launch(folder, machine)
                return
            with self._power.session(folder, machine.name) as session:
                session.execute("system_reset")
                if state is InstanceState.CRASHED:
                    session.execute("cont")

    def delete(self, name: str, *, disks: bool = False) -> None:
        """With its external snapshots; internal ones stay in images that stay. Disks that lie in
        its folder and are to stay are moved to ``kept/<id>``. Images that another instance uses or
        is based on stay.

        Raises InvalidState while it runs or is backed up.
        """
        with self._changing(name, Operation.DELETE) as (folder, machine, _):
            self._refuse_reader(folder, machine.name)
            gone = removable(self._root, folder, machine) if disks else []
            self._root.remove(folder, [] if disks else _kept(folder, machine))
        for path in gone:
            path.unlink(missing_ok=True)

    def _refuse_reader(self, folder: InstanceFolder, name: str) -> None:
        if is_locked(folder.path / "view"):
            raise InvalidState(f"a backup is reading '{name}'", hint="Wait until it ends.")

    @contextmanager
    def _changing(
        self, name: str, operation: Operation
    ) -> Iterator[tuple[InstanceFolder, MachineRecord, InstanceState]]:
        """The instance locked, in a state in which the operation is possible."""
        folder = self._root.find(name)
        with folder.locked() as machine:
            state = self._power.state(folder, machine.name)
            if state is InstanceState.UNKNOWN and operation is not Operation.FORCE_STOP:
                raise HypervisorUnreachable(
                    f"QEMU of '{machine.name}' does not answer",
                    hint="Try again, or stop it with force.",
                )
            if state is not InstanceState.UNKNOWN and state not in OUTCOMES[operation]:
                raise InvalidState(f"'{machine.name}' is {state.value}", hint=_HINTS.get(state, ""))
            yield folder, machine, state

    def _power_down(self, folder: InstanceFolder, machine: MachineRecord, timeout: float) -> None:
        begun = time.monotonic()
        press = begun
        while process.is_alive(folder.run):
            token_in_force().check()
            now = time.monotonic()
            if now - begun >= timeout:
                raise OperationTimeout(
                    f"'{machine.name}' still runs {timeout:g} s after it was asked to power down",
                    hint="Wait longer, or stop it with force.",
                )
            if now >= press:
                self._press(folder, machine.name)
                press = now + _PRESS_SECONDS
            time.sleep(min(WAIT_SLICE / 4, max(0.0, begun + timeout - now)))
        with folder.locked():
            if not process.is_alive(folder.run):
                folder.clear()

    def _press(self, folder: InstanceFolder, name: str) -> None:
        """The power button; a guest that ended just then needs no more pressing."""
        try:
            with self._power.session(folder, name) as session:
                session.execute("system_powerdown")
        except HypervisorUnreachable:
            if process.is_alive(folder.run) and not process.wait_ended(folder.run, 1.0):
                raise


def _kept(folder: InstanceFolder, machine: MachineRecord) -> list[Path]:
    """Files in the folder of an instance that are disks, attached or not, and not only parts of its
    snapshots."""
    needed = {path for disk in machine.disks for path in chain(disk)}
    only_snapshots = set(disk_files(replace(machine, disks=()))) - needed
    return [path for path in folder.disks.iterdir() if path not in only_snapshots]


_HINTS = {
    InstanceState.STOPPED: "Start it first.",
    InstanceState.RUNNING: "Stop it first.",
    InstanceState.PAUSED: "Resume it first, or stop it with force.",
    InstanceState.CRASHED: "Reset or stop it first.",
}
