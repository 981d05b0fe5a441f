"""Make, run, stop and delete instances of the mock hypervisor."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hypersdk.drivers.mock.contents import refuse_torn
from hypersdk.drivers.mock.errors import native
from hypersdk.drivers.mock.fleece import live
from hypersdk.drivers.mock.folder import ACTIVE, InstanceFolder
from hypersdk.drivers.mock.making import planned
from hypersdk.drivers.mock.networks import require_networks
from hypersdk.drivers.mock.rewriting import refuse_rewritten
from hypersdk.drivers.mock.root import Root
from hypersdk.model.capabilities import Limit
from hypersdk.model.errors import InvalidState, OperationTimeout
from hypersdk.model.instances import Instance, InstanceState
from hypersdk.model.operations import OUTCOMES, Gone, Operation
from hypersdk.model.specs import InstanceSpec

#: Argument of the kernel of a guest that does not power down when it is asked to.
DEAF = "ignore_power_button"

#: What a person does about an operation that is refused.
_HINTS = {
    InstanceState.STOPPED: "Start it first.",
    InstanceState.RUNNING: "Stop it first.",
    InstanceState.PAUSED: "Resume it first, or stop it with force.",
    InstanceState.CRASHED: "Reset or stop it.",
    InstanceState.UNKNOWN: "Its state file makes no sense.",
}


class MockLifecycle:
    """An instance runs when its state file says so; no process stands behind it."""

    limits = (
        Limit("lifecycle.mounts", "no process stands behind a mock instance"),
        Limit("lifecycle.ports", "no process stands behind a mock instance"),
    )

    def __init__(self, root: Root) -> None:
        self._root = root

    def create(self, spec: InstanceSpec) -> Instance:
        """Disks without a name become vda, vdb, …; they live with their instance.

        ``path`` may name a disk in ``ROOT/kept``, which is moved here. What a mock instance has no
        use for (firmware, kernel, cloud-init, command) is kept in its definition.
        """
        definition, contents = planned(spec, self._root.path / "kept")
        require_networks(self._root, definition.nics)
        folder = self._root.add(definition, contents)
        for path in contents.values():
            path.unlink(missing_ok=True)
        return folder.observe()

    def start(self, name: str, *, paused: bool = False) -> None:
        """A paused instance runs on; ``paused`` matters to one that did not run.

        Raises InvalidState for a template, NotFound or InvalidState for a network that is gone or
        not started, LimitExceeded without room for its memory.
        """
        with self._locked(name, "start") as folder:
            before = folder.state()
            after = self._after(Operation.START, folder, before)
            if paused and before is not InstanceState.RUNNING:
                after = InstanceState.PAUSED
            if before in ACTIVE:
                self._become(folder, after, "resumed")
            else:
                self._power_on(folder, after)

    def stop(self, name: str, *, force: bool = False, timeout: float = 60.0) -> None:
        """Guests do not obey when ``obeys_stop`` is off, or `DEAF` is among the arguments of
        their kernel: these use up the ``timeout``."""
        operation = Operation.FORCE_STOP if force else Operation.STOP
        with self._locked(name, "stop") as folder:
            before = folder.state()
            after = self._after(operation, folder, before)
            if force or before is not InstanceState.RUNNING or self._obeys(folder):
                self._become(folder, after, "destroyed" if force else "shutdown")
                return
        self._root.clock.sleep(timeout)
        if folder.state() is not InstanceState.RUNNING:  # somebody else was less patient
            return
        raise OperationTimeout(
            f"the guest of '{name}' still runs after {timeout:g} s", hint="Stop it with force."
        )

    def pause(self, name: str) -> None:
        self._change(Operation.PAUSE, name)

    def resume(self, name: str) -> None:
        self._change(Operation.RESUME, name)

    def reset(self, name: str) -> None:
        """A crashed instance runs again; a paused one stays paused."""
        self._change(Operation.RESET, name)

    def delete(self, name: str, *, disks: bool = False) -> None:
        """Remove a stopped instance, its snapshots and checkpoints; its disks are moved to
        ``ROOT/kept`` unless they are to go as well.

        Raises InvalidState while it runs or a backup reads it.
        """
        with self._locked(name, "delete") as folder:
            self._after(Operation.DELETE, folder, folder.state())
            if live(folder.path / "views"):
                raise InvalidState(f"a backup is reading '{name}'", hint="Wait until it ends.")
            refuse_rewritten(folder)
            self._root.remove(folder, keep_disks=not disks)

    # How

    def _change(self, operation: Operation, name: str) -> None:
        with self._locked(name, operation.value) as folder:
            after = self._after(operation, folder, folder.state())
            self._become(folder, after, operation.value)

    def _after(
        self, operation: Operation, folder: InstanceFolder, before: InstanceState
    ) -> InstanceState:
        """State that the operation leads to, by the model's table. Raises InvalidState."""
        after = OUTCOMES[operation].get(before)
        if after is None:
            raise InvalidState(
                f"'{folder.definition().name}' is {before.value}: {operation.value} is impossible",
                hint=_HINTS[before],
            )
        return InstanceState.STOPPED if isinstance(after, Gone) else after

    def _obeys(self, folder: InstanceFolder) -> bool:
        arguments = str(folder.definition().settings.get("kernel_arguments", ""))
        return self._root.config.obeys_stop and DEAF not in arguments.split()

    def _become(self, folder: InstanceFolder, after: InstanceState, detail: str) -> None:
        if folder.state() is not after:
            folder.set_state(after, detail)

    def _power_on(self, folder: InstanceFolder, after: InstanceState) -> None:
        definition = folder.definition()
        refuse_rewritten(folder)
        refuse_torn(folder)
        if definition.template:
            raise InvalidState(
                f"'{definition.name}' is a template and cannot run",
                hint="Clone it, or make it an instance again.",
            )
        require_networks(self._root, definition.nics, active=True)
        if self._root.config.limits.total_memory is None:
            folder.set_state(after, "started")
            return
        with self._root.changing():  # so that two cannot take the same room
            self._root.check_memory_room(definition, definition.memory)
            folder.set_state(after, "started")

    @contextmanager
    def _locked(self, name: str, verb: str) -> Iterator[InstanceFolder]:
        folder = self._root.find(name)
        with folder.locked(), native(f"{verb} '{name}'"):
            yield folder
