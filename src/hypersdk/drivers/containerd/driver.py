"""containerd, by the path of its socket: ``containerd:///run/containerd/containerd.sock``.

Fields of the URL: ``namespace`` (``default``), ``snapshotter`` (overlayfs where that works) and
``folder`` for logs and volumes (``/var/lib/hypersdk/containerd``).
"""

from __future__ import annotations

from hypersdk.drivers.containerd.address import Address
from hypersdk.drivers.containerd.archives import ContainerdArchives
from hypersdk.drivers.containerd.connection import Connection
from hypersdk.drivers.containerd.content import Content
from hypersdk.drivers.containerd.events import ContainerdEvents
from hypersdk.drivers.containerd.execution import ContainerdExecution
from hypersdk.drivers.containerd.host import ContainerdHost, engine
from hypersdk.drivers.containerd.hotplug import ContainerdHotplug
from hypersdk.drivers.containerd.images import ContainerdImages
from hypersdk.drivers.containerd.inventory import ContainerdInventory
from hypersdk.drivers.containerd.layers import Layers
from hypersdk.drivers.containerd.lifecycle import ContainerdLifecycle
from hypersdk.drivers.containerd.logs import ContainerdLogs
from hypersdk.drivers.containerd.metrics import ContainerdMetrics
from hypersdk.drivers.containerd.snapshots import ContainerdSnapshots


def connect(url: str) -> ContainerdHypervisor:
    """Raises InvalidInput, HypervisorUnreachable, HypervisorDenied, MissingRequirement."""
    return ContainerdHypervisor(Address.parsed(url))


class ContainerdHypervisor:
    """One namespace of one containerd."""

    # Of machines, or of engines that make networks and volumes.
    details: None = None
    disks: None = None
    checkpoints: None = None
    provisioning: None = None
    leftovers: None = None
    clones: None = None
    console: None = None
    guest_agent: None = None
    live_migration: None = None
    storage: None = None
    networks: None = None

    def __init__(self, address: Address) -> None:
        self._connection = connection = Connection(address)
        try:
            found = engine(connection, address.snapshotter)
        except BaseException:
            connection.close()
            raise
        content, layers = Content(connection), Layers(connection, found.snapshotter)
        self.host = ContainerdHost(connection, found.folder)
        self.inventory = ContainerdInventory(connection)
        self.events = ContainerdEvents(connection)
        self.lifecycle = ContainerdLifecycle(connection, content, layers)
        self.snapshots = ContainerdSnapshots(connection, layers, self.lifecycle)
        self.metrics = ContainerdMetrics(connection)
        self.hotplug = ContainerdHotplug(connection)
        self.execution = ContainerdExecution(connection)
        self.logs = ContainerdLogs(connection)
        self.images = ContainerdImages(connection, content, layers)
        self.archives = ContainerdArchives(connection, content, layers)

    @property
    def url(self) -> str:
        return str(self._connection)

    def close(self) -> None:
        """May be called several times."""
        self._connection.close()
