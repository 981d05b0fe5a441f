"""libvirt's XML and numbers as our records. Nothing here asks the hypervisor."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from xml.etree.ElementTree import Element, fromstring

import libvirt
from defusedxml import ElementTree

from hypersdk.drivers.libvirt.marks import Marks, marks
from hypersdk.model.errors import HypervisorError
from hypersdk.model.instances import Disk, Instance, InstanceState
from hypersdk.model.units import KIB

_STATES = {
    libvirt.VIR_DOMAIN_NOSTATE: InstanceState.UNKNOWN,
    libvirt.VIR_DOMAIN_RUNNING: InstanceState.RUNNING,
    libvirt.VIR_DOMAIN_BLOCKED: InstanceState.RUNNING,
    libvirt.VIR_DOMAIN_PAUSED: InstanceState.PAUSED,
    # On its way down, and still running until it says otherwise.
    libvirt.VIR_DOMAIN_SHUTDOWN: InstanceState.RUNNING,
    libvirt.VIR_DOMAIN_SHUTOFF: InstanceState.STOPPED,
    libvirt.VIR_DOMAIN_CRASHED: InstanceState.CRASHED,
    libvirt.VIR_DOMAIN_PMSUSPENDED: InstanceState.PAUSED,
}


def state(number: int) -> InstanceState:
    """``virDomainState`` as ours."""
    return _STATES.get(number, InstanceState.UNKNOWN)


def parsed(xml: str) -> Element:
    """An element tree of libvirt's XML; entities and DTDs are refused.

    Entities can only be declared within ``<!DOCTYPE`` (https://www.w3.org/TR/xml/#sec-prolog-dtd).
    Text without it goes to the parser in C, in less than half the time of the one that watches.
    """
    try:
        if "<!DOCTYPE" not in xml:
            return fromstring(xml)  # noqa: S314 - see above
        return ElementTree.fromstring(xml)
    except ElementTree.ParseError as error:
        raise HypervisorError(
            f"libvirt sent XML that cannot be read: {error}",
            hint="Whoever made the domain wrote XML that libvirt cannot show.",
        ) from error


#: Bytes per unit of libvirt's sizes (https://libvirt.org/formatdomain.html#memory-allocation).
_UNITS = {
    "b": 1,
    "bytes": 1,
    "KB": 10**3,
    "k": 1 << 10,
    "KiB": 1 << 10,
    "MB": 10**6,
    "M": 1 << 20,
    "MiB": 1 << 20,
    "GB": 10**9,
    "G": 1 << 30,
    "GiB": 1 << 30,
    "TB": 10**12,
    "T": 1 << 40,
    "TiB": 1 << 40,
}


def size(element: Element | None, default_unit: str = "KiB") -> int:
    """Bytes of ``<memory unit='MiB'>512</memory>``; 0 without the element."""
    if element is None or not element.text:
        return 0
    return int(element.text) * _UNITS[element.get("unit", default_unit)]


def listed(
    uuid: str,
    name: str,
    record: Mapping[str, Any],
    devices: Iterable[tuple[str, str, int]],
    noted: Marks,
) -> Instance:
    """One record of ``virConnectGetAllDomainStats`` with state, balloon, vcpu and block, and what
    `block_devices` gave of it.

    The statistics know neither formats nor what kind of drive a disk is. Formats are left empty;
    images called ``….iso`` are taken for CDs, and left out as drives without a path are. A size
    is 0 where libvirt does not know it: the image is missing, or its domain is busy.
    """
    return Instance(
        id=uuid,
        name=name,
        state=state(record.get("state.state", libvirt.VIR_DOMAIN_NOSTATE)),
        vcpus=record.get("vcpu.current", 0),
        memory=record.get("balloon.current", 0) * KIB,
        disks=tuple(
            Disk(target, capacity, "", path)
            for target, path, capacity in devices
            if path and not path.lower().endswith(".iso")
        ),
        tags=noted.as_tags(),
        owned=noted.made,
        folder=noted.folder,
    )


def block_devices(record: Mapping[str, Any]) -> Iterator[tuple[str, str, int]]:
    """Target, path, and bytes of each block device in such a record; empty and 0 for unknown."""
    for number in range(record.get("block.count", 0)):
        prefix = f"block.{number}."
        yield (
            record.get(f"{prefix}name", ""),
            record.get(f"{prefix}path", ""),
            record.get(f"{prefix}capacity", 0),
        )


def instance(domain: Element, number: int, devices: Iterable[tuple[str, str, int]]) -> Instance:
    """Domain XML, ``virDomainState`` and what `block_devices` gave, as an instance."""
    measured = {target: (path, capacity) for target, path, capacity in devices}
    vcpu = domain.find("vcpu")
    noted = marks(domain)
    return Instance(
        id=domain.findtext("uuid", ""),
        name=domain.findtext("name", ""),
        state=state(number),
        vcpus=0 if vcpu is None else int(vcpu.get("current") or vcpu.text or 0),
        memory=size(domain.find("currentMemory")) or size(domain.find("memory")),
        disks=tuple(disk(element, measured) for element in disks(domain)),
        tags=noted.as_tags(),
        owned=noted.made,
        folder=noted.folder,
    )


def disks(domain: Element) -> Iterator[Element]:
    """The ``<disk>`` elements that are disks: no CD or floppy drive."""
    for element in domain.iterfind("devices/disk"):
        if element.get("device", "disk") in {"disk", "lun"}:
            yield element


def disk(element: Element, measured: Mapping[str, tuple[str, int]] | None = None) -> Disk:
    """A ``<disk>`` element; ``measured`` (target → path, bytes) completes what XML does not say."""
    target = target_of(element)
    path, capacity = (measured or {}).get(target, ("", 0))
    driver = element.find("driver")
    kind = "raw" if driver is None else driver.get("type", "raw")
    return Disk(target, capacity, kind, source_path(element) or path)


def target_of(element: Element) -> str:
    """``vda`` of a ``<disk>``."""
    target = element.find("target")
    return "" if target is None else target.get("dev", "")


def source_path(element: Element) -> str:
    """File or device behind a ``<disk>``; empty for network disks, volumes and empty drives."""
    source = element.find("source")
    return "" if source is None else source.get("file") or source.get("dev") or ""


def volume_format(volume: Element) -> str:
    """Format of a volume's XML; block devices say nothing of their own."""
    found = volume.find("target/format")
    kind = "" if found is None else found.get("type", "")
    return kind if kind not in {"", "unknown"} else "raw"
