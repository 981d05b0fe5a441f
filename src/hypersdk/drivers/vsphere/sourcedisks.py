"""The disks of a virtual machine, or of one of its snapshots, as far as reading them goes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pyVmomi import vim

from hypersdk.drivers.vsphere import translate
from hypersdk.model.instances import Disk
from hypersdk.model.units import format_size

_KIND = "vsphere"


@dataclass(frozen=True, slots=True)
class SourceDisk:
    """A disk at one moment."""

    disk: Disk
    #: vSphere's number of the device.
    key: int
    #: ``VirtualLsiLogicController0:0``: how leases and OVF call it.
    place: str
    #: Identity of its content, which snapshots and moves leave as it is; empty where there is none.
    uuid: str
    #: Since when changes can be asked for; empty when they are not recorded.
    change_id: str
    #: ``persistent``, ``independent_persistent`` …
    mode: str
    #: ``rdm-physical``, ``rdm-virtual``, ``file``.
    backing: str
    #: Several machines may write to it.
    shared: bool
    #: Blocks that were never written take no room.
    thin: bool

    @property
    def independent(self) -> bool:
        """Left out of snapshots."""
        return self.mode.startswith("independent")

    def problem(self, *, snapshot: bool) -> str:
        """Why it cannot be read; empty when it can. ``snapshot``: by one."""
        if self.backing == "rdm-physical":
            return "it is a raw device in physical mode, which vSphere itself cannot read"
        if snapshot and self.independent:
            return "it is independent, thus in no snapshot"
        if snapshot and self.shared:
            return "other machines share it, thus it is in no snapshot"
        return ""


def source_disks(devices: Sequence[Any], *, tracked: bool) -> list[SourceDisk]:
    """``devices``: ``config.hardware.device`` of the machine or of a snapshot."""
    found = {each.name: each for each in translate.disks(devices, tracked=tracked)}
    controllers = {device.key: device for device in devices}
    named = {
        translate.disk_name(device, controllers): device
        for device in devices
        if isinstance(device, vim.vm.device.VirtualDisk)
    }
    return [_source(disk, named[name], controllers) for name, disk in found.items()]


def _source(disk: Disk, device: Any, controllers: Mapping[int, Any]) -> SourceDisk:
    backing = device.backing
    sharing = str(getattr(backing, "sharing", "") or "")
    return SourceDisk(
        disk=disk,
        key=int(device.key),
        place=_place(device, controllers.get(device.controllerKey)),
        uuid=str(getattr(backing, "uuid", "") or ""),
        change_id=str(getattr(backing, "changeId", "") or ""),
        mode=str(getattr(backing, "diskMode", "") or ""),
        backing=_backing(backing),
        shared=sharing == "sharingMultiWriter",
        thin=bool(getattr(backing, "thinProvisioned", False)),
    )


def _place(device: Any, controller: Any) -> str:
    kind = type(controller).__name__.rpartition(".")[2] if controller is not None else ""
    number = 0 if controller is None else int(controller.busNumber)
    return f"{kind}{number}:{device.unitNumber or 0}"


def _backing(backing: Any) -> str:
    if isinstance(backing, vim.vm.device.VirtualDisk.RawDiskMappingVer1BackingInfo):
        return "rdm-physical" if backing.compatibilityMode == "physicalMode" else "rdm-virtual"
    return "file"


@dataclass(frozen=True, slots=True)
class Token:
    """A moment of one disk, for the next backup: it may ask for changes since then."""

    #: vSphere's ``changeId``.
    change: str
    #: Digest of the disk's ``uuid``: a reader of the repository need not learn it.
    disk: str
    #: Bytes of the disk.
    size: int

    @classmethod
    def of(cls, disk: SourceDisk) -> Token | None:
        """None when changes of it are not recorded, or it could be taken for another."""
        if not disk.change_id or not disk.uuid:
            return None
        return cls(disk.change_id, _digest(disk.uuid), disk.disk.size)

    def __str__(self) -> str:
        body = json.dumps(asdict(self), separators=(",", ":"), sort_keys=True)
        return f"{_KIND}:{_digest(body)}:{body}"

    @classmethod
    def parse(cls, text: str) -> Token | None:
        """None for anything that is not a token of this driver, or was damaged."""
        kind, _, rest = text.partition(":")
        check, _, body = rest.partition(":")
        if kind != _KIND or check != _digest(body):
            return None
        try:
            found = cls(**json.loads(body))
        except (ValueError, TypeError):
            return None
        sound = isinstance(found.change, str) and isinstance(found.size, int)
        return found if sound else None

    def mismatch(self, disk: SourceDisk) -> str:
        """Why it belongs to another disk; empty when it belongs to this one."""
        if self.disk != _digest(disk.uuid):
            return "the disk was replaced since the last backup"
        if self.size != disk.disk.size:
            before, now = format_size(self.size), format_size(disk.disk.size)
            return f"the disk was resized from {before} to {now}"
        return ""


def why_full(disk: SourceDisk, since: Mapping[str, str]) -> Token | str:
    """The token by which its changes may be asked for, or why it has to be read in full."""
    if not disk.change_id:
        return "vSphere does not record its changes (changed block tracking is off)"
    text = since.get(disk.disk.name)
    if text is None:
        return "there is no earlier moment of this disk"
    token = Token.parse(text)
    if token is None:
        return "the last backup was made through another driver, or its token is damaged"
    return token.mismatch(disk) or token


def _digest(text: str) -> str:
    """Hex, 16 characters."""
    return hashlib.blake2s(text.encode(), digest_size=8).hexdigest()
