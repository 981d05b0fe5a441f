"""Make the XML of a saved domain fit another name, other disks, other networks."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement

from hypersdk.drivers.libvirt.guestfiles import DEFINITION_KIND
from hypersdk.drivers.libvirt.translate import parsed
from hypersdk.model.errors import Damaged, InvalidInput
from hypersdk.model.instances import Definition

#: Elements of a device that belong to the run in which it was seen.
_OF_A_RUN = ("alias", "backingStore", "mirror")
#: Devices through which a guest reaches its host, or what only one guest may have.
_OF_THE_HOST = (
    "hostdev",
    "filesystem",
    "redirdev",
    "shmem",
    "vsock",
    "parallel",
    "smartcard",
    "lease",
)
_AGENT = "org.qemu.guest_agent.0"
#: QEMU's own range of MAC addresses, locally administered.
_MAC_PREFIX = "52:54:00"


@dataclass(frozen=True, slots=True)
class SavedDomain:
    """The content of a `Definition` of our kind."""

    xml: Element
    autostart: bool

    @classmethod
    def of(cls, definition: Definition) -> SavedDomain:
        """Raises InvalidInput for another hypervisor's definition, Damaged."""
        if definition.kind != DEFINITION_KIND:
            raise InvalidInput(
                f"this restore point holds a definition of kind '{definition.kind}', "
                "which libvirt does not read",
                hint="Restore its disks to files: hypersdk restore POINT --to FOLDER",
            )
        try:
            content = json.loads(definition.content)
            return cls(parsed(content["inactive"]), bool(content.get("autostart")))
        except (ValueError, KeyError, TypeError) as error:
            raise Damaged(
                f"the definition in the restore point is not readable: {error}",
                hint="Verify the repository: hypersdk verify",
            ) from None

    @property
    def name(self) -> str:
        return self.xml.findtext("name") or ""

    @property
    def uuid(self) -> str:
        return self.xml.findtext("uuid") or ""


def rename(xml: Element, name: str, uuid: str) -> None:
    """``uuid`` empty: libvirt makes one.

    A generation id is always made anew: by it a domain controller in the guest learns that it was
    taken back in time (https://libvirt.org/formatdomain.html#general-metadata).
    """
    _child(xml, "name").text = name
    found = xml.find("uuid")
    if uuid:
        _child(xml, "uuid").text = uuid
    elif found is not None:
        xml.remove(found)
        # What SMBIOS tells the guest must be the same, or libvirt refuses the definition.
        for system in xml.iterfind("sysinfo/system"):
            for entry in system.findall("entry[@name='uuid']"):
                system.remove(entry)
    for generation in xml.iterfind("genid"):
        generation.text = None


def disk_elements(xml: Element) -> Iterator[tuple[Element, Element, str]]:
    """(parent, disk, target name) of what holds data of the guest."""
    devices = xml.find("devices")
    if devices is None:
        return
    for disk in list(devices.iterfind("disk")):
        target = disk.find("target")
        if disk.get("device", "disk") in ("disk", "lun") and target is not None:
            yield devices, disk, target.get("dev", "")


def source_path(disk: Element) -> str:
    """Where it was; empty for a volume of a pool."""
    source = disk.find("source")
    return "" if source is None else source.get("file") or source.get("dev") or ""


def volume(disk: Element) -> tuple[str, str]:
    """Pool and name of the volume that it was; empty for others."""
    source = disk.find("source")
    return ("", "") if source is None else (source.get("pool", ""), source.get("volume", ""))


def place_disks(xml: Element, places: Mapping[str, tuple[str, str, bool]]) -> list[str]:
    """Disk → (path, format, block device). Disks without a place go; their names are returned."""
    left_out = []
    for devices, disk, name in disk_elements(xml):
        if name not in places:
            devices.remove(disk)
            left_out.append(name)
            continue
        path, image_format, device = places[name]
        for tag in (*_OF_A_RUN, "source", "auth", "encryption"):
            for old in disk.findall(tag):
                disk.remove(old)
        disk.set("type", "block" if device else "file")
        disk.set("device", "disk")
        source = Element("source", {"dev" if device else "file": path})
        disk.insert(0, source)
        driver = _child(disk, "driver")
        driver.set("name", "qemu")
        driver.set("type", image_format)
        if image_format != "qcow2":
            _remove(driver, "metadata_cache")
    return left_out


def media_may_be_missing(xml: Element) -> None:
    """CDs and floppies are not in a restore point: without them the drives are empty."""
    for drive in xml.iterfind("devices/disk"):
        source = drive.find("source")
        removable = drive.get("device") in ("cdrom", "floppy")
        if source is not None and removable and drive.get("type", "file") == "file":
            source.set("startupPolicy", "optional")


def new_macs(xml: Element) -> None:
    """For all NICs, random in QEMU's range."""
    for mac in xml.iterfind("devices/interface/mac"):
        tail = secrets.token_bytes(3)
        mac.set("address", ":".join((_MAC_PREFIX, *(f"{byte:02x}" for byte in tail))))


def connect_nics(xml: Element, mapping: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Rename networks and bridges; yields (``network`` or ``bridge``, name) of each afterwards."""
    for source in xml.iterfind("devices/interface/source"):
        for kind in ("network", "bridge"):
            name = source.get(kind)
            if name is None:
                continue
            if name in mapping:
                source.set(kind, mapping[name])
            if kind == "network" or source.get("network") is None:
                yield kind, source.get(kind, "")
        for run in ("portid",):
            source.attrib.pop(run, None)


def isolate(xml: Element) -> None:
    """Cut every way to the world outside: NICs without a link, displays and lines of our own, no
    devices, folders, sockets or leases of the host, no arguments that libvirt does not understand.
    """
    for extra in [child for child in xml if child.tag.startswith("{")]:  # <qemu:commandline>
        xml.remove(extra)
    devices = _child(xml, "devices")
    for tag in _OF_THE_HOST:
        _remove(devices, tag)
    _remove_matching(devices, "memory", "source/path")  # an NVDIMM: the original's content
    _remove_matching(devices, "tpm", "backend[@type='passthrough']")
    _remove_matching(devices, "rng", "backend[@model='egd']")
    _remove_matching(devices, "disk", "source[@protocol]")
    for nic in devices.iterfind("interface"):
        _isolate_nic(nic)
    _isolate_lines(devices)
    _isolate_displays(devices)


def _isolate_lines(devices: Element) -> None:
    """Of all lines to programs of the host the agent's stays: libvirt holds its other end."""
    for line in (*devices.iterfind("serial"), *devices.iterfind("console")):
        line.set("type", "pty")
        for tag in ("source", "protocol", "log"):
            _remove(line, tag)
    for channel in devices.findall("channel"):
        if channel.find(f"target[@name='{_AGENT}']") is None:
            devices.remove(channel)
            continue
        channel.attrib = {"type": "unix"}
        _remove(channel, "source")


def _isolate_displays(devices: Element) -> None:
    for graphics in devices.findall("graphics"):
        kind = graphics.get("type", "vnc")
        if kind not in ("vnc", "spice"):
            devices.remove(graphics)
            continue
        graphics.clear()
        graphics.attrib.update(type=kind, autoport="yes", listen="127.0.0.1")


def _isolate_nic(nic: Element) -> None:
    # Not type "null", which would say it better: libvirtd 9.0 crashes when such a guest starts.
    nic.attrib = {"type": "user"}
    for child in list(nic):
        if child.tag not in ("mac", "model", "address", "boot"):
            nic.remove(child)
    SubElement(nic, "link", state="down")


def _remove_matching(parent: Element, tag: str, inside: str) -> None:
    for child in parent.findall(tag):
        if child.find(inside) is not None:
            parent.remove(child)


def _remove(parent: Element, tag: str) -> None:
    for child in parent.findall(tag):
        parent.remove(child)


def forget_run_paths(xml: Element) -> None:
    """Sockets that libvirt chooses by the domain's name; the old name's would be refused."""
    for channel in xml.iterfind("devices/channel"):
        source = channel.find("source")
        if channel.get("type") == "unix" and source is not None:
            path = source.get("path", "")
            if "/channel/target/" in path or "/run/libvirt/" in path:
                channel.remove(source)


def forget_nvram(xml: Element) -> None:
    """libvirt chooses a place and makes it from the template: the old place is another's."""
    for nvram in xml.iterfind("os/nvram"):
        nvram.text = None
        _remove(nvram, "source")


def set_boot_file(xml: Element, place: str, path: str) -> None:
    """``place``: ``nvram``, ``kernel`` or ``initrd`` of ``<os>``."""
    _child(_child(xml, "os"), place).text = path


def _child(parent: Element, tag: str) -> Element:
    found = parent.find(tag)
    return SubElement(parent, tag) if found is None else found
