"""Run, stop and delete instances of the mock hypervisor."""

from __future__ import annotations

from hypersdk.drivers.mock.errors import native
from hypersdk.drivers.mock.fleece import live
from hypersdk.drivers.mock.state import Root
from hypersdk.model.errors import InvalidState
from hypersdk.model.instances import InstanceState


class MockLifecycle:
    """An instance runs when its state file says so; no process stands behind it."""

    def __init__(self, root: Root) -> None:
        self._root = root

    def start(self, name: str) -> None:
        self._set(name, InstanceState.RUNNING)

    def stop(self, name: str) -> None:
        self._set(name, InstanceState.STOPPED)

    def delete(self, name: str) -> None:
        """Remove a stopped instance, its disks and checkpoints.

        Raises InvalidState while it runs or a backup reads it.
        """
        folder = self._root.find(name)
        with folder.locked(), native(f"delete '{name}'"):
            if folder.state() is not InstanceState.STOPPED:
                raise InvalidState(f"'{name}' is {folder.state().value}", hint="Stop it first.")
            if live(folder.path / "views"):
                raise InvalidState(f"a backup is reading '{name}'", hint="Wait until it ends.")
            self._root.remove(folder)

    def _set(self, name: str, state: InstanceState) -> None:
        folder = self._root.find(name)
        with folder.locked(), native(f"change the state of '{name}'"):
            if folder.state() is not state:
                folder.set_state(state)
