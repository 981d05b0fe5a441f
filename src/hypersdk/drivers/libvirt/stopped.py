"""Back up a domain that does not run: its images are read through qemu-nbd."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

import libvirt

from hypersdk.datapath import imageinspect
from hypersdk.datapath.bitmaps import image_records
from hypersdk.datapath.cancel import CancelToken
from hypersdk.datapath.image import ImageSource
from hypersdk.datapath.imageinspect import ImageInfo
from hypersdk.datapath.ports import BlockSource
from hypersdk.datapath.raw import RawSource
from hypersdk.drivers.diskports import DiskView, ViewOptions
from hypersdk.drivers.libvirt.connection import Connection
from hypersdk.drivers.libvirt.disksources import DiskSource, disk_sources
from hypersdk.drivers.libvirt.errors import native
from hypersdk.drivers.libvirt.guestfiles import definition, guest_files, not_saved
from hypersdk.drivers.libvirt.records import (
    bitmap_names,
    checkpoint_names,
    create_stopped,
    remove_checkpoint,
)
from hypersdk.drivers.libvirt.tokens import Moment, Token
from hypersdk.drivers.libvirt.translate import parsed
from hypersdk.drivers.libvirt.viewparts import (
    FileView,
    drop_broken,
    drop_superseded,
    observed,
    why_full,
)
from hypersdk.drivers.libvirt.workplace import Record, Workplace
from hypersdk.model.errors import HyperSDKError, InvalidState
from hypersdk.model.instances import Consistency, Definition, Disk, InstanceState

#: Backing files of a domain are its administrator's choice: a guest cannot change the header that
#: names them, and a disk that it writes itself is read as raw.
ALLOW_BACKING = (Path("/"),)


class StoppedView:
    """``BackupView`` of a domain without a QEMU process.

    Images are open from the beginning to the end, and QEMU's locks keep a guest from starting on
    them. Raw images have no locks that we could take: `confirm` finds out that one was written.
    """

    def __init__(
        self,
        connection: Connection,
        domain: libvirt.virDomain,
        since: Mapping[str, str],
        options: ViewOptions,
    ) -> None:
        self._domain = domain
        self._name = domain.name()
        self._options = options
        self._since = since
        with native(f"read the definition of '{self._name}'"):
            xml = parsed(domain.XMLDesc(0))
            suspended = bool(domain.hasManagedSaveImage(0))
        self.warnings: Sequence[str] = tuple(not_saved(xml))
        self.consistency = Consistency.OFFLINE
        if suspended:
            self.consistency = Consistency.CRASH
            self._warn("it is suspended to disk; its memory is not saved, only its disks")
        self.definition: Definition = definition(domain)
        self._files = [FileView(file) for file in guest_files(xml)]
        images = [Image.of(disk) for disk in disk_sources(domain, xml, options.exclude)]
        record = Record(connection.uri, domain.UUIDString(), self._name, os.getpid())
        self._work = Workplace(record, None)
        self._open = ExitStack()
        self._moment: Moment | None = None
        self._ended = self._kept = False
        try:
            self._views = list(self._begin(images))
        except BaseException:
            self._end()
            raise
        seen = (*(view.disk for view in self._views), *(file.disk for file in self._files))
        self.instance = observed(domain, xml, InstanceState.STOPPED, seen)

    def _warn(self, text: str) -> None:
        self.warnings = (*self.warnings, text)

    def _begin(self, images: list[Image]) -> Iterator[StoppedDiskView]:
        known = {image.disk.name: self._known(image) for image in images}
        recording = [image.disk for image in images if image.disk.records_changes]
        self._recording = recording
        self._moment = self._new_checkpoint(recording)
        for image in images:
            found = known[image.disk.name]
            old = found if isinstance(found, Token) else None
            reason = found if isinstance(found, str) else f"changed blocks since {found.checkpoint}"
            token = old
            if self._moment is not None and image.disk.records_changes:
                token = Token.of(self._moment, image.disk)
            source = self._opened(image, old.checkpoint if old else None)
            yield StoppedDiskView(image, source, str(token) if token else None, reason)

    def _known(self, image: Image) -> Token | str:
        found = why_full(self._domain, image.disk, self._since, running=False)
        return found if isinstance(found, str) else image.doubt(found) or found

    def _new_checkpoint(self, recording: list[DiskSource]) -> Moment | None:
        """From before the images are read: what is written later is recorded in any case."""
        if not recording:
            return None
        taken = {*checkpoint_names(self._domain), *bitmap_names(recording, in_use=False)}
        moment = Moment.new(self._options.series, taken)
        self._work.note(checkpoint=moment.name)
        try:
            create_stopped(self._domain, moment, recording)
        except HyperSDKError as error:
            self._work.note(checkpoint="")
            self._warn(f"no checkpoint could be made: {error.message}")
            return None
        return moment

    def _opened(self, image: Image, bitmap: str | None) -> BlockSource:
        try:
            return self._open.enter_context(image.open(bitmap))
        except HyperSDKError as error:
            if self._domain.isActive():
                raise self._started() from error
            raise

    def _started(self) -> InvalidState:
        return InvalidState(
            f"'{self._name}' was started while it was backed up",
            hint="Run the backup again: it is then read as a running instance.",
        )

    @property
    def disks(self) -> Sequence[DiskView]:
        return [*self._views, *self._files]

    def confirm(self) -> None:
        """See the port."""
        if self._domain.isActive():
            raise self._started()
        for view in self._views:
            view.confirm()

    def keep_checkpoints(self) -> None:
        """See the port."""
        self._open.close()  # the images' locks are in the way
        self._kept = True
        self._work.note(checkpoint="")
        if self._moment is not None:
            with CancelToken().scope():  # the restore point is there
                drop_superseded(self._domain, self._moment, self._since, self._options.series)
                drop_broken(self._domain, self._recording)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def _end(self) -> None:
        if self._ended:
            return
        self._ended = True
        self._open.close()
        try:
            if self._work.record.checkpoint and not self._kept:
                with CancelToken().scope():  # whose work was cancelled tidies up all the same
                    remove_checkpoint(self._domain, self._work.record.checkpoint)
        except BaseException:
            self._work.leave()
            raise
        self._work.end()


@dataclass(frozen=True, slots=True)
class Image:
    """A disk and the image behind it, inspected."""

    disk: DiskSource
    info: ImageInfo

    @classmethod
    def of(cls, disk: DiskSource) -> Image:
        """Raises ImageRefused, NotFound, DataPathError."""
        info = imageinspect.inspect(disk.path, disk.format, ALLOW_BACKING)
        chain = (disk.path, *(str(layer.path) for layer in _layers(info)))
        return cls(replace(disk, size=info.size, chain=chain), info)

    def doubt(self, token: Token) -> str:
        """Why the bitmap of a token does not tell all changes; empty when it does."""
        records = image_records(self.info.path, self.info.format)
        name = token.checkpoint
        if not records.has(name):
            return f"the image has lost the bitmap of checkpoint {name}"
        if not records.usable(name):
            return f"the bitmap of checkpoint {name} was not saved properly (power cut, kill)"
        if records.snapshots:
            return "changes are not recorded across its internal snapshots"
        layers = [layer for layer in _layers(self.info)[1:] if layer.format == "qcow2"]
        if any(image_records(layer.path, layer.format).has(name) for layer in layers):
            return f"a snapshot was taken since checkpoint {name}"
        return ""

    def seen(self) -> Disk:
        return replace(self.disk, size=self.info.size).disk()

    def open(self, bitmap: str | None) -> BlockSource:
        if self.info.format == "raw":
            return RawSource(self.info.path)
        if bitmap is None:
            imageinspect.check(self.info)
        return ImageSource(self.info, bitmap)


def _layers(info: ImageInfo) -> list[ImageInfo]:
    """The image and its backing files, top first."""
    layers = []
    step: ImageInfo | None = info
    while step is not None:
        layers.append(step)
        step = step.backing
    return layers


class StoppedDiskView:
    """One disk of a stopped domain."""

    def __init__(self, image: Image, source: BlockSource, token: str | None, reason: str) -> None:
        self.disk = image.disk.disk()
        self.checkpoint = token
        self.reason = reason
        self._image = image
        self._source = source
        self._raw = image.info.format == "raw" and not image.disk.device
        self._written = self._last_written()

    @property
    def incremental(self) -> bool:
        return isinstance(self._source, ImageSource) and self._source.bitmap is not None

    def open(self, *, full: bool = False) -> BlockSource:
        if full and self.incremental:
            return self._image.open(None)
        return self._source.clone()

    def confirm(self) -> None:
        """Raises InvalidState when a raw image was written meanwhile."""
        if self._raw and self._last_written() != self._written:
            raise InvalidState(
                f"{self._image.info.path} was written while it was backed up",
                hint="Find out who uses it (fuser -v), and run the backup again.",
            )

    def _last_written(self) -> tuple[int, int]:
        found = self._image.info.path.stat()
        return found.st_mtime_ns, found.st_size
