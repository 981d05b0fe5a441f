"""A hypervisor that exists only as a folder: ``mock:///srv/lab``.

Its instances have real sparse disk files, a real record of changed blocks and views that stay at
their moment while the guest writes on. What is simulated is the machine that would run them. ::

    mock = MockHypervisor(Path("/srv/lab"))
    mock.create_instance("web", {"vda": 10 << 30})
    mock.lifecycle.start("web")
    with mock.guest("web", "vda") as guest:
        guest.write(0, b"hello")

How it behaves is `config`'s; docs/mock.md tells it to people.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from hypersdk.drivers.calls import Interceptor, intercepted
from hypersdk.drivers.mock.address import Address
from hypersdk.drivers.mock.callnotes import CallNote, CallNotes, noted
from hypersdk.drivers.mock.checkpoints import MockCheckpoints
from hypersdk.drivers.mock.clock import Clock, SystemClock
from hypersdk.drivers.mock.clones import MockClones
from hypersdk.drivers.mock.config import Config
from hypersdk.drivers.mock.configfile import configured
from hypersdk.drivers.mock.console import MockConsole, pressed
from hypersdk.drivers.mock.definition import MockDefinition, MockDisk
from hypersdk.drivers.mock.details import MockDetails
from hypersdk.drivers.mock.disks import MockDisks
from hypersdk.drivers.mock.events import MockEvents
from hypersdk.drivers.mock.failing import Failing
from hypersdk.drivers.mock.guest import GuestDisk
from hypersdk.drivers.mock.guestagent import MockGuestAgent
from hypersdk.drivers.mock.guestline import GuestLine
from hypersdk.drivers.mock.host import MockHost
from hypersdk.drivers.mock.hotplug import MockHotplug
from hypersdk.drivers.mock.inventory import MockInventory
from hypersdk.drivers.mock.latency import Latency
from hypersdk.drivers.mock.leftovers import MockLeftovers
from hypersdk.drivers.mock.lifecycle import MockLifecycle
from hypersdk.drivers.mock.metrics import MockMetrics
from hypersdk.drivers.mock.migration import MockLiveMigration
from hypersdk.drivers.mock.networks import MockNetworks
from hypersdk.drivers.mock.provisioning import MockProvisioning
from hypersdk.drivers.mock.root import Root
from hypersdk.drivers.mock.snapshots import MockSnapshots
from hypersdk.drivers.ports import PARTS
from hypersdk.model.errors import InvalidInput, InvalidState
from hypersdk.model.instances import Instance, InstanceState
from hypersdk.model.units import GIB


def connect(url: str) -> MockHypervisor:
    """The mock hypervisor in the folder that ``mock:///absolute/path`` names.

    Behind a ``?`` may follow what `configfile` knows: ``?profile=unreliable&seed=7``. Nothing is
    created yet. Raises InvalidInput.
    """
    address = Address.of(url)
    return MockHypervisor(address.path, config=address.config, query=address.query)


class MockHypervisor:
    """One folder. Any number of objects, threads and processes may use it at once.

    With latency, failures or a journal of calls, its parts are what `intercepted` makes of them;
    without they are the parts themselves.
    """

    # What nothing here stands behind: processes, storage apart from instances.
    execution: None = None
    logs: None = None
    images: None = None
    archives: None = None
    storage: None = None

    def __init__(
        self,
        path: Path,
        *,
        config: Config | None = None,
        clock: Clock | None = None,
        query: str = "",
        parts: Mapping[str, Callable[[Root], Any]] | None = None,
    ) -> None:
        """``config``: None is what ``mock.toml`` in the folder says, if it is there. ``parts``:
        makers of parts that are to be others than its own."""
        self._path = path.absolute()
        self._query = query
        self.config = configured(self._path) if config is None else config
        self._clock = clock or SystemClock()
        self._root = Root(self._path, self.config, self._clock)
        root = self._root
        self.host = MockHost(root)
        self.inventory = MockInventory(root)
        self.details = MockDetails(root)
        self.events = MockEvents(root)
        self.lifecycle = MockLifecycle(root)
        self.clones = MockClones(root)
        self.snapshots = MockSnapshots(root)
        self.disks = MockDisks(root)
        self.checkpoints = MockCheckpoints(root)
        self.provisioning = MockProvisioning(root)
        self.leftovers = MockLeftovers(root)
        self.metrics = MockMetrics(root)
        self.console = MockConsole(root)
        self.guest_agent = MockGuestAgent(root)
        self.hotplug = MockHotplug(root)
        self.networks = MockNetworks(root)
        self.live_migration = MockLiveMigration(root)
        for name, make in (parts or {}).items():
            setattr(self, name, make(root))
        for name in self.config.without:
            setattr(self, name, None)
        self._intercept()

    def _intercept(self) -> None:
        interceptors: list[Interceptor] = []
        if self.config.journal:
            interceptors.append(CallNotes(self._path, self._clock))
        if self.config.latency:
            latency, jitter = self.config.latency, self.config.jitter
            interceptors.append(Latency(latency, jitter, self.config.seed, self._clock))
        if self.config.failures:
            interceptors.append(Failing(self._root, self.config.failures, self.config.seed))
        if interceptors:
            through = intercepted(self, *interceptors)
            for name in PARTS:
                setattr(self, name, getattr(through, name))

    @property
    def url(self) -> str:
        fields = f"?{self._query}" if self._query else ""
        return f"mock://{quote(str(self._path))}{fields}"

    def create_instance(
        self,
        name: str,
        disks: Mapping[str, int],
        *,
        vcpus: int = 1,
        memory: int = GIB,
        tags: Mapping[str, str] | None = None,
    ) -> Instance:
        """A stopped instance with empty disks (name → bytes), not marked as ours.

        Raises AlreadyExists, LimitExceeded.
        """
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

    # What the guest does. None of these are calls to the hypervisor: nothing slows them, they do
    # not fail by plan.

    def guest(self, name: str, disk: str) -> GuestDisk:
        """A handle by which a guest would change its disk. Raises NotFound for either name."""
        return GuestDisk(self._root.find(name), disk)

    def guest_serial(self, name: str) -> GuestLine:
        """The guest's end of its serial line. Raises InstanceNotFound."""
        return GuestLine(self._root.find(name))

    def guest_keys(self, name: str) -> list[tuple[str, ...]]:
        """Keys that were pressed since it was started, as the guest saw them."""
        return pressed(self._root.find(name))

    def panic(self, name: str) -> None:
        """The guest's kernel gives up. Raises InvalidState unless it runs."""
        folder = self._root.find(name)
        with folder.locked():
            if folder.state() is not InstanceState.RUNNING:
                raise InvalidState(f"'{name}' is {folder.state().value}", hint="Start it first.")
            folder.set_state(InstanceState.CRASHED, "panicked")

    def disconnect(self) -> None:
        """Cut the connection as a network would: the next call raises HypervisorUnreachable, and
        the one after it connects anew."""
        self._root.cut()

    # What was called

    def calls(self) -> list[CallNote]:
        """Calls to its parts so far, by any process, when its configuration has a journal."""
        return noted(self._path)

    def close(self) -> None:
        """Nothing is held."""
