"""A Docker engine: ``docker:///var/run/docker.sock``, ``docker://host:2376`` with TLS."""

from __future__ import annotations

from hypersdk.drivers.docker.address import address
from hypersdk.drivers.docker.archives import DockerArchives
from hypersdk.drivers.docker.connection import Connection
from hypersdk.drivers.docker.disks import DockerDisks
from hypersdk.drivers.docker.events import DockerEvents
from hypersdk.drivers.docker.execution import DockerExecution
from hypersdk.drivers.docker.host import DockerHost
from hypersdk.drivers.docker.hotplug import DockerHotplug
from hypersdk.drivers.docker.images import DockerImages
from hypersdk.drivers.docker.inventory import DockerInventory
from hypersdk.drivers.docker.leftovers import DockerLeftovers
from hypersdk.drivers.docker.lifecycle import DockerLifecycle
from hypersdk.drivers.docker.logs import DockerLogs
from hypersdk.drivers.docker.metrics import DockerMetrics
from hypersdk.drivers.docker.networks import DockerNetworks
from hypersdk.drivers.docker.provisioning import DockerProvisioning
from hypersdk.drivers.docker.snapshots import DockerSnapshots


def connect(url: str) -> DockerHypervisor:
    """Raises InvalidInput, HypervisorUnreachable, HypervisorDenied, MissingRequirement."""
    return DockerHypervisor(Connection(address(url)))


class DockerHypervisor:
    """One engine. May be used by any number of threads."""

    # What containers have not: block devices, screens, agents; and what the engine does not do.
    details: None = None
    checkpoints: None = None
    clones: None = None
    console: None = None
    guest_agent: None = None
    live_migration: None = None
    storage: None = None

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.host = DockerHost(connection)
        self.inventory = DockerInventory(connection)
        self.events = DockerEvents(connection)
        self.lifecycle = DockerLifecycle(connection)
        self.snapshots = DockerSnapshots(connection)
        self.disks = DockerDisks(connection)
        self.provisioning = DockerProvisioning(connection)
        self.leftovers = DockerLeftovers(connection)
        self.metrics = DockerMetrics(connection)
        self.hotplug = DockerHotplug(connection)
        self.networks = DockerNetworks(connection)
        self.execution = DockerExecution(connection)
        self.logs = DockerLogs(connection)
        self.images = DockerImages(connection)
        self.archives = DockerArchives(connection)

    @property
    def url(self) -> str:
        return self._connection.url

    def close(self) -> None:
        """May be called several times."""
        self._connection.close()
