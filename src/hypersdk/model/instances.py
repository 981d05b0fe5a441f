"""Instances as observed on a hypervisor, and the states they can be in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum


class InstanceState(Enum):
    """Observed state; the only state words used anywhere."""

    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    CRASHED = "crashed"
    UNKNOWN = "unknown"


#: State → states that one lifecycle operation can lead to.
TRANSITIONS: Mapping[InstanceState, frozenset[InstanceState]] = {
    InstanceState.STOPPED: frozenset({InstanceState.RUNNING, InstanceState.PAUSED}),
    InstanceState.RUNNING: frozenset(
        {InstanceState.PAUSED, InstanceState.STOPPED, InstanceState.CRASHED}
    ),
    InstanceState.PAUSED: frozenset({InstanceState.RUNNING, InstanceState.STOPPED}),
    InstanceState.CRASHED: frozenset({InstanceState.RUNNING, InstanceState.STOPPED}),
    InstanceState.UNKNOWN: frozenset(InstanceState),
}


class Consistency(Enum):
    """What a restore point is worth to the guest that will boot from it."""

    #: The instance was not running: nothing was in flight.
    OFFLINE = "offline"
    #: All disks at one moment, as after a power cut.
    CRASH = "crash"
    #: Filesystems were frozen by a guest agent at that moment.
    FILESYSTEM = "filesystem"


class Purpose(Enum):
    """What a guest uses bytes for that are kept with its restore points."""

    #: A block device.
    DISK = "disk"
    #: Variables of the UEFI firmware.
    NVRAM = "nvram"
    #: Files of a direct boot, without a boot loader.
    KERNEL = "kernel"
    INITRD = "initrd"
    #: A tar archive of a filesystem: of a container, or of a volume of one.
    ARCHIVE = "archive"


@dataclass(frozen=True, slots=True)
class Disk:
    """A block device of an instance, or another file that it cannot boot without."""

    #: Name within the instance, unique there: ``vda``.
    name: str
    #: Virtual size in bytes.
    size: int
    #: Image format as the hypervisor names it: ``raw``, ``qcow2``, ``vmdk``.
    format: str = "raw"
    #: Where the hypervisor keeps it; empty when it will not say.
    path: str = ""
    purpose: Purpose = Purpose.DISK
    #: Bytes that one bit of its record of changes stands for, or that an archive is laid out in
    #: multiples of; 0 when there is neither.
    granularity: int = 0


@dataclass(frozen=True, slots=True)
class Definition:
    """The hypervisor's own description of an instance. May hold secrets."""

    #: ``libvirt-xml``, ``vmx``, ``ovf``, ``mock-json``, ``docker-json``.
    kind: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Instance:
    """One instance as observed at one moment."""

    #: The hypervisor's stable identity of it (UUID, managed object id).
    id: str
    name: str
    state: InstanceState
    #: 0: it has no limit of its own, or this listing cannot know it (`Inventory.instance` can).
    vcpus: int
    #: Bytes; 0 as for ``vcpus``.
    memory: int
    disks: tuple[Disk, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    #: Made by HyperSDK, says a mark that the hypervisor itself keeps.
    owned: bool = False
    #: Where people look for it: ``prod/web``; empty: nowhere special.
    folder: str = ""
    #: What it was made from: a container image; empty where that is not known.
    image: str = ""


class EventKind(Enum):
    """What happened to an instance."""

    DEFINED = "defined"
    REMOVED = "removed"
    STATE = "state"


@dataclass(frozen=True, slots=True)
class InstanceEvent:
    """The hypervisor says that something happened."""

    kind: EventKind
    id: str
    name: str
    #: State after the event.
    state: InstanceState
    #: When we heard of it, UTC.
    time: datetime
    #: The hypervisor's own words.
    detail: str = ""
