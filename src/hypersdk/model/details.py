"""All that a hypervisor tells of an instance that matters when it is to leave: for a person who
looks at it, and for the rules that say beforehand what would go wrong (`flows.preflight`).

None, and empty text, mean: not known, or the hypervisor has no such thing. Nothing here is guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hypersdk.model.instances import Instance


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskDetails:
    """A disk as its hypervisor keeps it."""

    #: As in `instances.Disk`.
    name: str
    #: Bytes.
    size: int
    #: Where: ``[datastore1] web/web.vmdk``.
    path: str = ""
    #: Name of the datastore or pool.
    storage: str = ""
    #: ``file``, ``rdm-physical``, ``rdm-virtual``, ``device``.
    backing: str = "file"
    #: Left out of snapshots, thus of reads while it runs (VMware's independent modes).
    independent: bool | None = None
    #: Other instances may write to it at the same time.
    shared: bool | None = None
    thin: bool | None = None
    #: Its changed blocks are recorded.
    changed_blocks: bool | None = None
    serial: str = ""
    #: ``scsi0:1``.
    place: str = ""
    #: Kind of its controller: ``pvscsi``, ``lsilogic``, ``nvme``.
    controller: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NicDetails:
    """A network card."""

    name: str
    mac: str = ""
    network: str = ""
    #: ``vmxnet3``, ``e1000``, ``sriov``.
    model: str = ""
    connected: bool | None = None
    #: That the guest reports on it.
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceDetails:
    """A device besides disks and NICs."""

    #: ``usb``, ``passthrough``, ``vgpu``, ``sriov``, ``tpm``, ``cdrom``, ``floppy``, ``serial``.
    kind: str
    name: str
    #: What is behind it: an ISO image, a device of the host.
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesystemDetails:
    """A filesystem as the guest reports it. Bytes."""

    path: str
    size: int
    free: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestDetails:
    """What runs inside, as far as its agent tells."""

    #: An agent or tools answer; None: not known.
    agent: bool | None = None
    hostname: str = ""
    #: In words: ``Ubuntu Linux (64-bit)``.
    os: str = ""
    #: The hypervisor's id of it: ``ubuntu64Guest``.
    os_id: str = ""
    addresses: tuple[str, ...] = ()
    filesystems: tuple[FilesystemDetails, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageDetails:
    """A datastore or pool that holds disks of the instance. Bytes."""

    name: str
    #: ``VMFS``, ``NFS``, ``vsan``, ``dir``.
    kind: str = ""
    accessible: bool | None = None
    capacity: int | None = None
    free: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceDetails:
    """One instance, its surroundings included, as observed at one moment."""

    instance: Instance
    #: Where it is in the inventory: ``DC0/vm/prod/web``.
    path: str = ""
    datacenter: str = ""
    host: str = ""
    cluster: str = ""
    #: Product and version of what runs it: ``VMware ESXi 8.0.2``.
    product: str = ""
    #: ``bios`` or ``uefi``.
    firmware: str = ""
    secure_boot: bool | None = None
    #: Virtual hardware version: ``vmx-19``, ``pc-q35-7.2``.
    hardware: str = ""
    template: bool | None = None
    encrypted: bool | None = None
    #: Bytes that it occupies on storage.
    stored: int | None = None
    snapshots: int | None = None
    #: Left-over snapshot files want to be merged.
    consolidation_needed: bool | None = None
    #: Changed blocks are recorded for the whole instance; its disks have a flag of their own.
    changed_blocks: bool | None = None
    changed_blocks_supported: bool | None = None
    cpu_affinity: bool | None = None
    numa_affinity: bool | None = None
    #: A rule of its cluster binds it to hosts or other instances.
    host_affinity: bool | None = None
    cpu_hotplug: bool | None = None
    memory_hotplug: bool | None = None
    fault_tolerance: bool | None = None
    #: Its cluster moves instances (DRS), or powers hosts off (DPM), by itself.
    balanced: bool | None = None
    power_managed: bool | None = None
    disks: tuple[DiskDetails, ...] = ()
    nics: tuple[NicDetails, ...] = ()
    devices: tuple[DeviceDetails, ...] = ()
    storage: tuple[StorageDetails, ...] = ()
    guest: GuestDetails = field(default_factory=GuestDetails)
    #: Advanced settings, as name → value.
    settings: Mapping[str, str] = field(default_factory=dict)
    #: Privileges that reading it needs and that we lack; None: not known.
    missing_privileges: tuple[str, ...] | None = None
    #: How its disks would be read now, and why so: a sentence.
    reading: str = ""
