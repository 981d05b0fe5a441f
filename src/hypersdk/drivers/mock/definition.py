"""What the mock hypervisor knows of an instance: the content of ``definition.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hypersdk.model.errors import NotFound

#: Of all files of the mock hypervisor. 1 had no more than id, name, vcpus, memory, tags and disks;
#: what it lacks gets the values below.
FORMAT = 2


@dataclass(frozen=True, slots=True)
class MockDisk:
    """A disk as the definition holds it."""

    name: str
    #: Unique in the world, free of ``:`` and ``/``.
    id: str
    #: Bytes.
    size: int
    bus: str = "virtio"


@dataclass(frozen=True, slots=True)
class MockNic:
    """A network card. Nothing is sent."""

    mac: str
    network: str = ""
    bridge: str = ""
    model: str = "virtio"
    #: False: its cable is pulled.
    linked: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class MockDefinition:
    """One instance. Sizes in bytes."""

    id: str
    name: str
    vcpus: int
    memory: int
    tags: Mapping[str, str] = field(default_factory=dict)
    disks: tuple[MockDisk, ...] = ()
    nics: tuple[MockNic, ...] = ()
    #: Room for hotplug; 0: none beyond what it has.
    vcpus_maximum: int = 0
    memory_maximum: int = 0
    #: 0: not set.
    cpu_weight: int = 0
    cpu_limit: float = 0.0
    pids_limit: int = 0
    owned: bool = False
    #: One to clone from; it cannot be started.
    template: bool = False
    folder: str = ""
    image: str = ""
    #: CD drive → path of the image in it, empty without one.
    drives: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    #: What else it was asked for, kept as it was said: firmware, kernel, cloud_init, command.
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def vcpus_room(self) -> int:
        return max(self.vcpus, self.vcpus_maximum)

    @property
    def memory_room(self) -> int:
        return max(self.memory, self.memory_maximum)

    def disk(self, name: str) -> MockDisk:
        """The disk of this name. Raises NotFound naming those that exist."""
        for disk in self.disks:
            if disk.name == name:
                return disk
        known = ", ".join(disk.name for disk in self.disks) or "none"
        raise NotFound(f"'{self.name}' has no disk '{name}'", hint=f"Its disks: {known}.")

    def encode(self) -> bytes:
        content = {
            "format": FORMAT,
            "id": self.id,
            "name": self.name,
            "vcpus": self.vcpus,
            "memory": self.memory,
            "tags": dict(self.tags),
            "disks": [_plain(disk) for disk in self.disks],
            "nics": [_plain(nic) for nic in self.nics],
            **{name: getattr(self, name) for name in _OPTIONAL},
        }
        return json.dumps(content, indent=2, ensure_ascii=False).encode()

    @classmethod
    def decode(cls, content: bytes) -> MockDefinition:
        """Raises KeyError, TypeError or ValueError for anything that ``encode`` did not write."""
        raw = json.loads(content)
        if raw.get("format", 1) > FORMAT:
            raise ValueError(f"it has format {raw['format']}, this version knows {FORMAT}")
        return cls(
            id=raw["id"],
            name=raw["name"],
            vcpus=raw["vcpus"],
            memory=raw["memory"],
            tags=raw["tags"],
            disks=tuple(MockDisk(**disk) for disk in raw["disks"]),
            nics=tuple(MockNic(**nic) for nic in raw.get("nics", ())),
            **{name: raw[name] for name in _OPTIONAL if name in raw},
        )


_OPTIONAL = (
    "vcpus_maximum",
    "memory_maximum",
    "cpu_weight",
    "cpu_limit",
    "pids_limit",
    "owned",
    "template",
    "folder",
    "image",
    "drives",
    "env",
    "settings",
)


def _plain(record: MockDisk | MockNic) -> dict[str, Any]:
    return {name: getattr(record, name) for name in type(record).__slots__}
