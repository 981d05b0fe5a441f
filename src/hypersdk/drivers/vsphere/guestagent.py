"""The agent inside the guest: VMware Tools, as far as their reports go."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Never

from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.drivers.vsphere.tags import settings
from hypersdk.model.capabilities import Limit
from hypersdk.model.errors import GuestAgentMissing, NotSupported
from hypersdk.model.machines import GuestFilesystem, GuestInfo

_RUNNING = "guestToolsRunning"
_FROZEN = "vSphere freezes filesystems only for the moment of a snapshot made with quiesce"
#: Where Tools report the guest's own words since 10.2: ``kernelVersion='6.1.0-18-amd64' …``.
_DETAILED = "guestInfo.detailed.data"
_KERNEL = re.compile(r"kernelVersion='([^']*)'")


class VsphereGuestAgent:
    """May be used by any number of threads."""

    limits = (Limit("guest_agent.freeze", _FROZEN),)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def ping(self, name: str) -> None:
        vm = self._connection.vm(name)
        self._require(vm, name)

    def info(self, name: str) -> GuestInfo:
        """As last reported, which is every 30 seconds; some figures need a recent version."""
        vm = self._connection.vm(name)
        self._require(vm, name)
        found = self._connection.get(
            vm,
            "guest.hostName",
            "guest.guestFullName",
            "guest.toolsVersion",
            "guest.net",
            "guest.disk",
            "config.extraConfig",
        )
        detailed = settings(found["config.extraConfig"]).get(_DETAILED, "")
        kernel = _KERNEL.search(detailed)
        return GuestInfo(
            hostname=found["guest.hostName"] or "",
            os=found["guest.guestFullName"] or "",
            kernel=kernel[1] if kernel else "",
            agent_version=str(found["guest.toolsVersion"] or ""),
            addresses=_addresses(found["guest.net"] or ()),
            filesystems=tuple(_filesystem(disk) for disk in found["guest.disk"] or ()),
        )

    def freeze(self, name: str, mountpoints: Sequence[str] = ()) -> int:  # noqa: ARG002
        self._refuse(name)

    def thaw(self, name: str) -> int:
        self._refuse(name)

    def _refuse(self, name: str) -> Never:
        self._connection.vm(name)
        raise NotSupported(
            f"the filesystems of '{name}' cannot be frozen by themselves: {_FROZEN}",
            hint="Make a snapshot with quiesce.",
        )

    def _require(self, vm: Any, name: str) -> None:
        found = self._connection.get(vm, "guest.toolsRunningStatus", "runtime.powerState")
        if (
            found["guest.toolsRunningStatus"] != _RUNNING
            or found["runtime.powerState"] != "poweredOn"
        ):
            raise GuestAgentMissing(
                f"no VMware Tools answer in '{name}'",
                hint="Start it, and install open-vm-tools in the guest.",
            )


def _addresses(nics: Sequence[Any]) -> tuple[str, ...]:
    return tuple(address for nic in nics for address in nic.ipAddress or ())


def _filesystem(disk: Any) -> GuestFilesystem:
    return GuestFilesystem(
        mountpoint=disk.diskPath or "",
        type=getattr(disk, "filesystemType", None) or "",
        total=disk.capacity or 0,
        used=(disk.capacity or 0) - (disk.freeSpace or 0),
    )
