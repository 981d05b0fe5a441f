"""What can be seen of a machine besides its disks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from hypersdk.model.instances import InstanceState


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A point in time that the hypervisor keeps."""

    name: str
    #: UTC.
    created: datetime
    #: Name of the snapshot before it; empty for a root of the tree.
    parent: str
    #: True for the one that the instance's present content descends from.
    current: bool
    #: State of the instance at that moment.
    state: InstanceState
    #: True when the running state is kept too, so that reverting resumes there.
    memory: bool
    #: Disk → ``internal`` (inside its image), ``external`` (an overlay), ``no``.
    disks: Mapping[str, str] = field(default_factory=dict)
    description: str = ""


@dataclass(frozen=True, slots=True)
class DiskMetrics:
    """Counters of one disk since the instance was started. Bytes, requests, nanoseconds."""

    disk: str
    read_bytes: int
    read_requests: int
    write_bytes: int
    write_requests: int
    flush_requests: int
    read_nanoseconds: int
    write_nanoseconds: int
    #: Bytes of the image on its storage.
    allocation: int
    #: Bytes the guest sees.
    capacity: int


@dataclass(frozen=True, slots=True)
class NicMetrics:
    """Counters of one NIC since the instance was started."""

    name: str
    received_bytes: int
    received_packets: int
    sent_bytes: int
    sent_packets: int
    #: Errors and drops of both directions.
    errors: int


@dataclass(frozen=True, slots=True)
class InstanceMetrics:
    """What one instance uses. Counters begin when it is started; zero when it is stopped."""

    name: str
    state: InstanceState
    #: Nanoseconds of processor time of all vCPUs and the emulator.
    cpu_nanoseconds: int
    vcpus: int
    #: Bytes: what it was given now, and at most.
    memory: int
    memory_maximum: int
    #: Bytes of the host's memory in use for it.
    memory_resident: int
    disks: tuple[DiskMetrics, ...] = ()
    nics: tuple[NicMetrics, ...] = ()


@dataclass(frozen=True, slots=True)
class Display:
    """Where a screen can be watched."""

    #: ``vnc`` or ``spice``.
    kind: str
    #: Host and port; a unix socket instead when ``socket`` is not empty.
    host: str
    port: int
    socket: str = ""


@dataclass(frozen=True, slots=True)
class GuestFilesystem:
    """A filesystem as the guest sees it. Bytes."""

    mountpoint: str
    type: str
    total: int
    used: int


@dataclass(frozen=True, slots=True)
class GuestInfo:
    """What the agent inside the guest says. Empty where it does not know."""

    hostname: str = ""
    os: str = ""
    kernel: str = ""
    agent_version: str = ""
    #: IP addresses, without those of the loopback.
    addresses: tuple[str, ...] = ()
    filesystems: tuple[GuestFilesystem, ...] = ()
