"""Back up an instance that does not run: its images are read through qemu-nbd."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from hypersdk.datapath import imageinspect
from hypersdk.datapath.bitmaps import add_bitmap, image_records
from hypersdk.datapath.cancel import CancelToken
from hypersdk.datapath.image import ImageSource
from hypersdk.datapath.imageinspect import ImageInfo
from hypersdk.datapath.ports import BlockSource
from hypersdk.datapath.raw import RawSource
from hypersdk.drivers.diskports import DiskView, ViewOptions
from hypersdk.drivers.qmp import process, translate
from hypersdk.drivers.qmp.commandline import ALLOW_BACKING
from hypersdk.drivers.qmp.definition import DiskRecord, MachineRecord
from hypersdk.drivers.qmp.leftovers import forget_bitmaps
from hypersdk.drivers.qmp.power import Power
from hypersdk.drivers.qmp.state import InstanceFolder
from hypersdk.drivers.qmp.tokens import Token, new_bitmap
from hypersdk.drivers.qmp.viewparts import (
    chosen,
    definition,
    file_views,
    superseded,
    why_full,
)
from hypersdk.drivers.qmp.workplace import Workplace
from hypersdk.model.errors import HyperSDKError, InvalidState
from hypersdk.model.instances import Consistency, Definition, InstanceState


class StoppedView:
    """``BackupView`` of an instance without a process.

    Images are open from the beginning to the end, and QEMU's locks keep a guest from starting on
    them. Raw images have no locks that we could take: `confirm` finds out that one was written.
    """

    def __init__(
        self,
        power: Power,
        folder: InstanceFolder,
        machine: MachineRecord,
        since: Mapping[str, str],
        options: ViewOptions,
    ) -> None:
        self._power, self._folder, self._machine = power, folder, machine
        self._since, self._options = since, options
        self.instance = translate.instance(machine, InstanceState.STOPPED)
        self.definition: Definition = definition(machine)
        self.consistency = Consistency.OFFLINE
        self.warnings: Sequence[str] = ()
        self._files = file_views(machine)
        self._open = ExitStack()
        self._bitmap = ""
        self._ended = self._kept = False
        self._work = Workplace(folder, machine.name)
        try:
            self._views = list(self._begin(chosen(machine, options)))
        except BaseException:
            self._end()
            raise

    def _begin(self, disks: Sequence[DiskRecord]) -> Iterator[StoppedDiskView]:
        found = {disk.name: self._known(disk) for disk in disks}
        self._bitmap = self._recording([disk for disk in disks if disk.format == "qcow2"])
        for disk in disks:
            known = found[disk.name]
            old = known if isinstance(known, Token) else None
            reason = known if isinstance(known, str) else f"changed blocks since {known.bitmap}"
            token = old
            if self._bitmap and disk.format == "qcow2":
                token = Token.of(self._bitmap, disk)
            info = imageinspect.inspect(disk.path, disk.format, ALLOW_BACKING)
            source = self._opened(info, old.bitmap if old else None)
            yield StoppedDiskView(disk, info, source, str(token) if token else None, reason)

    def _known(self, disk: DiskRecord) -> Token | str:
        if disk.format != "qcow2":
            return why_full(disk, self._since, ())
        return why_full(disk, self._since, image_records(disk.path, disk.format).bitmaps)

    def _recording(self, disks: Sequence[DiskRecord]) -> str:
        """From before the images are read: what is written later is recorded in any case."""
        if not disks:
            return ""
        bitmap = new_bitmap(self._options.series)
        self._work.note(bitmap=bitmap)
        try:
            for disk in disks:
                add_bitmap(disk.path, bitmap)
        except HyperSDKError as error:
            forget_bitmaps(self._power, self._folder, self._machine, {bitmap})
            self._work.note(bitmap="")
            text = f"changes cannot be recorded: {error.message}"
            self.warnings = (*self.warnings, text)
            return ""
        return bitmap

    def _opened(self, info: ImageInfo, bitmap: str | None) -> BlockSource:
        try:
            return self._open.enter_context(_source(info, bitmap))
        except HyperSDKError as error:
            if process.is_alive(self._folder.run):
                raise self._started() from error
            raise

    def _started(self) -> InvalidState:
        return InvalidState(
            f"'{self._machine.name}' was started while it was backed up",
            hint="Run the backup again: it is then read as a running instance.",
        )

    @property
    def disks(self) -> Sequence[DiskView]:
        return [*self._views, *self._files]

    def confirm(self) -> None:
        """See the port."""
        if process.is_alive(self._folder.run):
            raise self._started()
        for view in self._views:
            view.confirm()

    def keep_checkpoints(self) -> None:
        """See the port."""
        self._open.close()  # the images' locks are in the way
        self._kept = True
        self._work.note(bitmap="")
        with CancelToken().scope():  # the restore point is there
            gone = superseded(self._since, self._options.series, self._bitmap)
            forget_bitmaps(self._power, self._folder, self._machine, gone, broken=True)

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
            if self._work.record.bitmap and not self._kept:
                with CancelToken().scope():  # whose work was cancelled tidies up all the same
                    gone = {self._work.record.bitmap}
                    forget_bitmaps(self._power, self._folder, self._machine, gone)
        except BaseException:
            self._work.leave()
            raise
        self._work.end()


def _source(info: ImageInfo, bitmap: str | None) -> BlockSource:
    if info.format == "raw":
        return RawSource(info.path)
    if bitmap is None:
        imageinspect.check(info)
    return ImageSource(info, bitmap)


class StoppedDiskView:
    """One disk of a stopped instance."""

    def __init__(
        self,
        disk: DiskRecord,
        info: ImageInfo,
        source: BlockSource,
        token: str | None,
        reason: str,
    ) -> None:
        self.disk = disk.observed()
        self.checkpoint = token
        self.reason = reason
        self._info = info
        self._source = source
        self._written = self._last_written()

    @property
    def incremental(self) -> bool:
        return isinstance(self._source, ImageSource) and self._source.bitmap is not None

    def open(self, *, full: bool = False) -> BlockSource:
        if full and self.incremental:
            return _source(self._info, None)
        return self._source.clone()

    def confirm(self) -> None:
        """Raises InvalidState when a raw image was written meanwhile."""
        if self._info.format == "raw" and self._last_written() != self._written:
            raise InvalidState(
                f"{self._info.path} was written while it was backed up",
                hint="Find out who uses it (fuser -v), and run the backup again.",
            )

    def _last_written(self) -> tuple[int, int]:
        found = self._info.path.stat()
        return found.st_mtime_ns, found.st_size
