"""libvirt's XML of snapshots (https://libvirt.org/formatsnapshot.html), both ways."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import PurePosixPath
from uuid import uuid4
from xml.etree.ElementTree import Element

import libvirt

from hypersdk.drivers.libvirt import translate
from hypersdk.drivers.libvirt.elements import element
from hypersdk.model.errors import HypervisorError
from hypersdk.model.instances import InstanceState
from hypersdk.model.machines import Snapshot

_STATES = {
    "running": InstanceState.RUNNING,
    "blocked": InstanceState.RUNNING,
    "shutdown": InstanceState.RUNNING,
    # Only disks were kept, of an instance that ran.
    "disk-snapshot": InstanceState.RUNNING,
    "paused": InstanceState.PAUSED,
    "pmsuspended": InstanceState.PAUSED,
    "shutoff": InstanceState.STOPPED,
    "crashed": InstanceState.CRASHED,
}
_EXTERNAL = "disks/disk[@snapshot='external']"
_ATOMIC: int = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC


def snapshot_of(xml: Element, current: str | None) -> Snapshot:
    name = xml.findtext("name", "")
    memory = xml.find("memory")
    return Snapshot(
        name=name,
        created=datetime.fromtimestamp(int(xml.findtext("creationTime", "0")), UTC),
        parent=xml.findtext("parent/name", ""),
        current=name == current,
        state=_STATES.get(xml.findtext("state", ""), InstanceState.UNKNOWN),
        memory=memory is not None and memory.get("snapshot") in {"internal", "external"},
        disks={
            disk.get("name", ""): disk.get("snapshot", "no") for disk in xml.iterfind("disks/disk")
        },
        description=xml.findtext("description", ""),
    )


def domain_then(xml: Element) -> Element:
    """The domain as it was, in a snapshot's XML; empty in that of a very old libvirt."""
    domain = xml.find("domain")
    return Element("domain") if domain is None else domain


def is_internal(xml: Element) -> bool:
    """Whether all of a snapshot is inside the images."""
    parts = [xml.find("memory"), *xml.iterfind("disks/disk")]
    return all(part is None or part.get("snapshot") != "external" for part in parts)


def kept_disks(domain: Element) -> Iterator[Element]:
    """Disks that a snapshot is about: with a medium, not read-only, not left out by hand."""
    for disk in domain.iterfind("devices/disk"):
        source = disk.find("source")
        if source is None or not source.attrib or disk.find("readonly") is not None:
            continue
        if disk.get("device") != "cdrom" and disk.get("snapshot") != "no":
            yield disk


def overlay_files(xml: Element) -> set[str]:
    """The files that were put over the images for a snapshot."""
    return {translate.source_path(disk) for disk in xml.iterfind(_EXTERNAL)}


def memory_files(domain: libvirt.virDomain) -> set[str]:
    """Files beside the images in which snapshots keep memory."""
    found = (xml.find("memory[@snapshot='external']") for xml in _all(domain))
    return {memory.get("file", "") for memory in found if memory is not None}


def chain_files(domain: libvirt.virDomain) -> set[str]:
    """Images that are below overlays of external snapshots, and those overlays."""
    files: set[str] = set()
    for xml in _all(domain):
        overlaid = {disk.get("name"): disk for disk in xml.iterfind(_EXTERNAL)}
        bases = (d for d in kept_disks(domain_then(xml)) if translate.target_of(d) in overlaid)
        for disk in (*bases, *overlaid.values()):
            if disk.get("type", "file") == "file":
                files.add(translate.source_path(disk))
    return files - {""}


def _all(domain: libvirt.virDomain) -> list[Element]:
    try:
        return [translate.parsed(kept.getXMLDesc()) for kept in domain.listAllSnapshots()]
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_SUPPORT:
            raise
        return []


def goes_inside(domain: Element, *, active: bool, memory: bool) -> bool:
    """Whether a snapshot is to be made inside the images."""
    if domain.get("type") == "test":
        return True  # libvirt's test driver has no other
    return memory == active and _fits_inside(domain)


def _fits_inside(domain: Element) -> bool:
    """Whether the images can hold an internal snapshot."""
    if domain.find("os[@firmware='efi']") is not None:
        return False  # before its first start the XML has no more than that about it
    if domain.find("os/loader[@type='pflash']") is not None:
        return False
    drivers = [disk.find("driver") for disk in kept_disks(domain)]
    return all(driver is not None and driver.get("type") == "qcow2" for driver in drivers)


def request(domain: Element, snapshot: str, *, internal: bool, memory: bool) -> tuple[Element, int]:
    """``<domainsnapshot>`` and flags. Overlays and memory are put beside the images."""
    root = element("domainsnapshot", element("name", text=snapshot))
    if internal:
        return root, 0
    name = domain.findtext("name", "")
    disks = list(kept_disks(domain))
    root.append(element("disks", *(_overlay(name, snapshot, disk) for disk in disks)))
    if not memory:
        return root, libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY | _ATOMIC
    folders = [PurePosixPath(translate.source_path(d)).parent for d in disks if _is_file(d)]
    if not folders:
        raise HypervisorError(
            f"'{name}' has no disk in a file, beside which its memory could be kept",
            hint="Take a snapshot without memory.",
        )
    # Unlike overlays, libvirt would write over a file that is there.
    file = folders[0] / f"{name}.{snapshot}-{uuid4().hex[:8]}.memory"
    root.append(element("memory", snapshot="external", file=str(file)))
    return root, _ATOMIC


def _overlay(name: str, snapshot: str, disk: Element) -> Element:
    """Named for the disk: libvirt's choice is the same for ``a.raw`` and ``a.qcow2``."""
    target = translate.target_of(disk)
    requested = element("disk", name=target, snapshot="external")
    if _is_file(disk):
        folder = PurePosixPath(translate.source_path(disk)).parent
        file = folder / f"{name}-{target}.{snapshot}.qcow2"
        requested.append(element("source", file=str(file)))
    return requested


def _is_file(disk: Element) -> bool:
    return disk.get("type") == "file"


def by_hand(xml: Element) -> str:
    """How a person gets at the content of an external snapshot."""
    disks = ", ".join(
        f"{translate.target_of(disk)}: {translate.source_path(disk)}"
        for disk in kept_disks(domain_then(xml))
    )
    return (
        "Internal snapshots can be reverted: those with memory, or of a stopped instance. To go "
        "back by hand, stop it and have its disks use overlays over the images of that time "
        f"(qemu-img create -b), which nothing may change: {disks}"
    )
