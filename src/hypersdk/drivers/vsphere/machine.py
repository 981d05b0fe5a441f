"""A virtual machine as the reading of its disks sees it, observed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyVmomi import vim

from hypersdk.drivers.vsphere import finding, translate
from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.drivers.vsphere.descriptor import DatastorePath
from hypersdk.drivers.vsphere.properties import moid
from hypersdk.drivers.vsphere.sourcedisks import SourceDisk, source_disks
from hypersdk.model.errors import InvalidState, NotFound
from hypersdk.model.instances import Instance, InstanceState

_WANTED = (
    *translate.DESCRIBED,
    "config.firmware",
    "config.files.vmPathName",
    "config.keyId",
    "config.template",
    "guest.toolsRunningStatus",
)
_TOOLS_RUN = "guestToolsRunning"


@dataclass(frozen=True, slots=True)
class Machine:
    """What matters when its disks are read."""

    vm: Any
    instance: Instance
    #: Its devices now.
    devices: Sequence[Any]
    #: Changes of its disks are recorded.
    tracked: bool
    #: VMware Tools answer.
    tools: bool
    #: Path of its UEFI variables; None: it boots without.
    nvram: DatastorePath | None
    encrypted: bool
    #: It cannot run, and takes no snapshots.
    template: bool
    #: Path of its datacenter; empty when we may not see it.
    datacenter: str

    @classmethod
    def observe(cls, connection: Connection, vm: Any) -> Machine:
        """Raises NotFound, InvalidState for one that vCenter cannot reach now."""
        row = connection.get(vm, *_WANTED)
        place = finding.place(connection, row["parent"])
        instance = translate.instance(moid(vm), row, folder=place.folder)
        if instance.state is InstanceState.UNKNOWN:
            raise InvalidState(
                f"'{instance.name}' cannot be reached: its host is disconnected, or its files are",
                hint="See its state in the vSphere Client.",
            )
        return cls(
            vm=vm,
            instance=instance,
            devices=row["config.hardware.device"] or (),
            tracked=bool(row["config.changeTrackingEnabled"]),
            tools=str(row["guest.toolsRunningStatus"] or "") == _TOOLS_RUN,
            nvram=_nvram(row),
            encrypted=row["config.keyId"] is not None,
            template=bool(row["config.template"]),
            datacenter=place.datacenter,
        )

    @property
    def name(self) -> str:
        return self.instance.name

    @property
    def has_tpm(self) -> bool:
        return any(isinstance(each, vim.vm.device.VirtualTPM) for each in self.devices)

    def disks(self) -> list[SourceDisk]:
        """As they are now."""
        return source_disks(self.devices, tracked=self.tracked)


def snapshot_disks(connection: Connection, snapshot: Any, machine: Machine) -> list[SourceDisk]:
    """The disks at the moment of a snapshot."""
    devices = connection.get(snapshot, "config.hardware.device")["config.hardware.device"]
    return source_disks(devices or (), tracked=machine.tracked)


def named_snapshot(connection: Connection, machine: Machine, name: str) -> Any:
    """A snapshot by its name or id. Raises NotFound that names those that are there."""
    tree = connection.get(machine.vm, "snapshot")["snapshot"]
    pending = list(tree.rootSnapshotList) if tree else []
    names: list[str] = []
    while pending:
        node = pending.pop()
        if name in (translate.plain(node.name), node.name, moid(node.snapshot)):
            return node.snapshot
        names.append(translate.plain(node.name))
        pending += node.childSnapshotList or ()
    raise NotFound(
        f"'{machine.name}' has no snapshot '{name}'",
        hint=f"It has {', '.join(sorted(names)) or 'none'}.",
    )


def _nvram(row: dict[str, Any]) -> DatastorePath | None:
    home = str(row["config.files.vmPathName"] or "")
    if str(row["config.firmware"] or "") != "efi" or not home:
        return None
    settings = {str(each.key): str(each.value) for each in row["config.extraConfig"] or ()}
    vmx = DatastorePath.parse(home)
    stem = vmx.path.rpartition("/")[2].removesuffix(".vmx")
    return vmx.beside(settings.get("nvram") or f"{stem}.nvram")
