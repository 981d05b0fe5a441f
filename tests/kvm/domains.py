"""Domains for tests: their XML, and a guest that obeys over its serial console.

A domain without a system to boot runs its firmware only, which is enough for most tests and takes
a third of a second to start. `Guest` is for what a guest must take part in.
"""

from __future__ import annotations

import itertools
import os
import select
import time
import tty
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import libvirt
import libvirt_qemu

from tests.kvm.system import System

#: Seconds for a guest to boot: two on an idle machine.
_BOOT_SECONDS = 60


class GuestFailed(AssertionError):
    """A command failed in the guest, or the guest does not answer; with its console's output."""


@dataclass(frozen=True)
class DiskSpec:
    """One disk of a domain."""

    #: The file or block device; for a volume its name.
    path: Path | str
    target: str = "vda"
    format: str = "qcow2"
    type: Literal["file", "block", "volume"] = "file"
    device: Literal["disk", "cdrom"] = "disk"
    #: virtio, scsi (virtio-scsi) or sata, which the lab's own guest does not see.
    bus: str = "virtio"
    #: For a volume: its pool.
    pool: str = ""
    #: Spelled out in the XML; without it libvirt follows the headers of the images.
    backing: DiskSpec | None = None
    read_only: bool = False
    shareable: bool = False
    serial: str = ""

    def element(self) -> ET.Element:
        """The ``<disk>``."""
        disk = ET.Element("disk", type=self.type, device=self.device)
        ET.SubElement(disk, "driver", name="qemu", type=self.format, discard="unmap")
        disk.append(self._source())
        if self.backing is not None:
            disk.append(self.backing._store())
        ET.SubElement(disk, "target", dev=self.target, bus=self.bus)
        if self.read_only or self.device == "cdrom":
            ET.SubElement(disk, "readonly")
        if self.shareable:
            ET.SubElement(disk, "shareable")
        if self.serial:
            ET.SubElement(disk, "serial").text = self.serial
        return disk

    def _source(self) -> ET.Element:
        if self.type == "volume":
            return ET.Element("source", pool=self.pool, volume=str(self.path))
        return ET.Element("source", {"dev" if self.type == "block" else "file": str(self.path)})

    def _store(self) -> ET.Element:
        store = ET.Element("backingStore", type=self.type)
        ET.SubElement(store, "format", type=self.format)
        store.append(self._source())
        store.append(ET.Element("backingStore") if self.backing is None else self.backing._store())
        return store


def domain_xml(
    name: str,
    disks: Iterable[DiskSpec] = (),
    *,
    system: System | None = None,
    options: str = "",
    memory_mib: int = 128,
    vcpus: int = 1,
    agent: bool = True,
    uuid: str = "",
    firmware: Literal["bios", "efi"] = "bios",
    graphics: bool = True,
    devices: Sequence[str] = (),
    metadata: str = "",
) -> str:
    """XML of an emulated q35 machine with a serial console on a pty.

    Without a ``system`` it runs its firmware only. ``options`` are words for the guest's kernel,
    see ``tests/kvm/init``; ``devices`` are more elements, as text, and ``metadata`` what belongs
    into ``<metadata>``.
    """
    disks = list(disks)
    domain = ET.Element("domain", type="qemu")
    ET.SubElement(domain, "name").text = name
    if uuid:
        ET.SubElement(domain, "uuid").text = uuid
    if metadata:
        ET.SubElement(domain, "metadata").append(ET.fromstring(metadata))
    ET.SubElement(domain, "memory", unit="MiB").text = str(memory_mib)
    ET.SubElement(domain, "vcpu").text = str(vcpus)
    domain.append(_os(system, options, firmware))
    features = ET.SubElement(domain, "features")
    ET.SubElement(features, "acpi")
    ET.SubElement(features, "apic")
    parts = ET.SubElement(domain, "devices")
    parts.extend(disk.element() for disk in disks)
    if any(disk.bus == "scsi" for disk in disks):
        ET.SubElement(parts, "controller", type="scsi", model="virtio-scsi")
    ET.SubElement(parts, "serial", type="pty")
    if agent:
        channel = ET.SubElement(parts, "channel", type="unix")
        ET.SubElement(channel, "target", type="virtio", name="org.qemu.guest_agent.0")
    if graphics:
        ET.SubElement(parts, "graphics", type="vnc", autoport="yes", listen="127.0.0.1")
    rng = ET.SubElement(parts, "rng", model="virtio")
    ET.SubElement(rng, "backend", model="random").text = "/dev/urandom"
    parts.extend(ET.fromstring(text) for text in devices)
    return ET.tostring(domain, encoding="unicode")


def _os(system: System | None, options: str, firmware: str) -> ET.Element:
    element = ET.Element("os", {"firmware": "efi"} if firmware == "efi" else {})
    ET.SubElement(element, "type", arch="x86_64", machine="q35").text = "hvm"
    if system is not None:
        ET.SubElement(element, "kernel").text = str(system.kernel)
        ET.SubElement(element, "initrd").text = str(system.initramfs)
        # mitigations only cost time here, and messages would end up between a command's output.
        words = f"console=ttyS0 quiet loglevel=1 mitigations=off panic=-1 {options}"
        ET.SubElement(element, "cmdline").text = words
    return element


def qemu_io(domain: libvirt.virDomain, target: str, *commands: str) -> None:
    """Let QEMU itself write to a disk of a running domain, as the guest's own writes would.

    ``write -P 0x41 0 1M``, ``write -z 1M 64k``, ``discard 2M 64k``, ``flush``: see qemu-io(1).
    """
    for disk in ET.fromstring(domain.XMLDesc()).iterfind("./devices/disk"):
        if disk.find(f"target[@dev='{target}']") is not None:
            alias = disk.find("alias")
            break
    else:
        raise AssertionError(f"{domain.name()} has no disk {target}")
    assert alias is not None
    device = f"/machine/peripheral/{alias.attrib['name']}"
    if disk.find("target[@bus='virtio']") is not None:
        device += "/virtio-backend"
    for command in commands:
        order = f'qemu-io -d {device} "{command}"'
        answer = libvirt_qemu.qemuMonitorCommand(
            domain, order, libvirt_qemu.VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP
        )
        # What a command prints goes to QEMU's log; only errors come back.
        assert not answer.strip(), f"{order}: {answer}"


class Guest:
    """The lab's system running in a domain, commanded over the serial console.

    Independent of libvirtd: commands work while it is killed. After a migration make another one
    from the domain on the other side.
    """

    def __init__(self, domain: libvirt.virDomain) -> None:
        """Attach to the console of a running domain, one `Guest` at a time."""
        self.domain = domain
        console = ET.fromstring(domain.XMLDesc()).find("./devices/serial[@type='pty']/source")
        assert console is not None
        self._console = os.open(console.attrib["path"], os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self._console)
        self._tokens = itertools.count(1)
        self._unread = ""
        #: All that the console has said since we are attached.
        self.transcript = ""

    @classmethod
    def start(cls, connection: libvirt.virConnect, xml: str) -> Self:
        """Define and start a domain, and wait for its guest and its agent, if it has one."""
        domain = connection.defineXML(xml)
        domain.create()
        guest = cls(domain)
        guest.wait_ready()
        guest.wait_for_agent()
        return guest

    def wait_ready(self, timeout: float = _BOOT_SECONDS) -> None:
        """Wait until the guest answers; its boot may have begun at any time."""
        # What it printed before QEMU noticed that the console is open is lost, so ask.
        deadline = time.monotonic() + timeout
        while True:
            self._send("")
            try:
                self._read_until("LAB READY\n", min(deadline, time.monotonic() + 0.2))
            except GuestFailed:
                if time.monotonic() > deadline:
                    raise
            else:
                return

    def wait_for_agent(self, timeout: float = _BOOT_SECONDS) -> None:
        """Wait until libvirt knows that the agent listens. A domain without one need not wait."""
        deadline = time.monotonic() + timeout
        agent = "./devices/channel/target[@name='org.qemu.guest_agent.0']"
        while True:
            channel = ET.fromstring(self.domain.XMLDesc()).find(agent)
            if channel is None or channel.get("state") == "connected":
                return
            if time.monotonic() > deadline:
                raise GuestFailed(f"no agent in the guest:\n{self.transcript}")
            time.sleep(0.02)

    def run(self, command: str, timeout: float = 30) -> str:
        """Run one line of shell as root; its output.

        Raises GuestFailed if its status is not zero or it takes longer (in seconds).
        """
        assert "\n" not in command
        # Terminals hold 4096 bytes, and a serial line has no way to say "wait".
        assert len(command) < 4000
        token = f"{os.getpid()}-{next(self._tokens)}"
        self._send(f"{token} {command}")
        deadline = time.monotonic() + timeout
        self._read_until(f"LAB BEGIN {token}\n", deadline)
        output = self._read_until(f"LAB DONE {token} ", deadline)
        status = self._read_until("\n", deadline)
        if status != "0":
            raise GuestFailed(f"{command!r} ended with status {status}:\n{output}")
        return output

    def write(self, target: str, offset: int, data: bytes | int, length: int = 0) -> None:
        """Write to a disk inside the guest, durably.

        ``data`` is what to write, up to 900 bytes, or a byte to repeat ``length`` times.
        """
        if isinstance(data, int):
            source = f"head -c {length} /dev/zero | tr '\\0' '\\{data:03o}'"
        else:
            source = "printf '" + "".join(f"\\{byte:03o}" for byte in data) + "'"
        sink = f"dd of=/dev/{target} bs=64k seek={offset} oflag=seek_bytes conv=fsync,notrunc"
        self.run(f"set -o pipefail; {source} | {sink} 2>&1")

    def qemu_io(self, target: str, *commands: str) -> None:
        """See `qemu_io`: the guest's kernel does not know of such writes."""
        qemu_io(self.domain, target, *commands)

    def close(self) -> None:
        """Detach from the console; the domain runs on. May be called twice."""
        if self._console >= 0:
            os.close(self._console)
            self._console = -1

    def destroy(self) -> None:
        """Pull the plug, and detach."""
        self.domain.destroy()
        self.close()

    def _read_until(self, mark: str, deadline: float) -> str:
        # The text before the mark; neither stays unread.
        while mark not in self._unread:
            self._read_more(mark, deadline)
        text, _, self._unread = self._unread.partition(mark)
        return text

    def _read_more(self, mark: str, deadline: float) -> None:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([self._console], [], [], left)[0]:
            raise GuestFailed(f"no {mark.strip()!r} from the guest:\n{self.transcript}")
        text = os.read(self._console, 65536).decode(errors="replace")
        if not text:
            raise GuestFailed(f"the domain has ended:\n{self.transcript}")
        self._unread += text
        self.transcript += text

    def _send(self, line: str) -> None:
        try:
            os.write(self._console, f"{line}\n".encode())
        except OSError as error:  # no QEMU at the other end of the terminal
            raise GuestFailed(f"the domain has ended:\n{self.transcript}") from error
