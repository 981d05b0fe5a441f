"""What an instance is: the content of its ``definition.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from hypersdk.model.errors import NotFound
from hypersdk.model.instances import Disk, InstanceState
from hypersdk.model.machines import Snapshot

FORMAT = 1
#: Bytes that one bit of a dirty bitmap stands for: the size of a qcow2 cluster.
GRANULARITY = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskRecord:
    """A disk. Its name is also the name of its device in QEMU."""

    name: str
    path: str
    format: str
    #: Bytes.
    size: int
    bus: str = "virtio"
    #: Image that it was made over; empty when it stands alone.
    base: str = ""
    #: PCIe port that its device sits on, always the same one; -1 for a bus other than virtio.
    port: int = -1

    def observed(self) -> Disk:
        granularity = GRANULARITY if self.format == "qcow2" else 0
        return Disk(self.name, self.size, self.format, self.path, granularity=granularity)


@dataclass(frozen=True, slots=True, kw_only=True)
class NicRecord:
    """A network card in user-mode networking."""

    mac: str
    model: str = "virtio"
    #: It reaches nothing, not even the host.
    isolated: bool = False
    #: PCIe port that its device sits on.
    port: int = -1

    @property
    def device(self) -> str:
        """Name of its device in QEMU."""
        return f"nic-{self.mac.replace(':', '')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotRecord:
    """A snapshot, and all that reverting needs."""

    name: str
    #: ISO 8601, UTC.
    created: str
    parent: str = ""
    state: str
    memory: bool = False
    #: ``internal``: kept in the images under `tag`; ``external``: the images of that moment are
    #: kept, and overlays hold what came later.
    kind: str = "internal"
    #: Its name within the images: QEMU takes digits for an id.
    tag: str = ""
    description: str = ""
    #: The instance as it was defined then; without its snapshots.
    machine: Mapping[str, Any] = field(default_factory=dict)

    def observed(self, current: str) -> Snapshot:
        disks = {str(disk["name"]): self.kind for disk in self.machine["disks"]}
        return Snapshot(
            name=self.name,
            created=datetime.fromisoformat(self.created).astimezone(UTC),
            parent=self.parent,
            current=self.name == current,
            state=InstanceState(self.state),
            memory=self.memory,
            disks=disks,
            description=self.description,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineRecord:
    """An instance. Sizes in bytes."""

    id: str
    name: str
    #: Processors and memory that it has soldered in; then sockets of processors, and sizes of
    #: memory modules, that were plugged in later. Saved memory is loaded only into the same ones.
    vcpus: int
    processors: tuple[int, ...] = ()
    vcpus_maximum: int
    memory: int
    modules: tuple[int, ...] = ()
    memory_maximum: int
    #: QEMU's versioned name of the machine: what was saved with one version is loaded with it.
    machine: str
    disks: tuple[DiskRecord, ...] = ()
    nics: tuple[NicRecord, ...] = ()
    #: Image in its CD drive; empty for an empty drive, None without a drive.
    cdrom: str | None = None
    #: ``kvm``, ``tcg``, or empty: what works when it is started.
    acceleration: str = ""
    kernel: str = ""
    initrd: str = ""
    kernel_arguments: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    folder: str = ""
    snapshots: tuple[SnapshotRecord, ...] = ()
    #: Name of the snapshot that the present content descends from.
    current: str = ""

    @property
    def all_vcpus(self) -> int:
        return self.vcpus + len(self.processors)

    @property
    def all_memory(self) -> int:
        return self.memory + sum(self.modules)

    @property
    def ports(self) -> frozenset[int]:
        """PCIe ports that are taken."""
        disks = {disk.port for disk in self.disks}
        return frozenset(disks | {nic.port for nic in self.nics}) - {-1}

    def disk(self, name: str) -> DiskRecord:
        """Raises NotFound naming those that exist."""
        for disk in self.disks:
            if disk.name == name:
                return disk
        known = ", ".join(disk.name for disk in self.disks) or "none"
        raise NotFound(f"'{self.name}' has no disk '{name}'", hint=f"Its disks: {known}.")

    def snapshot(self, name: str) -> SnapshotRecord:
        """Raises NotFound naming those that exist."""
        for snapshot in self.snapshots:
            if snapshot.name == name:
                return snapshot
        known = ", ".join(snapshot.name for snapshot in self.snapshots) or "none"
        raise NotFound(f"'{self.name}' has no snapshot '{name}'", hint=f"Its snapshots: {known}.")

    def with_disk(self, disk: DiskRecord) -> MachineRecord:
        """With a disk in place of the one of its name, or behind the others."""
        if any(other.name == disk.name for other in self.disks):
            kept = tuple(disk if other.name == disk.name else other for other in self.disks)
            return replace(self, disks=kept)
        return replace(self, disks=(*self.disks, disk))

    def plain(self) -> dict[str, Any]:
        """As JSON, without what is about snapshots."""
        content = asdict(self)
        del content["snapshots"], content["current"]
        return content

    def encode(self) -> bytes:
        content = {"format": FORMAT, **asdict(self)}
        return json.dumps(content, indent=2, ensure_ascii=False).encode()


def decode(content: bytes) -> MachineRecord:
    """Raises KeyError, TypeError or ValueError for anything that ``encode`` did not write."""
    raw = json.loads(content)
    if raw.pop("format") != FORMAT:
        raise ValueError("it was written by a later version")
    return from_plain(raw)


def from_plain(raw: Mapping[str, Any]) -> MachineRecord:
    """The record of what `MachineRecord.plain` gave. Raises KeyError, TypeError."""
    parts: dict[str, Any] = {
        **raw,
        "processors": tuple(raw["processors"]),
        "modules": tuple(raw["modules"]),
        "disks": tuple(DiskRecord(**disk) for disk in raw["disks"]),
        "nics": tuple(NicRecord(**nic) for nic in raw["nics"]),
        "snapshots": tuple(SnapshotRecord(**kept) for kept in raw.get("snapshots", ())),
    }
    return MachineRecord(**parts)
