"""An instance as an OVF descriptor tells it: what readers and writers of the format share."""

from __future__ import annotations

from dataclasses import dataclass

#: URI of streamOptimized VMDK (DSP0243 leaves the format of disks to such URIs).
STREAM_OPTIMIZED = "http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"


@dataclass(frozen=True, slots=True, kw_only=True)
class OvfDisk:
    """A virtual disk and the file that holds it."""

    #: Id within the descriptor: ``vmdisk1``.
    id: str
    #: Name of its file, beside the descriptor; empty for an empty disk without a file.
    file: str
    #: Bytes that the guest sees.
    capacity: int
    #: URI of the format.
    format: str = STREAM_OPTIMIZED
    #: Bytes of the file; 0 where the descriptor does not say.
    file_size: int = 0
    #: Bytes of data in it; 0 where the descriptor does not say.
    populated: int = 0
    #: ``gzip`` when the whole file is packed; else ``identity``.
    compression: str = "identity"
    #: ``scsi``, ``sata``, ``ide``, ``nvme``, ``virtio``.
    bus: str = "scsi"
    #: Kind of its controller in the words of the producer: ``lsilogic``, ``VirtualSCSI``, ``AHCI``.
    controller: str = ""
    #: Number of its controller among those of its bus, and its place there.
    controller_number: int = 0
    unit: int = 0
    #: Place in the boot order, from 0; None: it has none.
    boot_order: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OvfNic:
    """A network card."""

    #: Name of the network in the descriptor.
    network: str
    #: ``E1000``, ``VmxNet3``, ``virtio``; empty where the descriptor does not say.
    model: str = ""
    #: Empty where the descriptor does not say.
    mac: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OvfMachine:
    """One virtual system."""

    name: str
    vcpus: int
    #: Bytes.
    memory: int
    disks: tuple[OvfDisk, ...] = ()
    nics: tuple[OvfNic, ...] = ()
    #: ``bios`` or ``uefi``.
    firmware: str = "bios"
    secure_boot: bool = False
    #: CIM's number of the operating system (94 Ubuntu 64-bit …); 1: other.
    os_id: int = 1
    #: The producer's word for it: ``ubuntu64Guest``.
    os_type: str = ""
    #: Hardware version of the producer: ``vmx-19``.
    hardware: str = ""
    description: str = ""
    #: Other files it refers to: NVRAM, ISO images.
    files: tuple[str, ...] = ()
