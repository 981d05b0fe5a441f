"""The disks of a stopped machine, open for changes: `diskports.Rewriting` over image files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from hypersdk.datapath.cancel import CancelToken
from hypersdk.datapath.image import ExistingImage
from hypersdk.datapath.imageinspect import ImageInfo
from hypersdk.datapath.ports import BlockSink, BlockSource
from hypersdk.datapath.raw import RawSink, RawSource
from hypersdk.model.errors import HyperSDKError
from hypersdk.model.instances import Disk


class ImageRewriting:
    """See the port. QEMU's own locks keep the machine from being started meanwhile."""

    def __init__(
        self, disks: Sequence[Disk], images: Mapping[str, ImageInfo], files: Mapping[str, str]
    ) -> None:
        """``images``: by the names of disks; ``files``: NVRAM, kernel and initrd, and their paths.
        Raises DataPathError; nothing stays open then."""
        self.disks = disks
        self._files = files
        self._open = ExitStack()
        with ExitStack() as opened:
            self._images = {
                name: opened.enter_context(ExistingImage(info)) for name, info in images.items()
            }
            self._open = opened.pop_all()

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
