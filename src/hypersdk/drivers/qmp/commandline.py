"""QEMU's command line for an instance.

Devices sit on PCIe root ports, one each, so that every one of them can be unplugged, and some ports
stay free for what is plugged in later. A device is named after its disk or NIC, and so is the block
node under it: ``vda``. All paths are absolute: QEMU changes its folder when it goes to the
background.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hypersdk.datapath import imageinspect
from hypersdk.datapath.imageinspect import ImageInfo
from hypersdk.drivers.qmp.acceleration import PROCESSORS
from hypersdk.drivers.qmp.definition import DiskRecord, MachineRecord, NicRecord
from hypersdk.drivers.qmp.emulator import Emulator
from hypersdk.drivers.qmp.errors import native
from hypersdk.model.errors import NotFound
from hypersdk.model.units import MIB

#: Ports that stay free for hotplug, ports a machine has at least, and has room for.
FREE_PORTS, PORTS_MIN, PORTS_MAX = 4, 16, 128
#: Eight of them share a slot of the host bridge; slots before the first are for other devices.
PORTS_PER_SLOT, _FIRST_SLOT = 8, 12
#: Processors that a machine can have without an interrupt remapper.
VCPUS_MAX = 255
#: Memory modules that can be plugged in.
MEMORY_SLOTS = 16
#: Name of the CD drive, its block node and its device.
CDROM = "cdrom"
SCSI = "scsi0"
#: Backing files are the administrator's choice: a guest cannot change the header that names them.
ALLOW_BACKING = (Path("/"),)
_NIC_MODELS = {
    "virtio": "virtio-net-pci",
    "e1000": "e1000",
    "e1000e": "e1000e",
    "rtl8139": "rtl8139",
}
_SATA_PORTS = 6


def nic_models() -> frozenset[str]:
    """Models of network cards that a spec may ask for."""
    return frozenset(_NIC_MODELS)


def command_line(
    machine: MachineRecord, run: Path, emulator: Emulator, acceleration: str
) -> list[str]:
    """It starts halted, in the background, with its sockets listening when the command returns."""
    return [
        emulator.program,
        *("-name", "guest=" + machine.name.replace(",", ",,")),
        *("-uuid", machine.id),
        *("-pidfile", str(run / "pid")),
        *("-daemonize", "-S", "-nodefaults", "-no-user-config", "-display", "none"),
        *("-machine", f"{machine.machine},accel={acceleration}"),
        *("-cpu", PROCESSORS[acceleration]),
        *("-smp", _smp(machine)),
        *("-m", _memory(machine)),
        *("-rtc", "base=utc"),
        *("-action", "panic=pause"),
        *_boot(machine),
        *_channels(run),
        *_processors(machine, acceleration),
        *_modules(machine),
        *_ports(machine),
        *_scsi(machine),
        *(part for disk in machine.disks for part in _disk(disk)),
        *(part for nic in machine.nics for part in _nic(nic)),
        *_cdrom(machine),
    ]


def ports(machine: MachineRecord) -> int:
    """How many root ports it has: some are always free, and machines with few devices are alike, so
    that memory that was saved before a device was plugged in can be loaded after."""
    needed = max(machine.ports, default=-1) + 1 + FREE_PORTS
    return max(PORTS_MIN, -(-needed // PORTS_PER_SLOT) * PORTS_PER_SLOT)


def port_name(port: int) -> str:
    """Name of a root port, and of the bus behind it."""
    return f"port{port}"


def _ports(machine: MachineRecord) -> Iterator[str]:
    for number in range(ports(machine)):
        slot, function = divmod(number, PORTS_PER_SLOT)
        shared = "" if function else ",multifunction=on"
        yield "-device"
        yield (
            f"pcie-root-port,id={port_name(number)},chassis={number + 1},"
            f"addr=0x{slot + _FIRST_SLOT:x}.{function}{shared}"
        )


def _smp(machine: MachineRecord) -> str:
    room = max(machine.all_vcpus, machine.vcpus_maximum)
    return f"cpus={machine.vcpus},maxcpus={room},sockets={room},cores=1,threads=1"


def _memory(machine: MachineRecord) -> str:
    text = f"size={machine.memory}B"
    if machine.modules or machine.memory_maximum > machine.memory:
        text += f",slots={MEMORY_SLOTS},maxmem={_whole(machine.memory_maximum)}B"
    return text


def _processors(machine: MachineRecord, acceleration: str) -> Iterator[str]:
    for socket in machine.processors:
        place = {"socket-id": socket, "core-id": 0, "thread-id": 0}
        driver = f"{PROCESSORS[acceleration]}-x86_64-cpu"
        yield from ("-device", json.dumps({"driver": driver, "id": f"cpu{socket}", **place}))


def _modules(machine: MachineRecord) -> Iterator[str]:
    for number, size in enumerate(machine.modules):
        backend, module = memory_module(number, size)
        yield from ("-object", json.dumps(backend), "-device", json.dumps(module))


def memory_module(number: int, size: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """A memory module: what is behind it, and its device."""
    backend = {"qom-type": "memory-backend-ram", "id": f"memory{number}", "size": size}
    return backend, {"driver": "pc-dimm", "id": f"module{number}", "memdev": f"memory{number}"}


def _whole(size: int) -> int:
    """In whole MiB: QEMU wants memory modules to begin and end at pages."""
    return -(-size // MIB) * MIB


def _boot(machine: MachineRecord) -> Iterator[str]:
    if machine.kernel:
        yield from ("-kernel", machine.kernel)
    if machine.initrd:
        yield from ("-initrd", machine.initrd)
    if machine.kernel_arguments:
        yield from ("-append", machine.kernel_arguments)


def _channels(run: Path) -> Iterator[str]:
    """Monitors, serial line, screen, agent, and the device by which a guest tells that it died."""
    yield from ("-chardev", _listener("qmp", run), "-mon", "chardev=qmp,mode=control")
    yield from ("-chardev", _listener("spare", run), "-mon", "chardev=spare,mode=control")
    yield from ("-chardev", f"{_listener('events', run)},logfile={_quoted(run / 'events.log')}")
    yield from ("-mon", "chardev=events,mode=control")
    yield from ("-chardev", _listener("serial-0", run, "serial"))
    yield from ("-device", "isa-serial,chardev=serial,id=serial0")
    yield from ("-chardev", _listener("agent", run), "-device", "virtio-serial-pci,id=channels")
    yield from ("-device", "virtserialport,chardev=agent,id=agent0,name=org.qemu.guest_agent.0")
    yield from ("-device", "VGA,id=video", "-vnc", f"unix:{_quoted(run / 'vnc')}")
    yield from ("-device", "pvpanic", "-device", "virtio-rng-pci")


def _listener(file: str, run: Path, name: str = "") -> str:
    return f"socket,id={name or file},path={_quoted(run / file)},server=on,wait=off"


def _quoted(path: Path) -> str:
    return str(path).replace(",", ",,")


def _scsi(machine: MachineRecord) -> Iterator[str]:
    if any(disk.bus == "scsi" for disk in machine.disks):
        yield from ("-device", f"virtio-scsi-pci,id={SCSI}")


def _disk(disk: DiskRecord) -> Iterator[str]:
    yield from ("-blockdev", json.dumps(disk_node(disk)))
    yield from ("-device", json.dumps(disk_device(disk)))


def disk_node(disk: DiskRecord) -> dict[str, Any]:
    """The block node of a disk, with all its backing files. Raises NotFound, ImageRefused."""
    with native(f"open disk '{disk.name}'"):
        node = inspected(disk.path, disk.format).node()
    node["node-name"] = disk.name
    node["discard"] = node["file"]["discard"] = "unmap"
    return node


def inspected(path: str, format: str | None) -> ImageInfo:
    """An image with its backing files. Raises NotFound, ImageRefused, DataPathError."""
    if not Path(path).exists():
        raise NotFound(f"there is no image {path}", hint="See whether it was moved or removed.")
    return imageinspect.inspect(path, format, ALLOW_BACKING)


def disk_device(disk: DiskRecord) -> dict[str, Any]:
    """The device of a disk."""
    device: dict[str, Any] = {"id": disk.name, "drive": disk.name}
    if disk.bus == "virtio":
        return {**device, "driver": "virtio-blk-pci", "bus": port_name(disk.port)}
    if disk.bus == "scsi":
        return {**device, "driver": "scsi-hd", "bus": f"{SCSI}.0"}
    return {**device, "driver": "ide-hd"}


def _nic(nic: NicRecord) -> Iterator[str]:
    yield from ("-netdev", json.dumps(nic_backend(nic)))
    yield from ("-device", json.dumps(nic_device(nic)))


def nic_backend(nic: NicRecord) -> dict[str, Any]:
    """Where a NIC is plugged in."""
    return {"type": "user", "id": f"{nic.device}-net", "restrict": nic.isolated}


def nic_device(nic: NicRecord) -> dict[str, Any]:
    """The device of a NIC."""
    return {
        "driver": _NIC_MODELS[nic.model],
        "id": nic.device,
        "netdev": f"{nic.device}-net",
        "mac": nic.mac,
        "bus": port_name(nic.port),
    }


def _cdrom(machine: MachineRecord) -> Iterator[str]:
    """The last port of the SATA controller, so that disks keep theirs."""
    if machine.cdrom is None:
        return
    device: dict[str, Any] = {"driver": "ide-cd", "id": CDROM, "bus": f"ide.{_SATA_PORTS - 1}"}
    if machine.cdrom:
        file = {"driver": "file", "filename": machine.cdrom}
        node = {"driver": "raw", "node-name": CDROM, "read-only": True, "file": file}
        yield from ("-blockdev", json.dumps(node))
        device["drive"] = CDROM
    yield from ("-device", json.dumps(device))
