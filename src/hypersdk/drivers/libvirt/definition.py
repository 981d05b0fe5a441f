"""What an `InstanceSpec` is as libvirt's domain XML (https://libvirt.org/formatdomain.html).

A machine as one would buy it today: q35, everything virtio, a random number generator, a channel
for the guest agent, a serial console, a screen on 127.0.0.1. Room for memory is given by the
balloon: the guest starts with the maximum and gives back what it is not to have.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from hypersdk.drivers import specs
from hypersdk.drivers.libvirt.elements import document, element
from hypersdk.drivers.libvirt.marks import Marks, mark
from hypersdk.model.errors import InvalidInput
from hypersdk.model.specs import DiskSpec, InstanceSpec, NicSpec

#: Free sockets for disks and NICs that are plugged in later. A q35 machine has none by itself.
_SPARE_SOCKETS = 8
#: Of devices that every machine gets: USB, serial, SCSI, balloon, generator, video.
_OWN_SOCKETS = 6

#: What everybody has: ``cpu_weight`` of a spec, ``cpu.weight`` of cgroups v2, ``cpu.shares`` of v1.
USUAL_WEIGHT = V2_SHARES = 100
V1_SHARES = 1024

_BUSES = {"virtio": "vd", "scsi": "sd", "sata": "sd"}
_FORMATS = frozenset({"qcow2", "raw"})
_FIRMWARE = frozenset({"bios", "uefi"})
_ACCELERATION = frozenset({"", "kvm", "tcg"})
_ACCEPTED = (
    "firmware: bios, uefi; acceleration: kvm, tcg, or none; an initrd and arguments go with a "
    "kernel; cpu_limit: 0.01 and more."
)
#: Of a name. Files are called by it, with a disk's name and a suffix behind it.
_NAME_BYTES = 200
#: What `InstanceSpec` has for containers.
OF_CONTAINERS = ("image", "command", "env", "mounts", "ports", "pids_limit")
#: Of one processor's time. The kernel gives out no less than 1 ms of each period.
_LEAST_LIMIT = 0.01
_PERIOD_MICROSECONDS = 100_000
_MAC = re.compile(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}")
#: Characters that XML 1.0 cannot express, and line breaks, which no name survives.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


#: Architecture → the machine that we make; others get the host's default.
MACHINES = {"x86_64": "q35", "aarch64": "virt", "riscv64": "virt"}


@dataclass(frozen=True, slots=True)
class Platform:
    """What the host runs domains as."""

    #: libvirt's ``<domain type=…>``: ``kvm``, ``qemu``, ``test``.
    type: str
    arch: str
    #: Empty: the host's default.
    machine: str = ""
    #: What everybody's share of processor time is called there: 1024 with cgroups v1, 100 with v2.
    usual_shares: int = V2_SHARES


@dataclass(frozen=True, slots=True)
class PlacedDisk:
    """A disk that exists now."""

    #: ``vda``.
    target: str
    bus: str
    format: str
    path: str
    #: True for a block device.
    device: bool = False


def checked(spec: InstanceSpec) -> InstanceSpec:
    """``spec`` as it is. Raises InvalidInput for what no domain can be."""
    check_name(spec.name)
    specs.checked(spec)
    specs.refuse(spec, OF_CONTAINERS, "which machines do not have")
    for problem, wrong in (
        (f"has an unknown firmware '{spec.firmware}'", spec.firmware not in _FIRMWARE),
        (f"has an unknown acceleration '{spec.acceleration}'",
         spec.acceleration not in _ACCELERATION),
        ("has an initrd or arguments without a kernel",
         not spec.kernel and bool(spec.initrd or spec.kernel_arguments)),
        ("has a CPU limit below 0.01", 0 < spec.cpu_limit < _LEAST_LIMIT),
    ):  # fmt: skip
        if wrong:
            raise InvalidInput(f"'{spec.name}' {problem}", hint=_ACCEPTED)
    for disk in spec.disks:
        _check_disk(spec.name, disk)
    for nic in spec.nics:
        if nic.mac and not _MAC.fullmatch(nic.mac):
            raise InvalidInput(
                f"'{nic.mac}' is not a MAC address", hint="52:54:00:12:34:56 is one."
            )
    targets(spec.disks)
    for text in (*spec.tags, *spec.tags.values(), spec.folder):
        if _UNPRINTABLE.search(text):
            raise InvalidInput(f"{text!r} cannot be kept", hint="Leave control characters out.")
    return spec


def check_name(name: str) -> None:
    """Raises InvalidInput for what libvirt or a file system does not take as a name."""
    odd = not name.strip() or "/" in name or _UNPRINTABLE.search(name) or name.startswith(".")
    if odd or len(name.encode()) > _NAME_BYTES:
        raise InvalidInput(
            f"{name!r} cannot be the name of a domain",
            hint=f"Any text of up to {_NAME_BYTES} bytes can without slashes, control characters, "
            "and a dot at its beginning.",
        )


def _check_disk(name: str, disk: DiskSpec) -> None:
    what = f"disk '{disk.name or disk.path or 'without a name'}' of '{name}'"
    if disk.bus not in _BUSES:
        raise InvalidInput(f"{what} has an unknown bus '{disk.bus}'", hint="virtio, scsi, sata.")
    if disk.format not in _FORMATS:
        raise InvalidInput(f"{what} has an unknown format '{disk.format}'", hint="qcow2 or raw.")
    if disk.size < 0:
        raise InvalidInput(f"{what} cannot have {disk.size} bytes", hint="size=10 * GIB")
    if disk.path and not disk.path.startswith("/"):
        raise InvalidInput(
            f"the path of {what} is not absolute: {disk.path}", hint="/srv/images/web.qcow2 is."
        )
    if disk.path and disk.pool:
        raise InvalidInput(f"{what} has both a path and a pool", hint="Give one of them.")
    if disk.base and disk.format != "qcow2":
        raise InvalidInput(f"{what} cannot be an overlay: only qcow2 can", hint="format='qcow2'")


def targets(disks: Sequence[DiskSpec]) -> list[str]:
    """Names of disks in the guest, those that are given as they are. Raises InvalidInput."""
    given = Counter(disk.name for disk in disks if disk.name)
    for name, count in given.items():
        if count > 1:
            raise InvalidInput(f"{count} disks are called '{name}'", hint="Leave names out.")
        if not re.fullmatch(r"[svh]d[a-z]{1,3}", name):
            raise InvalidInput(f"'{name}' is not the name of a disk", hint="vda, vdb, sda … are.")
    taken = set(given)
    result = []
    for disk in disks:
        name = disk.name or free_target(_BUSES[disk.bus], taken)
        taken.add(name)
        result.append(name)
    return result


def free_target(prefix: str, taken: Iterable[str]) -> str:
    """The first of vda … vdz that is not taken."""
    occupied = set(taken)
    for letter in "abcdefghijklmnopqrstuvwxyz":
        if prefix + letter not in occupied:
            return prefix + letter
    raise InvalidInput(
        f"there is no name left for another disk {prefix}…", hint="26 disks are the most here."
    )


def domain_xml(
    spec: InstanceSpec,
    platform: Platform,
    uuid: str,
    disks: Sequence[PlacedDisk],
    *,
    seed: str = "",
) -> str:
    """``seed``: path of the cloud-init image."""
    memory = str(spec.memory_maximum or spec.memory)
    vcpus = str(spec.vcpus_maximum or spec.vcpus)
    root = element(
        "domain",
        element("name", text=spec.name),
        element("uuid", text=uuid),
        element("memory", unit="bytes", text=memory),
        element("currentMemory", unit="bytes", text=str(spec.memory)),
        element("vcpu", current=str(spec.vcpus), text=vcpus),
        *_tuning(spec, platform),
        _os(spec, platform),
        element("features", *(element(name) for name in _features(platform))),
        *_processor(platform),
        element("clock", offset="utc"),
        element("devices", *_devices(spec, platform, disks, seed)),
        type=platform.type,
    )
    mark(root, Marks(made=True, folder=spec.folder, seed=seed, tags=spec.tags))
    return document(root)


def _tuning(spec: InstanceSpec, platform: Platform) -> Iterator[Element]:
    """Shares go as they are to the host's control groups, so they count in their measure; the
    limit is that of the whole machine (``global_``), not of each of its processors."""
    children = []
    if spec.cpu_weight:
        least = 2 if platform.usual_shares == V1_SHARES else 1  # as the kernel wants it
        shares = max(least, round(spec.cpu_weight * platform.usual_shares / USUAL_WEIGHT))
        children.append(element("shares", text=str(shares)))
    if spec.cpu_limit:
        quota = round(spec.cpu_limit * _PERIOD_MICROSECONDS)
        children.append(element("global_period", text=str(_PERIOD_MICROSECONDS)))
        children.append(element("global_quota", text=str(quota)))
    if children:
        yield element("cputune", *children)


def _os(spec: InstanceSpec, platform: Platform) -> Element:
    root = element(
        "os",
        element("type", arch=platform.arch, machine=platform.machine, text="hvm"),
        firmware="efi" if spec.firmware == "uefi" else "",
    )
    if spec.firmware == "uefi":
        # Without keys the firmware starts every boot loader, also one that nobody has signed.
        keys = element("feature", enabled="no", name="enrolled-keys")
        root.append(element("firmware", keys))
    if spec.kernel:
        root.append(element("kernel", text=spec.kernel))
        if spec.initrd:
            root.append(element("initrd", text=spec.initrd))
        if spec.kernel_arguments:
            root.append(element("cmdline", text=spec.kernel_arguments))
        return root
    root.append(element("boot", dev="hd"))
    if spec.cdrom:
        # Second: an empty disk lets the installer start, an installed one does not.
        root.append(element("boot", dev="cdrom"))
    return root


def _features(platform: Platform) -> tuple[str, ...]:
    if platform.arch in {"x86_64", "i686"}:
        return ("acpi", "apic")
    return ("acpi",) if platform.arch == "aarch64" else ()


def _processor(platform: Platform) -> Iterable[Element]:
    """All that the host can: what KVM passes through, or what the emulator knows."""
    if platform.type == "kvm":
        yield element("cpu", mode="host-passthrough", migratable="on")
    elif platform.type == "qemu":
        yield element("cpu", mode="maximum")


def _devices(
    spec: InstanceSpec, platform: Platform, disks: Sequence[PlacedDisk], seed: str
) -> Iterable[Element]:
    if platform.machine in {"q35", "virt"}:
        yield element("controller", type="pci", model="pcie-root")
        for _ in range(len(disks) + len(spec.nics) + _OWN_SOCKETS + _SPARE_SOCKETS):
            yield element("controller", type="pci", model="pcie-root-port")
    if any(disk.bus == "scsi" for disk in disks):
        yield element("controller", type="scsi", model="virtio-scsi")
    yield from (disk_element(disk) for disk in disks)
    taken = {disk.target for disk in disks}
    for image in (spec.cdrom, seed):
        if image:
            target = free_target("sd", taken)
            taken.add(target)
            yield cdrom_element(target, image)
    yield from (nic_element(nic) for nic in spec.nics)
    yield element("serial", type="pty")
    yield element("console", element("target", type="serial"), type="pty")
    if platform.type == "test":
        return
    agent = element("target", type="virtio", name="org.qemu.guest_agent.0")
    yield element("channel", agent, type="unix")
    yield element("input", type="tablet", bus="usb")
    yield element("graphics", type="vnc", autoport="yes", listen="127.0.0.1")
    yield element("video", element("model", type="virtio"))
    yield element("rng", element("backend", model="random", text="/dev/urandom"), model="virtio")
    yield element("memballoon", model="virtio")


def disk_element(disk: PlacedDisk) -> Element:
    """The ``<disk>``. What the guest discards is given back to the storage."""
    source = element("source", dev=disk.path) if disk.device else element("source", file=disk.path)
    return element(
        "disk",
        element("driver", name="qemu", type=disk.format, discard="unmap"),
        source,
        element("target", dev=disk.target, bus=disk.bus),
        type="block" if disk.device else "file",
        device="disk",
    )


def cdrom_element(target: str, image: str) -> Element:
    """A CD drive with an ISO image in it; an empty one for no image."""
    children = [element("driver", name="qemu", type="raw")]
    if image:
        children.append(element("source", file=image))
    children += [element("target", dev=target, bus="sata"), element("readonly")]
    return element("disk", *children, type="file", device="cdrom")


def nic_element(nic: NicSpec) -> Element:
    """The ``<interface>``: on a network, else on a bridge, else user-mode networking."""
    children = [element("mac", address=nic.mac)] if nic.mac else []
    if nic.network:
        kind, children = "network", [*children, element("source", network=nic.network)]
    elif nic.bridge:
        kind, children = "bridge", [*children, element("source", bridge=nic.bridge)]
    else:
        kind = "user"
    return element("interface", *children, element("model", type=nic.model), type=kind)
