"""A hypervisor that exists only as a folder: ``mock:///srv/lab``.

Its instances have real sparse disk files, a real record of changed blocks and views that stay at
their moment while the guest writes on. What is simulated is the machine that would run them. ::

    mock = MockHypervisor(Path("/srv/lab"))
    mock.create_instance("web", {"vda": 10 << 30})
    mock.lifecycle.start("web")
    with mock.guest("web", "vda") as guest:
        guest.write(0, b"hello")
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit
from uuid import uuid4

from hypersdk.drivers.mock.disks import MockDisks
from hypersdk.drivers.mock.guest import GuestDisk
from hypersdk.drivers.mock.inventory import MockInventory
from hypersdk.drivers.mock.lifecycle import MockLifecycle
from hypersdk.drivers.mock.state import MockDefinition, MockDisk, Root
from hypersdk.model.errors import InvalidInput
from hypersdk.model.instances import Instance
from hypersdk.model.units import GIB


def connect(url: str) -> MockHypervisor:
    """The mock hypervisor in the folder that ``mock:///absolute/path`` names (``%20`` is a space).

    Nothing is created and nothing read yet.
    """
    parts = urlsplit(url)
    path = Path(unquote(parts.path))
    if parts.netloc or parts.query or parts.fragment or not path.is_absolute():
        raise InvalidInput(
            f"'{url}' does not name a folder",
            hint="Write mock:///absolute/path, with three slashes.",
        )
    return MockHypervisor(path)


class MockHypervisor:
    """One folder. Any number of objects, threads and processes may use it at once."""

    # What nothing here stands behind: processes, screens, networks.
    host: None = None
    execution: None = None
    logs: None = None
    images: None = None
    archives: None = None
    checkpoints: None = None
    provisioning: None = None
    leftovers: None = None
    events: None = None
    snapshots: None = None
    clones: None = None
    metrics: None = None
    console: None = None
    guest_agent: None = None
    hotplug: None = None
    live_migration: None = None
    storage: None = None
    networks: None = None

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()
        self._root = Root(self._path)
        self.inventory = MockInventory(self._root)
        self.lifecycle = MockLifecycle(self._root)
        self.disks = MockDisks(self._root)

    @property
    def url(self) -> str:
        return f"mock://{quote(str(self._path))}"

    def create_instance(
        self,
        name: str,
        disks: Mapping[str, int],
        *,
        vcpus: int = 1,
        memory: int = GIB,
        tags: Mapping[str, str] | None = None,
    ) -> Instance:
        """A stopped instance with empty disks (name → bytes). Raises AlreadyExists."""
        for disk, size in disks.items():
            if not disk or size < 0:
                raise InvalidInput(f"a disk '{disk}' of {size} bytes cannot be created")
        definition = MockDefinition(
            id=str(uuid4()),
            name=name,
            vcpus=vcpus,
            memory=memory,
            tags=dict(tags or {}),
            disks=tuple(MockDisk(disk, uuid4().hex, size) for disk, size in disks.items()),
        )
        return self._root.add(definition).observe()

    def guest(self, name: str, disk: str) -> GuestDisk:
        """A handle by which a guest would change its disk. Raises NotFound for either name."""
        return GuestDisk(self._root.find(name), disk)

    def close(self) -> None:
        """Nothing is held."""
