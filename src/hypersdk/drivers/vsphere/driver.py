"""A vCenter or an ESXi host: ``vsphere://user@host/datacenter``."""

from __future__ import annotations

from hypersdk.drivers.vsphere.address import address
from hypersdk.drivers.vsphere.clones import VsphereClones
from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.drivers.vsphere.console import ScreenTicket, VsphereConsole
from hypersdk.drivers.vsphere.consumption import VsphereConsumption
from hypersdk.drivers.vsphere.deploying import VsphereDeploying
from hypersdk.drivers.vsphere.details import VsphereDetails
from hypersdk.drivers.vsphere.disks import VsphereDisks
from hypersdk.drivers.vsphere.events import VsphereEvents
from hypersdk.drivers.vsphere.guestagent import VsphereGuestAgent
from hypersdk.drivers.vsphere.host import VsphereHost
from hypersdk.drivers.vsphere.hotplug import VsphereHotplug
from hypersdk.drivers.vsphere.inventory import VsphereInventory
from hypersdk.drivers.vsphere.leftovers import VsphereLeftovers
from hypersdk.drivers.vsphere.lifecycle import VsphereLifecycle
from hypersdk.drivers.vsphere.live_migration import VsphereLiveMigration
from hypersdk.drivers.vsphere.metrics import VsphereMetrics
from hypersdk.drivers.vsphere.networks import VsphereNetworks
from hypersdk.drivers.vsphere.overview import VsphereOverview
from hypersdk.drivers.vsphere.pastevents import VspherePastEvents
from hypersdk.drivers.vsphere.provisioning import VsphereProvisioning
from hypersdk.drivers.vsphere.resourcepools import VspherePools
from hypersdk.drivers.vsphere.snapshots import VsphereSnapshots
from hypersdk.drivers.vsphere.storage import VsphereStorage
from hypersdk.drivers.vsphere.tasks import VsphereTasks
from hypersdk.drivers.vsphere.topology import VsphereTopology


def connect(url: str) -> VsphereHypervisor:
    """Raises InvalidInput, HypervisorUnreachable, HypervisorDenied, HypervisorError for a
    certificate that is not trusted, MissingRequirement."""
    return VsphereHypervisor(Connection(address(url)))


class VsphereHypervisor:
    """One endpoint. May be used by any number of threads.

    Beside the parts of the port it has ``topology``, ``tasks``, ``overview``, ``pools``,
    ``consumption``, ``past_events``, ``deploying`` and ``screen_ticket``.
    """

    # What machines have not; and records of changed blocks are looked after by vSphere itself.
    execution: None = None
    logs: None = None
    images: None = None
    archives: None = None
    checkpoints: None = None

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.host = VsphereHost(connection)
        self.inventory = VsphereInventory(connection)
        self.details = VsphereDetails(connection)
        self.events = VsphereEvents(connection)
        self.lifecycle = VsphereLifecycle(connection)
        self.clones = VsphereClones(connection)
        self.snapshots = VsphereSnapshots(connection)
        self.disks = VsphereDisks(connection)
        self.provisioning = VsphereProvisioning(connection)
        self.leftovers = VsphereLeftovers(connection)
        self.guest_agent = VsphereGuestAgent(connection)
        self.hotplug = VsphereHotplug(connection)
        self.live_migration = VsphereLiveMigration(connection)
        self.metrics = VsphereMetrics(connection)
        self.console = None if connection.simulated else VsphereConsole(connection)
        self.storage = VsphereStorage(connection)
        self.networks = VsphereNetworks(connection)
        self.topology = VsphereTopology(connection)
        self.tasks = VsphereTasks(connection)
        self.overview = VsphereOverview(connection)
        self.pools = VspherePools(connection)
        self.consumption = VsphereConsumption(connection)
        self.past_events = VspherePastEvents(connection)
        self.deploying = VsphereDeploying(connection)

    def screen_ticket(self, name: str) -> ScreenTicket:
        """For a WebMKS client to show the screen of a running machine; see `VsphereConsole`."""
        return VsphereConsole(self.connection).ticket(name)

    @property
    def url(self) -> str:
        return self.connection.url

    def close(self) -> None:
        """Log out. May be called several times."""
        self.connection.close()
