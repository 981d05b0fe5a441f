"""All that vSphere tells of one machine: a handful of calls, however large the inventory is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pyVmomi import vim

from hypersdk.drivers.vsphere import devicelist, finding, routes, surroundings, translate
from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.drivers.vsphere.properties import moid
from hypersdk.model.details import FilesystemDetails, GuestDetails, InstanceDetails
from hypersdk.model.errors import InvalidState

_WANTED = (
    *translate.DESCRIBED,
    "capability.changeTrackingSupported",
    "config.bootOptions.efiSecureBootEnabled",
    "config.cpuAffinity",
    "config.cpuHotAddEnabled",
    "config.firmware",
    "config.ftInfo",
    "config.guestFullName",
    "config.guestId",
    "config.keyId",
    "config.memoryHotAddEnabled",
    "config.template",
    "config.version",
    "datastore",
    "guest.disk",
    "guest.guestFullName",
    "guest.hostName",
    "guest.net",
    "guest.toolsRunningStatus",
    "network",
    "runtime.consolidationNeeded",
    "runtime.host",
    "snapshot.rootSnapshotList",
    "summary.storage.committed",
)
_FIRMWARE = {"efi": "uefi", "bios": "bios"}
#: Settings that carry a guest's first-boot data: passwords and keys among them.
_KEPT_BACK = ("guestinfo.userdata", "guestinfo.vendordata", "guestinfo.metadata")
#: By these, NUMA nodes are chosen.
_NUMA = ("numa.nodeAffinity", "sched.node.affinity")


class VsphereDetails:
    """The ``details`` part. May be used by any number of threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def details(self, name: str) -> InstanceDetails:
        """See the port. What we may not see is None or empty. First-boot data of the guest
        (``guestinfo.userdata`` and its kin) is masked in ``settings``."""
        connection = self._connection
        machine = connection.vm(name)
        row = connection.get(machine, *_WANTED)
        settings = _settings(row["config.extraConfig"] or ())
        place = finding.place(connection, row["parent"])
        around = surroundings.around(connection, machine, row["runtime.host"])
        instance = translate.instance(moid(machine), row, folder=place.folder)
        return InstanceDetails(
            instance=instance,
            path=place.path(instance.name) if place.datacenter else "",
            datacenter=place.datacenter,
            host=around.host,
            cluster=around.cluster,
            product=around.product,
            balanced=around.balanced,
            power_managed=around.power_managed,
            host_affinity=around.host_affinity,
            storage=surroundings.datastores(connection, row["datastore"] or ()),
            missing_privileges=surroundings.missing_privileges(connection, machine),
            settings=settings,
            guest=_guest(row),
            reading=_reading(connection, machine),
            **_hardware(row, settings),
            **self._devices(row, settings),
        )

    def _devices(self, row: Mapping[str, Any], settings: Mapping[str, str]) -> dict[str, Any]:
        devices = row["config.hardware.device"] or ()
        names = surroundings.networks(self._connection, row["network"] or ())
        tracked = row["config.changeTrackingEnabled"]
        return {
            "disks": devicelist.disks(devices, settings, tracked=tracked),
            "nics": devicelist.nics(devices, names, _addresses(row["guest.net"] or ())),
            "devices": devicelist.others(devices),
        }


def _reading(connection: Connection, machine: Any) -> str:
    try:
        return routes.reading(connection, machine)
    except InvalidState as error:
        return f"not at all: {error.message}"


def _hardware(row: Mapping[str, Any], settings: Mapping[str, str]) -> dict[str, Any]:
    known = row["config.version"] is not None
    firmware = str(row["config.firmware"] or "")
    return {
        "firmware": _FIRMWARE.get(firmware, firmware),
        "secure_boot": row["config.bootOptions.efiSecureBootEnabled"],
        "hardware": str(row["config.version"] or ""),
        "template": row["config.template"],
        "encrypted": row["config.keyId"] is not None if known else None,
        "stored": row["summary.storage.committed"],
        "snapshots": _count(row["snapshot.rootSnapshotList"] or ()),
        "consolidation_needed": row["runtime.consolidationNeeded"],
        "changed_blocks": row["config.changeTrackingEnabled"],
        "changed_blocks_supported": row["capability.changeTrackingSupported"],
        "cpu_affinity": _pinned(row["config.cpuAffinity"]) if known else None,
        "numa_affinity": any(settings.get(key) for key in _NUMA) if known else None,
        "cpu_hotplug": row["config.cpuHotAddEnabled"],
        "memory_hotplug": row["config.memoryHotAddEnabled"],
        "fault_tolerance": row["config.ftInfo"] is not None if known else None,
    }


def _settings(values: Iterable[Any]) -> dict[str, str]:
    found = {str(each.key): str(each.value) for each in values}
    return {
        key: "***" if key.lower().startswith(_KEPT_BACK) and value else value
        for key, value in found.items()
    }


def _guest(row: Mapping[str, Any]) -> GuestDetails:
    status = row["guest.toolsRunningStatus"]
    addresses = [
        address for found in _addresses(row["guest.net"] or ()).values() for address in found
    ]
    return GuestDetails(
        agent=None if status is None else str(status) == "guestToolsRunning",
        hostname=str(row["guest.hostName"] or ""),
        os=str(row["guest.guestFullName"] or row["config.guestFullName"] or ""),
        os_id=str(row["config.guestId"] or ""),
        addresses=tuple(dict.fromkeys(addresses)),
        filesystems=tuple(
            FilesystemDetails(
                path=str(each.diskPath), size=int(each.capacity or 0), free=int(each.freeSpace or 0)
            )
            for each in row["guest.disk"] or ()
        ),
    )


def _addresses(nics: Iterable[Any]) -> dict[int, tuple[str, ...]]:
    """Key of the device → its addresses in the guest."""
    return {int(each.deviceConfigId): tuple(each.ipAddress or ()) for each in nics}


def _pinned(affinity: vim.vm.AffinityInfo | None) -> bool:
    return affinity is not None and bool(affinity.affinitySet)


def _count(trees: Iterable[Any]) -> int:
    return sum(1 + _count(tree.childSnapshotList or ()) for tree in trees)
