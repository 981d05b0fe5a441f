"""Which disks a domain has, where their bytes are, and which of them cannot be read."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from xml.etree.ElementTree import Element

import libvirt

from hypersdk.drivers.libvirt.errors import native
from hypersdk.model.errors import HypervisorError, NotFound
from hypersdk.model.instances import Disk
from hypersdk.model.units import KIB

#: Bytes per bit of the bitmaps that libvirt and we make: QEMU's default, the size of a cluster.
BITMAP_GRANULARITY = 64 * KIB
#: Devices that hold data of the guest; CD and floppy drives hold media.
_DEVICES = ("disk", "lun")
#: A qcow2 header: magic, version (only version 3 keeps bitmaps), number of internal snapshots
#: (docs/interop/qcow2.txt of QEMU).
_QCOW2 = struct.Struct(">4sI52xI")
_QCOW2_MAGIC = b"QFI\xfb"


@dataclass(frozen=True, slots=True)
class DiskSource:
    """One disk of a domain, as its XML names it."""

    #: ``vda``, unique in the domain.
    name: str
    #: File or block device, absolute.
    path: str
    #: ``qcow2`` or ``raw``.
    format: str
    #: True for a block device.
    device: bool
    #: The image and what it is based on, top first, as far as the XML tells.
    chain: tuple[str, ...]
    #: Virtual size in bytes; 0 before it was asked for.
    size: int = 0

    @property
    def records_changes(self) -> bool:
        """Whether it can keep persistent bitmaps: qcow2 version 3 can.

        Where the header cannot be read (another host, another user), libvirt will say.
        """
        return self.format == "qcow2" and self._header()[0] != 2

    @property
    def has_snapshots(self) -> bool:
        """Whether there are internal snapshots in it: reverting to one changes the disk without
        marking any bitmap. libvirt does not know those that were made without it."""
        return self._header()[1] > 0

    def _header(self) -> tuple[int, int]:
        """Version and number of snapshots; zeroes where there is no such header to read."""
        try:
            with open(self.path, "rb") as file:
                head = file.read(_QCOW2.size)
        except OSError:
            return 0, 0
        if self.format != "qcow2" or len(head) < _QCOW2.size:
            return 0, 0
        magic, version, snapshots = _QCOW2.unpack(head)
        return (version, snapshots) if magic == _QCOW2_MAGIC else (0, 0)

    def disk(self) -> Disk:
        granularity = BITMAP_GRANULARITY if self.records_changes else 0
        return Disk(self.name, self.size, self.format, self.path, granularity=granularity)


def disk_sources(
    domain: libvirt.virDomain, xml: Element, exclude: frozenset[str] = frozenset()
) -> list[DiskSource]:
    """The disks of a domain that are to be read, with their sizes.

    Raises HypervisorError that names every disk which cannot be read, so that one run tells all;
    NotFound for an excluded disk that is not there.
    """
    found, refused = split_sources(domain, xml)
    if missing := exclude - refused.keys() - {disk.name for disk in found}:
        raise NotFound(
            f"'{domain.name()}' has no disk {', '.join(sorted(missing))} to exclude",
            hint=f"It has: {', '.join(sorted({*refused, *(disk.name for disk in found)}))}.",
        )
    wrong = [f"{name} ({reason})" for name, reason in refused.items() if name not in exclude]
    if wrong:
        raise HypervisorError(
            f"'{domain.name()}' has disks that cannot be read: {'; '.join(wrong)}",
            hint="Leave them out with --exclude-disk NAME, once for each.",
        )
    found = [disk for disk in found if disk.name not in exclude]
    with native(f"ask for the sizes of the disks of '{domain.name()}'"):
        running = bool(domain.isActive())
        return [disk if disk.size and not running else _measured(domain, disk) for disk in found]


def _measured(domain: libvirt.virDomain, disk: DiskSource) -> DiskSource:
    return replace(disk, size=int(domain.blockInfo(disk.name)[0]))


def split_sources(
    domain: libvirt.virDomain, xml: Element
) -> tuple[list[DiskSource], dict[str, str]]:
    """Disks that can be read, without their sizes; and why which others cannot."""
    found, refused = [], {}
    for element in xml.iterfind("devices/disk"):
        if element.get("device", "disk") not in _DEVICES:
            continue
        name = _name(element)
        try:
            found.append(_source(domain, element, name))
        except _Refused as refusal:
            refused[name] = str(refusal)
    return found, refused


class _Refused(Exception):
    """Why a disk cannot be read, in words."""


def _source(domain: libvirt.virDomain, element: Element, name: str) -> DiskSource:
    kind = element.get("type", "file")
    source = element.find("source")
    image = _format(element)
    if source is None:
        raise _Refused("it has no source")
    if element.find("source/encryption") is not None or element.find("encryption") is not None:
        raise _Refused("its image is encrypted by QEMU")
    if image not in ("qcow2", "raw"):
        raise _Refused(f"images of format {image} are not read")
    size = 0
    if kind == "volume":
        path, device, size = _volume(domain, source)
    elif kind in ("file", "block"):
        path, device = source.get("file") or source.get("dev") or "", kind == "block"
    else:
        protocol = source.get("protocol", "")
        raise _Refused(f"{kind} disks{f' over {protocol}' if protocol else ''} are not read")
    if not path:
        raise _Refused("it has no source")
    chain = (path, *_backing(element))
    return DiskSource(name, path, image, device, chain, size)


def _volume(domain: libvirt.virDomain, source: Element) -> tuple[str, bool, int]:
    """Path, whether it is a block device, and size: libvirt has no ``blockInfo`` of volumes while
    the domain is stopped."""
    pool, volume = source.get("pool", ""), source.get("volume", "")
    with native(f"find volume '{volume}' of pool '{pool}'"):
        found = domain.connect().storagePoolLookupByName(pool).storageVolLookupByName(volume)
        kind, capacity, _ = found.info()
        path = found.path()
    if kind not in (libvirt.VIR_STORAGE_VOL_FILE, libvirt.VIR_STORAGE_VOL_BLOCK):
        raise _Refused(f"volume '{volume}' of pool '{pool}' is neither a file nor a block device")
    return path, kind == libvirt.VIR_STORAGE_VOL_BLOCK, int(capacity)


def _backing(element: Element) -> Iterator[str]:
    """Paths of the backing images that libvirt knows of: all of them while the domain runs."""
    below = element.find("backingStore")
    while below is not None:
        source = below.find("source")
        if source is not None and (path := source.get("file") or source.get("dev")):
            yield path
        below = below.find("backingStore")


def _name(element: Element) -> str:
    target = element.find("target")
    return "" if target is None else target.get("dev", "")


def _format(element: Element) -> str:
    driver = element.find("driver")
    return "raw" if driver is None else driver.get("type", "raw")
