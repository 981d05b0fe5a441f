"""Instances on the wire: what was observed, and what can be asked of them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from hypersdk.contract.base import Answer, Asked, Moment

StateWord = Literal["running", "paused", "stopped", "crashed", "unknown"]


class DiskRecord(Answer):
    """A disk of an instance. Bytes."""

    name: str
    size: int
    format: str = "raw"
    path: str = ""
    purpose: str = "disk"


class InstanceRecord(Answer):
    """An instance as observed at one moment."""

    hypervisor: str
    id: str
    name: str
    state: StateWord
    vcpus: int
    #: Bytes.
    memory: int
    disks: list[DiskRecord] = []
    tags: dict[str, str] = {}
    #: Made by HyperSDK.
    owned: bool = False
    folder: str = ""
    image: str = ""


class InstancesRecord(Answer):
    """Part of the list of instances."""

    items: list[InstanceRecord]
    next: str | None = None
    #: Seconds since the oldest of the lists was asked for.
    age: float = 0.0
    #: Hypervisor → why its instances are missing here.
    unreachable: dict[str, str] = {}


class InstanceDetailsRecord(Answer):
    """All that is known of an instance and its surroundings; null: not known."""

    instance: InstanceRecord
    #: As in the Python API: ``disks``, ``nics``, ``devices``, ``storage``, ``guest`` …
    details: dict[str, Any]


class NewDiskRecord(Asked):
    """A disk to be made, or one that exists."""

    name: str = ""
    #: Bytes; 0: as large as ``path`` or ``base``.
    size: int = Field(default=0, ge=0, le=1 << 60)
    format: str = "qcow2"
    path: str = ""
    pool: str = ""
    base: str = ""
    bus: str = "virtio"


class NewNicRecord(Asked):
    network: str = ""
    bridge: str = ""
    mac: str = ""
    model: str = "virtio"


class CloudInitRecord(Asked):
    """First-boot settings. They hold no secrets that must not be read on the hypervisor."""

    hostname: str = ""
    user: str = ""
    ssh_keys: list[str] = []
    user_data: str = ""
    network_config: str = ""


class MountRecord(Asked):
    source: str
    target: str
    read_only: bool = False


class PortRecord(Asked):
    host: int = Field(ge=1, le=65535)
    inside: int = Field(ge=1, le=65535)
    protocol: Literal["tcp", "udp"] = "tcp"
    address: str = "127.0.0.1"


class NewInstanceRecord(Asked):
    """An instance to be; a hypervisor refuses what it cannot honour."""

    name: str = Field(min_length=1, max_length=256)
    vcpus: int = Field(default=1, ge=1, le=4096)
    cpu_weight: int = Field(default=0, ge=0, le=10_000)
    cpu_limit: float = Field(default=0.0, ge=0, le=4096)
    vcpus_maximum: int = Field(default=0, ge=0, le=4096)
    #: Bytes.
    memory: int = Field(default=1 << 30, ge=1 << 20, le=1 << 50)
    memory_maximum: int = Field(default=0, ge=0, le=1 << 50)
    disks: list[NewDiskRecord] = []
    nics: list[NewNicRecord] = []
    firmware: Literal["bios", "uefi"] = "bios"
    cdrom: str = ""
    cloud_init: CloudInitRecord | None = None
    tags: dict[str, str] = {}
    folder: str = ""
    acceleration: Literal["", "kvm", "tcg"] = ""
    kernel: str = ""
    initrd: str = ""
    kernel_arguments: str = ""
    image: str = ""
    command: list[str] = []
    env: dict[str, str] = {}
    mounts: list[MountRecord] = []
    ports: list[PortRecord] = []
    pids_limit: int = Field(default=0, ge=0, le=1 << 31)


class StartOrder(Asked):
    #: With its processors halted.
    paused: bool = False


class StopOrder(Asked):
    #: Cut the power at once.
    force: bool = False
    #: Seconds that the guest may take.
    timeout: float = Field(default=45.0, gt=0, le=600)


class SnapshotOrder(Asked):
    """A snapshot to be made."""

    name: str = Field(min_length=1, max_length=256)
    description: str = Field(default="", max_length=4096)
    #: With the running state.
    memory: bool = False
    #: With the filesystems frozen by the guest's agent.
    quiesce: bool = False


class SnapshotRecord(Answer):
    """A point in time that the hypervisor keeps."""

    name: str
    created: Moment
    #: Name of the snapshot before it.
    parent: str = ""
    current: bool = False
    state: StateWord
    memory: bool = False
    disks: dict[str, str] = {}
    description: str = ""


class SnapshotsRecord(Answer):
    """Parents before children."""

    items: list[SnapshotRecord]


class DisksRecord(Answer):
    items: list[DiskRecord]


class DiskMetricsRecord(Answer):
    """Counters since the start of the instance. Bytes, requests, nanoseconds."""

    disk: str
    read_bytes: int
    read_requests: int
    write_bytes: int
    write_requests: int
    flush_requests: int
    read_nanoseconds: int
    write_nanoseconds: int
    allocation: int
    capacity: int


class NicMetricsRecord(Answer):
    name: str
    received_bytes: int
    received_packets: int
    sent_bytes: int
    sent_packets: int
    errors: int


class MetricsRecord(Answer):
    """What an instance uses. Counters begin when it is started."""

    name: str
    state: StateWord
    cpu_nanoseconds: int
    vcpus: int
    memory: int
    memory_maximum: int
    memory_resident: int
    disks: list[DiskMetricsRecord] = []
    nics: list[NicMetricsRecord] = []


class ConsoleRecord(Answer):
    """Ways to see what a person in front of the machine would see; empty paths: there is none."""

    #: ``vnc`` or ``spice``; empty: no screen now.
    kind: str = ""
    #: Paths of WebSockets of this daemon.
    vnc: str = ""
    serial: str = ""
    #: Path of a PNG.
    screenshot: str = ""
    #: Why there is no screen.
    note: str = ""


class KeysOrder(Asked):
    """Keys that are pressed at once: ``["ctrl", "alt", "delete"]``."""

    keys: list[str] = Field(min_length=1, max_length=16)
