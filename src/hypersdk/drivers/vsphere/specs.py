"""What an `InstanceSpec` becomes here, and what of it cannot be honoured."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import uuid4

from pyVmomi import vim

from hypersdk.drivers.specs import checked, refuse
from hypersdk.drivers.vsphere import tags
from hypersdk.drivers.vsphere.devices import (
    BUSES,
    DISK_MAX,
    NICS,
    Additions,
    place_named,
)
from hypersdk.drivers.vsphere.folders import datastore_file
from hypersdk.model.capabilities import Limit
from hypersdk.model.errors import InvalidInput, LimitExceeded, NotSupported
from hypersdk.model.specs import DiskSpec, InstanceSpec
from hypersdk.model.units import MIB, TIB

#: Of one machine (VMware configuration maximums, vSphere 8).
VCPUS_MAX = 768
MEMORY_MAX = 24 * TIB
#: vSphere gives memory in such steps. Bytes.
MEMORY_STEP = 4 * MIB
NAME_MAX = 80
#: Shares of one processor at the weight that everybody has: "normal" in vSphere.
_SHARES, _WEIGHT = 1000, 100
_SHARES_MAX = 1_000_000
#: A guest that vSphere offers paravirtual devices to, and asks nothing else of.
_GUEST = "otherLinux64Guest"
_FIRMWARE = {"bios": "bios", "uefi": "efi"}
_FOREIGN = ("image", "command")
_CONTAINER = "a machine has no such thing; containers do"
#: Field of a spec → why it cannot be honoured.
_LACKING = {
    "cloud_init": "no seed image is made; one can be given as cdrom",
    "env": _CONTAINER,
    "mounts": _CONTAINER,
    "ports": _CONTAINER,
    "pids_limit": _CONTAINER,
}
#: Fields that no aspect of the kit stands for.
_UNKNOWN = {
    "acceleration": "and vSphere always uses the processor's own",
    "kernel": "and vSphere boots from disks, CD drives and the network only",
    "initrd": "and vSphere boots from disks, CD drives and the network only",
    "kernel_arguments": "and vSphere boots from disks, CD drives and the network only",
}
LIMITS = (
    Limit("lifecycle.start_paused", "vSphere cannot power a machine on without running it"),
    *(Limit(f"lifecycle.{field}", why) for field, why in _LACKING.items()),
)


def check(spec: InstanceSpec) -> None:
    """What can be known to be wrong before vSphere is asked."""
    checked(spec)
    refuse(spec, _FOREIGN, "which a machine does not have")
    for field, why in _UNKNOWN.items():
        refuse(spec, (field,), why)
    for field, why in _LACKING.items():
        if getattr(spec, field):
            raise NotSupported(f"'{spec.name}' asks for {field}: {why}", hint="Leave it out.")
    check_name(spec.name)
    if spec.firmware not in _FIRMWARE:
        raise InvalidInput(
            f"there is no firmware '{spec.firmware}'", hint=f"One of {', '.join(_FIRMWARE)}."
        )
    check_vcpus(max(spec.vcpus, spec.vcpus_maximum))
    for memory in (spec.memory, spec.memory_maximum):
        check_memory(memory)
    if spec.cpu_weight and shares(spec.cpu_weight, spec.vcpus) > _SHARES_MAX:
        raise LimitExceeded(
            f"'{spec.name}' asks for a larger share of processor time than vSphere gives",
            hint=f"At most {_SHARES_MAX * _WEIGHT // _SHARES // spec.vcpus} with {spec.vcpus} "
            "processors.",
        )
    _check_disks(spec)
    _check_nics(spec)
    if spec.cdrom:
        datastore_file(spec.cdrom)


def check_name(name: str) -> None:
    """Raises InvalidInput for what we call no machine, template or snapshot. With slashes vSphere
    would take it, but the machine could not be told from a path, nor its folder on a datastore."""
    if not name.strip() or len(name) > NAME_MAX or not name.isprintable() or {*name} & {*"/\\"}:
        raise InvalidInput(
            f"{name[:100]!r} is no name for vSphere",
            hint=f"1 to {NAME_MAX} characters, without slashes and control characters.",
        )


def check_vcpus(count: int) -> None:
    if count < 1:
        raise InvalidInput(f"{count} processors are too few", hint="At least one.")
    if count > VCPUS_MAX:
        raise LimitExceeded(
            f"{count} processors are more than a machine can have", hint=f"At most {VCPUS_MAX}."
        )


def check_memory(size: int) -> None:
    """0 is fine: none was asked for."""
    if size > MEMORY_MAX:
        raise LimitExceeded(
            f"{size} bytes of memory are more than a machine can have",
            hint=f"At most {MEMORY_MAX // TIB} TiB.",
        )
    if size % MEMORY_STEP:
        raise InvalidInput(
            f"vSphere cannot give {size} bytes of memory", hint="Give whole multiples of 4 MiB."
        )


def check_disk(disk: DiskSpec) -> None:
    """Raises InvalidInput, LimitExceeded, NotSupported."""
    if disk.name:
        place_named(disk.name)
    if disk.path:
        datastore_file(disk.path)
    if disk.base:
        raise NotSupported(
            f"a disk begins with '{disk.base}'; vSphere makes no disk from an image here",
            hint="Clone a template, or import an OVA.",
        )
    if disk.bus not in BUSES:
        raise InvalidInput(
            f"there is no bus '{disk.bus}' for disks", hint=f"One of {', '.join(BUSES)}."
        )
    if disk.format not in {"qcow2", "vmdk"}:  # qcow2 is what a spec says that says nothing
        raise InvalidInput(
            f"a disk asks for the format '{disk.format}'", hint="vSphere has vmdk only."
        )
    if disk.size > DISK_MAX:
        raise LimitExceeded(
            f"a disk of {disk.size} bytes is larger than vSphere allows",
            hint=f"At most {DISK_MAX // TIB} TiB.",
        )
    if disk.size % 1024:
        raise InvalidInput(
            f"vSphere cannot make a disk of {disk.size} bytes", hint="Whole KiB only."
        )


def _check_disks(spec: InstanceSpec) -> None:
    for disk in spec.disks:
        check_disk(disk)
        if not disk.size and not disk.path:
            raise InvalidInput(f"a disk of '{spec.name}' has no size", hint="size is in bytes.")
    names = [disk.name for disk in spec.disks if disk.name]
    if len(names) != len({*names}):
        raise InvalidInput(f"two disks of '{spec.name}' have one name", hint="Leave the names out.")


def _check_nics(spec: InstanceSpec) -> None:
    macs = [nic.mac.lower() for nic in spec.nics if nic.mac]
    if len(macs) != len({*macs}):
        raise InvalidInput(
            f"two NICs of '{spec.name}' have the same MAC address", hint="Leave them out."
        )
    for nic in spec.nics:
        if nic.model not in NICS:
            raise InvalidInput(
                f"there is no NIC model '{nic.model}'", hint=f"One of {', '.join(sorted(NICS))}."
            )


def shares(weight: int, vcpus: int) -> int:
    """vSphere's shares are of the whole machine: a thousand for each processor are normal."""
    return weight * _SHARES // _WEIGHT * vcpus


def allocation(weight: int, limit: float, vcpus: int, mhz: int) -> Any:
    """The processor time of a machine: its weight, and its limit in processors of ``mhz``."""
    made = vim.ResourceAllocationInfo(reservation=0, limit=-1)
    made.shares = vim.SharesInfo(level="normal", shares=0)
    if weight:
        made.shares = vim.SharesInfo(level="custom", shares=shares(weight, vcpus))
    if limit:
        made.limit = max(1, round(limit * mhz))
    return made


def config_spec(spec: InstanceSpec, additions: Additions, datastore: str, mhz: int) -> Any:
    """What CreateVM takes. Both ids are made here: vSphere's simulators derive them from a path."""
    return vim.vm.ConfigSpec(
        name=spec.name,
        uuid=str(uuid4()),
        instanceUuid=str(uuid4()),
        guestId=_GUEST,
        firmware=_FIRMWARE[spec.firmware],
        numCPUs=spec.vcpus,
        numCoresPerSocket=1,
        memoryMB=spec.memory // MIB,
        cpuHotAddEnabled=spec.vcpus_maximum > spec.vcpus,
        memoryHotAddEnabled=spec.memory_maximum > spec.memory,
        cpuAllocation=allocation(spec.cpu_weight, spec.cpu_limit, spec.vcpus, mhz),
        changeTrackingEnabled=True,
        files=vim.vm.FileInfo(vmPathName=f"[{datastore}]"),
        deviceChange=additions.changes,
        extraConfig=[*tags.mark_options(), *tags.tag_options(spec.tags), *_room(spec)],
    )


def _room(spec: InstanceSpec) -> Iterable[Any]:
    if spec.vcpus_maximum:
        yield tags.option(tags.VCPUS_MAXIMUM, str(spec.vcpus_maximum))
    if spec.memory_maximum:
        yield tags.option(tags.MEMORY_MAXIMUM, str(spec.memory_maximum))
