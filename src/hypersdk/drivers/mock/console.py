"""Screen, keyboard and serial line of mock instances."""

from __future__ import annotations

from collections.abc import Sequence

from hypersdk.drivers.mock.errors import native
from hypersdk.drivers.mock.folder import ACTIVE, InstanceFolder
from hypersdk.drivers.mock.guestline import MockSerialStream, append
from hypersdk.drivers.mock.keys import linux_names
from hypersdk.drivers.mock.pictures import screen
from hypersdk.drivers.mock.root import Root
from hypersdk.model.capabilities import Limit
from hypersdk.model.errors import InvalidState, NotSupported
from hypersdk.model.machines import Display


class MockConsole:
    """The ``console`` part."""

    limits = (Limit("console.display", "no server shows the screens of mock instances"),)

    def __init__(self, root: Root) -> None:
        self._root = root

    def display(self, name: str) -> Display:
        """Raises NotSupported."""
        self._running(name)
        raise NotSupported(
            f"the screen of '{name}' cannot be watched: {self.limits[0].note}",
            hint="Take a screenshot.",
        )

    def serial(self, name: str) -> MockSerialStream:
        """See `guestline`."""
        return MockSerialStream(self._running(name))

    def screenshot(self, name: str) -> bytes:
        """Drawn from its identity, its state, and the keys that were pressed."""
        folder = self._running(name)
        return screen(folder.definition().id, folder.state(), len(pressed(folder)))

    def send_keys(self, name: str, keys: Sequence[str]) -> None:
        """The guest finds them in ``keys``. Raises InvalidState."""
        names = linux_names(keys)
        folder = self._running(name)
        with native(f"press keys of '{name}'"):
            append(folder.path / "keys", (" ".join(names) + "\n").encode())

    def _running(self, name: str) -> InstanceFolder:
        folder = self._root.find(name)
        state = folder.state()
        if state not in ACTIVE:
            raise InvalidState(f"'{name}' is {state.value}", hint="Start it first.")
        return folder


def pressed(folder: InstanceFolder) -> list[tuple[str, ...]]:
    """What the guest saw of its keyboard since it was started, in order."""
    with native(f"read the keys of {folder.path}"):
        try:
            lines = (folder.path / "keys").read_text().splitlines()
        except FileNotFoundError:
            return []
    return [tuple(line.split()) for line in lines]
