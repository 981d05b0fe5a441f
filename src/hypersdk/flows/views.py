"""An image or an NBD export as if it were an instance that is switched off."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from hypersdk.datapath import open_source
from hypersdk.datapath.imageinspect import inspect
from hypersdk.datapath.nbd import is_nbd_uri
from hypersdk.datapath.ports import BlockSource
from hypersdk.model.instances import Consistency, Definition, Disk, Instance, InstanceState

#: Name of the only disk of an image.
IMAGE_DISK = "disk0"


class ImageView:
    """``BackupView`` of a single source. Nobody records its changes, so it is read in full."""

    def __init__(
        self,
        name: str,
        location: str,
        image_format: str | None = None,
        allow_backing: Sequence[Path] = (),
    ) -> None:
        """``location``: path or NBD URI. ``image_format`` wins over probing.

        Raises ImageRefused, DataPathError, MissingRequirement.
        """
        if is_nbd_uri(location):
            image_format = "raw"
        elif image_format is None:
            image_format = inspect(location, None, allow_backing).format
        self._source = open_source(location, format=image_format, allow_backing=allow_backing)
        disk = Disk(IMAGE_DISK, self._source.size, image_format, location)
        self.instance = Instance("", name, InstanceState.STOPPED, 0, 0, (disk,))
        self.disks: Sequence[ImageDiskView] = (ImageDiskView(disk, self._source),)

    @property
    def consistency(self) -> Consistency:
        return Consistency.OFFLINE

    @property
    def definition(self) -> Definition | None:
        return None

    @property
    def warnings(self) -> Sequence[str]:
        return ()

    def confirm(self) -> None:
        """There is nobody who would know."""

    def keep_checkpoints(self) -> None:
        """There are none."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._source.close()


class ImageDiskView:
    """``DiskView`` of a source that is open already."""

    def __init__(self, disk: Disk, source: BlockSource) -> None:
        self.disk = disk
        self._source = source

    @property
    def checkpoint(self) -> str | None:
        return None

    @property
    def incremental(self) -> bool:
        return False

    @property
    def reason(self) -> str:
        return "an image keeps no record of changes"

    def open(self, *, full: bool = False) -> BlockSource:  # noqa: ARG002 - it is always full
        return self._source.clone()
