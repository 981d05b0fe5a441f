"""The parts of a hypervisor, for cases: a part that it lacks skips the case that asks for it."""

from __future__ import annotations

from typing import TypeVar

from hypersdk.conformance.expect import Skipped
from hypersdk.drivers.containerports import Archives, Execution, Images, Logs
from hypersdk.drivers.diskports import Checkpoints, Disks, Leftovers, Provisioning
from hypersdk.drivers.ports import (
    Clones,
    Console,
    Details,
    Events,
    GuestAgent,
    Host,
    Hotplug,
    Hypervisor,
    Inventory,
    Lifecycle,
    LiveMigration,
    Metrics,
    Networks,
    Snapshots,
    Storage,
)

T = TypeVar("T")


def lacking(part: str) -> str:
    """Why a case is skipped whose part the driver lacks."""
    return f"no {part} part"


class Parts:
    """One connection to a hypervisor."""

    def __init__(self, hypervisor: Hypervisor) -> None:
        self.hypervisor = hypervisor

    @property
    def host(self) -> Host:
        return _there(self.hypervisor.host, "host")

    @property
    def inventory(self) -> Inventory:
        return _there(self.hypervisor.inventory, "inventory")

    @property
    def details(self) -> Details:
        return _there(self.hypervisor.details, "details")

    @property
    def events(self) -> Events:
        return _there(self.hypervisor.events, "events")

    @property
    def lifecycle(self) -> Lifecycle:
        return _there(self.hypervisor.lifecycle, "lifecycle")

    @property
    def clones(self) -> Clones:
        return _there(self.hypervisor.clones, "clones")

    @property
    def snapshots(self) -> Snapshots:
        return _there(self.hypervisor.snapshots, "snapshots")

    @property
    def disks(self) -> Disks:
        return _there(self.hypervisor.disks, "disks")

    @property
    def checkpoints(self) -> Checkpoints:
        return _there(self.hypervisor.checkpoints, "checkpoints")

    @property
    def provisioning(self) -> Provisioning:
        return _there(self.hypervisor.provisioning, "provisioning")

    @property
    def leftovers(self) -> Leftovers:
        return _there(self.hypervisor.leftovers, "leftovers")

    @property
    def metrics(self) -> Metrics:
        return _there(self.hypervisor.metrics, "metrics")

    @property
    def console(self) -> Console:
        return _there(self.hypervisor.console, "console")

    @property
    def guest_agent(self) -> GuestAgent:
        return _there(self.hypervisor.guest_agent, "guest_agent")

    @property
    def hotplug(self) -> Hotplug:
        return _there(self.hypervisor.hotplug, "hotplug")

    @property
    def live_migration(self) -> LiveMigration:
        return _there(self.hypervisor.live_migration, "live_migration")

    @property
    def storage(self) -> Storage:
        return _there(self.hypervisor.storage, "storage")

    @property
    def networks(self) -> Networks:
        return _there(self.hypervisor.networks, "networks")

    @property
    def execution(self) -> Execution:
        return _there(self.hypervisor.execution, "execution")

    @property
    def logs(self) -> Logs:
        return _there(self.hypervisor.logs, "logs")

    @property
    def images(self) -> Images:
        return _there(self.hypervisor.images, "images")

    @property
    def archives(self) -> Archives:
        return _there(self.hypervisor.archives, "archives")


def _there(part: T | None, name: str) -> T:
    if part is None:
        raise Skipped(lacking(name))
    return part
