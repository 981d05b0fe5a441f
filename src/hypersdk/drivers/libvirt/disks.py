"""The ``disks`` part: which way a domain is read, and who may write to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import libvirt

from hypersdk.datapath import imageinspect
from hypersdk.datapath.cancel import CancelToken
from hypersdk.datapath.image import ExistingImage
from hypersdk.datapath.ports import BlockSink, BlockSource
from hypersdk.datapath.raw import RawSink, RawSource
from hypersdk.drivers.diskports import BackupView, ViewOptions
from hypersdk.drivers.libvirt.connection import Connection
from hypersdk.drivers.libvirt.disksources import disk_sources
from hypersdk.drivers.libvirt.errors import native
from hypersdk.drivers.libvirt.guestfiles import guest_files
from hypersdk.drivers.libvirt.leftovers import reap_domain
from hypersdk.drivers.libvirt.running import RunningView
from hypersdk.drivers.libvirt.stopped import ALLOW_BACKING, Image, StoppedView
from hypersdk.drivers.libvirt.translate import parsed
from hypersdk.model.capabilities import Limit
from hypersdk.model.errors import HyperSDKError, InvalidState, NotSupported
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

    def rewrite(self, name: str) -> DomainRewriting:
        """See the port."""
        domain = self._here(name)
        if domain.isActive():
            raise InvalidState(
                f"'{name}' runs, its disks cannot be written",
                hint=f"Stop it first: virsh shutdown {name}",
            )
        return DomainRewriting(domain)

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


class DomainRewriting:
    """The disks of a stopped domain, open for changes."""

    def __init__(self, domain: libvirt.virDomain) -> None:
        with native(f"read the definition of '{domain.name()}'"):
            xml = parsed(domain.XMLDesc(0))
        self._open = ExitStack()
        self._images: dict[str, ExistingImage] = {}
        self._files: dict[str, str] = {}
        disks: list[Disk] = []
        try:
            for disk in disk_sources(domain, xml):
                info = imageinspect.inspect(disk.path, disk.format, ALLOW_BACKING)
                self._images[disk.name] = self._open.enter_context(ExistingImage(info))
                disks.append(Image(disk, info).seen())
        except BaseException:
            self._open.close()
            raise
        for file in guest_files(xml):
            self._files[file.disk().name] = str(file.path)
            disks.append(file.disk())
        self.disks: Sequence[Disk] = disks

    def source(self, disk: str) -> BlockSource:
        """See the port."""
        if disk in self._files:
            return RawSource(self._files[disk])
        return self._images[disk].source()

    def sink(self, disk: str) -> BlockSink:
        """See the port."""
        if disk in self._files:
            return RawSink.open_existing(self._files[disk])
        return self._images[disk].clone()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        problems = []
        with self._open, CancelToken().scope():  # whose work was cancelled tidies up all the same
            for image in self._images.values():
                try:  # also after a failure: killed, it would not save the records of its changes
                    image.commit()
                except HyperSDKError as problem:
                    problems.append(problem)
        if error is None and problems:
            raise problems[0]
