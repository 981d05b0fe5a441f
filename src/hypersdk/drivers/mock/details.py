"""More of a mock instance than its inventory tells: what its definition holds."""

from __future__ import annotations

import os

from hypersdk.drivers.mock.definition import MockDefinition
from hypersdk.drivers.mock.errors import native
from hypersdk.drivers.mock.folder import InstanceFolder
from hypersdk.drivers.mock.root import Root
from hypersdk.model.details import (
    DeviceDetails,
    DiskDetails,
    GuestDetails,
    InstanceDetails,
    NicDetails,
    StorageDetails,
)
from hypersdk.model.instances import InstanceState

#: Name of the one place that disks lie in.
_STORAGE = "folder"


class MockDetails:
    """The ``details`` part."""

    def __init__(self, root: Root) -> None:
        self._root = root

    def details(self, name: str) -> InstanceDetails:
        """Raises InstanceNotFound."""
        folder = self._root.find(name)
        definition = folder.definition()
        with native(f"look at the disks of '{name}'"):
            place = os.statvfs(folder.path)
            stored = sum(os.stat(folder.disk_path(d)).st_blocks * 512 for d in definition.disks)
        capacity, free = place.f_blocks * place.f_frsize, place.f_bavail * place.f_frsize
        return InstanceDetails(
            instance=folder.observe(),
            path="/".join(part for part in (definition.folder, definition.name) if part),
            product="mock",
            firmware=str(definition.settings.get("firmware") or "bios"),
            template=definition.template,
            encrypted=False,
            stored=stored,
            snapshots=sum(1 for _ in folder.path.glob("snapshots/*/snapshot.json")),
            disks=_disks(folder, definition),
            nics=_nics(definition),
            devices=tuple(
                DeviceDetails(kind="cdrom", name=drive, detail=image)
                for drive, image in definition.drives.items()
            ),
            storage=(
                StorageDetails(
                    name=_STORAGE, kind="dir", accessible=True, capacity=capacity, free=free
                ),
            ),
            guest=self._guest(folder, definition),
        )

    def _guest(self, folder: InstanceFolder, definition: MockDefinition) -> GuestDetails:
        answers = folder.state() is InstanceState.RUNNING and self._root.config.guest_agent
        return GuestDetails(agent=answers, hostname=definition.name if answers else "", os="mock")


def _disks(folder: InstanceFolder, definition: MockDefinition) -> tuple[DiskDetails, ...]:
    return tuple(
        DiskDetails(
            name=disk.name,
            size=disk.size,
            path=str(folder.disk_path(disk)),
            storage=_STORAGE,
            independent=False,
            shared=False,
            thin=True,
            changed_blocks=True,
            controller=disk.bus,
        )
        for disk in definition.disks
    )


def _nics(definition: MockDefinition) -> tuple[NicDetails, ...]:
    return tuple(
        NicDetails(
            name=f"nic{number}",
            mac=nic.mac,
            network=nic.network or nic.bridge,
            model=nic.model,
            connected=nic.linked,
        )
        for number, nic in enumerate(definition.nics)
    )
