"""The ``disks`` part: which way a domain is read, and who may write to it."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

import libvirt

from hypersdk.datapath import imageinspect
from hypersdk.datapath.imageinspect import ImageInfo
from hypersdk.drivers.diskports import BackupView, ViewOptions
from hypersdk.drivers.libvirt.connection import Connection
from hypersdk.drivers.libvirt.disksources import disk_sources
from hypersdk.drivers.libvirt.errors import native
from hypersdk.drivers.libvirt.guestfiles import guest_files
from hypersdk.drivers.libvirt.leftovers import reap_domain
from hypersdk.drivers.libvirt.running import RunningView
from hypersdk.drivers.libvirt.stopped import ALLOW_BACKING, Image, StoppedView
from hypersdk.drivers.libvirt.translate import parsed
from hypersdk.drivers.qemu.rewriting import ImageRewriting
from hypersdk.model.capabilities import Limit
from hypersdk.model.errors import InvalidState, NotSupported
from hypersdk.model.instances import Disk

_ASPECTS = ("disks.running", "disks.changed_blocks", "disks.rewrite")


class LibvirtDisks:
    """Disks of domains on this host."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        host = urlsplit(connection.uri).hostname
        note = f"only on {host} itself, where the images are"
        self.limits = tuple(Limit(aspect, note) for aspect in _ASPECTS) if host else ()

    def view(
        self, name: str, since: Mapping[str, str], options: ViewOptions | None = None
    ) -> BackupView:
        """See the port. What a killed run left of this domain is cleaned up before."""
        domain = self._here(name)
        reap_domain(self._connection, domain.UUIDString())
        kind = RunningView if domain.isActive() else StoppedView
        return kind(self._connection, domain, since, options or ViewOptions())

    def rewrite(self, name: str) -> ImageRewriting:
        """See the port."""
        domain = self._here(name)
        if domain.isActive():
            raise InvalidState(
                f"'{name}' runs, its disks cannot be written",
                hint=f"Stop it first: virsh shutdown {name}",
            )
        return _rewriting(domain)

    def _here(self, name: str) -> libvirt.virDomain:
        """Raises NotSupported for a domain of another host: its files are not in reach."""
        domain = self._connection.domain(name)
        host = urlsplit(self._connection.uri).hostname
        if host:
            raise NotSupported(
                f"'{name}' is on {host}, and its disks can only be read there",
                hint=f"Run this on {host}; the repository may be elsewhere.",
            )
        return domain


def _rewriting(domain: libvirt.virDomain) -> ImageRewriting:
    with native(f"read the definition of '{domain.name()}'"):
        xml = parsed(domain.XMLDesc(0))
    images: dict[str, ImageInfo] = {}
    disks: list[Disk] = []
    for disk in disk_sources(domain, xml):
        info = imageinspect.inspect(disk.path, disk.format, ALLOW_BACKING)
        images[disk.name] = info
        disks.append(Image(disk, info).seen())
    files = [(file.disk(), str(file.path)) for file in guest_files(xml)]
    return ImageRewriting(
        [*disks, *(disk for disk, _ in files)], images, {disk.name: path for disk, path in files}
    )
