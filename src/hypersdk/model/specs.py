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
class MountSpec:
    """A folder or volume of the host inside a container."""

    #: Absolute path on the host, or the name of a volume, which is made when it does not exist.
    source: str
    #: Absolute path in the container.
    target: str
    read_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PortSpec:
    """A port of the host that leads into a container."""

    host: int
    inside: int
    #: ``tcp`` or ``udp``.
    protocol: str = "tcp"
    #: Address of the host to listen on.
    address: str = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceSpec:
    """An instance to be made. A driver refuses (InvalidInput) what it cannot honour."""

    name: str
    #: Processors that the guest sees; a container's share of time when ``cpu_limit`` is 0.
    vcpus: int = 1
    #: Share of processor time when there is not enough, 1 to 10000, as ``cpu.weight`` of cgroups
    #: (everybody has 100); 0: the hypervisor's default.
    cpu_weight: int = 0
    #: Processors' worth of time that it may use at most, such as 0.5; 0: as many as ``vcpus``.
    cpu_limit: float = 0.0
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
    #: Where people look for it: ``prod/web``.
    folder: str = ""
    #: ``kvm``, ``tcg``, or empty: KVM where it works.
    acceleration: str = ""
    #: Files for booting without a boot loader; empty for the usual way.
    kernel: str = ""
    initrd: str = ""
    kernel_arguments: str = ""
    #: Container image. Containers have one; machines begin with ``disks[].base``.
    image: str = ""
    #: What a container runs; empty: what its image says.
    command: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[MountSpec, ...] = ()
    ports: tuple[PortSpec, ...] = ()
    #: Processes and threads a container may have at once; 0: no limit.
    pids_limit: int = 0
