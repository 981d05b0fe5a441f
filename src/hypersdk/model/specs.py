"""What an instance shall be. Typed, so that a mistake is found before anything is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskSpec:
    """A disk to be made, or one that exists."""

    #: Name in the instance: ``vda``. Empty: the next free one.
    name: str = ""
    #: Bytes. 0: as large as ``path`` or ``base`` is.
    size: int = 0
    format: str = "qcow2"
    #: Where it is; made there when nothing is there. Empty: a volume of ``pool``.
    path: str = ""
    pool: str = ""
    #: Image whose content it begins with, as a copy-on-write overlay.
    base: str = ""
    #: ``virtio``, ``scsi``, ``sata``.
    bus: str = "virtio"


@dataclass(frozen=True, slots=True, kw_only=True)
class NicSpec:
    """A network card."""

    #: Name of a network of the hypervisor; empty: ``bridge``.
    network: str = ""
    #: Bridge of the host; both empty: user-mode networking.
    bridge: str = ""
    #: Empty: one is made.
    mac: str = ""
    model: str = "virtio"


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudInit:
    """First-boot settings in the NoCloud form of cloud-init."""

    hostname: str = ""
    user: str = ""
    #: Public keys that may log in as ``user``.
    ssh_keys: tuple[str, ...] = ()
    #: Whole documents; they replace what the fields above would give.
    user_data: str = ""
    network_config: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceSpec:
    """An instance to be made."""

    name: str
    vcpus: int = 1
    #: Room for hotplug; 0: as many as ``vcpus``.
    vcpus_maximum: int = 0
    #: Bytes, and room for hotplug (0: as much as ``memory``).
    memory: int = 1 << 30
    memory_maximum: int = 0
    disks: tuple[DiskSpec, ...] = ()
    nics: tuple[NicSpec, ...] = ()
    #: ``bios`` or ``uefi``.
    firmware: str = "bios"
    #: ISO image in a CD drive; empty: no drive.
    cdrom: str = ""
    cloud_init: CloudInit | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    #: ``kvm``, ``tcg``, or empty: KVM where it works.
    acceleration: str = ""
    #: Files for booting without a boot loader; empty for the usual way.
    kernel: str = ""
    initrd: str = ""
    kernel_arguments: str = ""
