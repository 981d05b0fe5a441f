"""Machines run by QEMU alone, without libvirt: ``qmp:///run/hypersdk/qmp``.

The URL names a folder. All there is to know of the hypervisor is in it and in the QEMU processes
themselves, so any number of objects, threads and processes may use it at once, and whoever connects
finds what others have made and started.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from hypersdk.drivers.qmp.console import QmpConsole
from hypersdk.drivers.qmp.disks import QmpDisks
from hypersdk.drivers.qmp.emulator import installed
from hypersdk.drivers.qmp.events import QmpEvents
from hypersdk.drivers.qmp.guestagent import QmpGuestAgent
from hypersdk.drivers.qmp.host import QmpHost
from hypersdk.drivers.qmp.hotplug import QmpHotplug
from hypersdk.drivers.qmp.inventory import QmpInventory
from hypersdk.drivers.qmp.leftovers import QmpLeftovers, end_strays
from hypersdk.drivers.qmp.lifecycle import QmpLifecycle
from hypersdk.drivers.qmp.metrics import QmpMetrics
from hypersdk.drivers.qmp.monitor import Monitors
from hypersdk.drivers.qmp.power import Power
from hypersdk.drivers.qmp.provisioning import QmpProvisioning
from hypersdk.drivers.qmp.snapshots import QmpSnapshots
from hypersdk.drivers.qmp.state import Root
from hypersdk.model.errors import InvalidInput


def connect(url: str) -> QmpHypervisor:
    """The hypervisor in the folder of ``qmp:///absolute/path`` (``%20`` is a space). The folder is
    made with the first instance; QEMU processes in it that belong to no instance are ended.

    Raises InvalidInput, MissingRequirement without QEMU, HypervisorUnreachable for a folder that
    holds something else, HypervisorDenied for one that we may not use.
    """
    parts = urlsplit(url)
    path = Path(unquote(parts.path))
    if parts.netloc or parts.query or parts.fragment or not path.is_absolute():
        raise InvalidInput(
            f"'{url}' does not name a folder",
            hint="Write qmp:///absolute/path, with three slashes.",
        )
    return QmpHypervisor(path)


class QmpHypervisor:
    """One folder. Parts that QEMU alone does not have are None."""

    # Of containers only.
    details: None = None
    execution: None = None
    logs: None = None
    images: None = None
    archives: None = None
    checkpoints: None = None
    clones: None = None
    live_migration: None = None
    # A folder is no pool, and user-mode networking no network.
    storage: None = None
    networks: None = None

    def __init__(self, path: Path) -> None:
        installed()
        self._path = path.absolute()
        root = Root(self._path)
        root.check()
        self._monitors = Monitors()
        power = Power(self._path, self._monitors)
        self.host = QmpHost(root)
        self.inventory = QmpInventory(root, power)
        self.lifecycle = QmpLifecycle(root, power)
        self.snapshots = QmpSnapshots(root, power)
        self.disks = QmpDisks(root, power)
        self.provisioning = QmpProvisioning(root, power)
        self.leftovers = QmpLeftovers(root, power)
        self.events = QmpEvents(root, self.inventory)
        self.metrics = QmpMetrics(root, power)
        self.console = QmpConsole(root, power)
        self.guest_agent = QmpGuestAgent(root, power)
        self.hotplug = QmpHotplug(root, power)
        end_strays(root)

    @property
    def url(self) -> str:
        return f"qmp://{quote(str(self._path))}"

    def close(self) -> None:
        """Instances that run go on."""
        self._monitors.close()
