"""KVM hosts, and whatever else libvirt connects to.

The URL is libvirt's URI behind ``libvirt+``: ``libvirt+qemu:///system``,
``libvirt+qemu+ssh://root@host/system``, ``libvirt+test:///default``.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import libvirt

from hypersdk.drivers.libvirt.checkpoints import LibvirtCheckpoints
from hypersdk.drivers.libvirt.clones import LibvirtClones
from hypersdk.drivers.libvirt.connection import Connection
from hypersdk.drivers.libvirt.console import LibvirtConsole
from hypersdk.drivers.libvirt.disks import LibvirtDisks
from hypersdk.drivers.libvirt.domainfacts import LibvirtDomains
from hypersdk.drivers.libvirt.ears import Ears
from hypersdk.drivers.libvirt.events import LibvirtEvents
from hypersdk.drivers.libvirt.folders import Folders
from hypersdk.drivers.libvirt.guestagent import LibvirtGuestAgent
from hypersdk.drivers.libvirt.host import LibvirtHost
from hypersdk.drivers.libvirt.hotplug import LibvirtHotplug
from hypersdk.drivers.libvirt.inventory import LibvirtInventory
from hypersdk.drivers.libvirt.keptmarks import KeptMarks
from hypersdk.drivers.libvirt.leftovers import LibvirtLeftovers
from hypersdk.drivers.libvirt.lifecycle import LibvirtLifecycle
from hypersdk.drivers.libvirt.metrics import LibvirtMetrics
from hypersdk.drivers.libvirt.migration import LibvirtLiveMigration
from hypersdk.drivers.libvirt.networks import LibvirtNetworks
from hypersdk.drivers.libvirt.provisioning import LibvirtProvisioning
from hypersdk.drivers.libvirt.snapshots import LibvirtSnapshots
from hypersdk.drivers.libvirt.storage import LibvirtStorage
from hypersdk.drivers.libvirt.volumes import LibvirtVolumes
from hypersdk.model.errors import InvalidInput

SCHEME = "libvirt"
#: Drivers inside libvirt that report what happens to domains. ESX and Hyper-V do not.
_WITH_EVENTS = frozenset({"QEMU", "TEST", "LXC", "Xen", "bhyve", "Vz"})
#: Whose disks are images that libvirt can copy: a clone of others would share its disks.
_WITH_CLONES = frozenset({"QEMU"})

#: Of those that have both, the ones that it was tried with.
_WITH_STATISTICS = _WITH_SNAPSHOTS = frozenset({"QEMU", "TEST"})


def connect(url: str) -> LibvirtHypervisor:
    """Raises InvalidInput, HypervisorUnreachable, HypervisorDenied."""
    prefix, _, uri = url.partition("+")
    if prefix != SCHEME or not uri:
        raise InvalidInput(
            f"'{url}' does not name a libvirt connection",
            hint="Write libvirt+ and libvirt's URI behind it: libvirt+qemu:///system",
        )
    return LibvirtHypervisor(uri)


class LibvirtHypervisor:
    """One connection. Which parts there are depends on the driver inside libvirt.

    Beside the parts of the port it has ``domains``, and ``volumes`` where there is storage.
    """

    events: LibvirtEvents | None = None
    clones: LibvirtClones | None = None
    snapshots: LibvirtSnapshots | None = None
    metrics: LibvirtMetrics | None = None
    console: LibvirtConsole | None = None
    guest_agent: LibvirtGuestAgent | None = None
    hotplug: LibvirtHotplug | None = None
    live_migration: LibvirtLiveMigration | None = None
    disks: LibvirtDisks | None = None
    checkpoints: LibvirtCheckpoints | None = None
    leftovers: LibvirtLeftovers | None = None
    provisioning: LibvirtProvisioning | None = None
    storage: LibvirtStorage | None = None
    networks: LibvirtNetworks | None = None
    volumes: LibvirtVolumes | None = None
    # Of containers only.
    details: None = None
    execution: None = None
    logs: None = None
    images: None = None
    archives: None = None

    def __init__(self, uri: str) -> None:
        self._connection = Connection(uri)
        folders = Folders(self._connection)
        kind = self._connection.native.getType()
        self.host = LibvirtHost(self._connection)
        self.domains = LibvirtDomains(self._connection)
        self._ears = Ears(self._connection) if kind in _WITH_EVENTS else None
        self.inventory = LibvirtInventory(self._connection, KeptMarks(self._ears))
        self.lifecycle = LibvirtLifecycle(self._connection, folders)
        if self._ears is not None:
            self.events = LibvirtEvents(self._connection, self._ears, self.inventory)
        if kind in _WITH_CLONES:
            self.clones = LibvirtClones(self._connection, folders)
        if kind in _WITH_STATISTICS:
            self.metrics = LibvirtMetrics(self._connection)
        if kind in _WITH_SNAPSHOTS:
            self.snapshots = LibvirtSnapshots(self._connection, folders)
        if kind == "QEMU":
            self.console = LibvirtConsole(self._connection)
            self.guest_agent = LibvirtGuestAgent(self._connection)
            self.hotplug = LibvirtHotplug(self._connection, folders)
            self.live_migration = LibvirtLiveMigration(self._connection)
            self.disks = LibvirtDisks(self._connection)
            self.checkpoints = LibvirtCheckpoints(self._connection)
            self.leftovers = LibvirtLeftovers(self._connection)
            if urlsplit(uri).hostname is None:  # what it makes are files of this host
                self.provisioning = LibvirtProvisioning(self._connection)
        # Drivers of their own inside libvirt, which any connection may have or lack.
        if self._offers("numOfDefinedStoragePools"):
            self.storage = LibvirtStorage(self._connection, folders)
            self.volumes = LibvirtVolumes(self._connection, folders)
        if self._offers("numOfDefinedNetworks"):
            self.networks = LibvirtNetworks(self._connection)

    @property
    def url(self) -> str:
        return f"{SCHEME}+{self._connection.uri}"

    def close(self) -> None:
        if self._ears is not None:
            self._ears.close()
        self._connection.close()

    def _offers(self, function: str) -> bool:
        """Whether the connection has a function; that it fails for another reason is a yes."""
        try:
            getattr(self._connection.native, function)()
        except libvirt.libvirtError as error:
            return bool(error.get_error_code() != libvirt.VIR_ERR_NO_SUPPORT)
        return True
