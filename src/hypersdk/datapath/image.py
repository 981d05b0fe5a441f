"""Disk images of any format, through qemu-nbd.

QEMU knows the formats better than anyone; running it as a process keeps its memory, its crashes
and its locks out of ours. Raw images do not need it and go through `raw`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from hypersdk.datapath import imageinspect, qemutools
from hypersdk.datapath.failures import from_os
from hypersdk.datapath.handle import Shared
from hypersdk.datapath.imageinspect import ImageInfo, inspect, packed, spelled
from hypersdk.datapath.nbd import NbdSink, NbdSource
from hypersdk.datapath.ports import BlockSource
from hypersdk.datapath.publish import check_target, partial_name, publish
from hypersdk.datapath.qemunbd import ImageServer
from hypersdk.datapath.raw import RawSink, RawSource
from hypersdk.datapath.wrapping import WrappedSink, WrappedSource
from hypersdk.model.errors import DataPathError, InvalidInput

#: Formats that can be written, in QEMU's words: ``vpc`` is what others call VHD.
TARGET_FORMATS = ("raw", "qcow2", "vmdk", "vhdx", "vdi", "vpc")
#: Options of new images. A VHD keeps the exact size instead of one that has a geometry.
_OPTIONS = {"vpc": ("subformat=dynamic", "force_size=on")}
#: How clusters of a qcow2 image can be packed, in QEMU's words. It has no levels.
PACKINGS = ("zlib", "zstd")
#: Bytes of a cluster of a qcow2 image; a packed one is written whole, and once.
_CLUSTER = 64 << 10
#: Bytes per entry of the map of what was written to a new image.
_BLOCK = 1 << 20


def open_image(
    path: str | os.PathLike[str],
    format: str | None = None,
    allow_backing: Sequence[str | os.PathLike[str]] = (),
    *,
    check: bool = True,
) -> BlockSource:
    """An image as a source; arguments and refusals as in `imageinspect.inspect`.

    ``check`` has the image's tables checked first (seconds for terabytes), so that a cut or
    corrupt image is refused rather than read as zeroes.
    """
    info = inspect(path, format, allow_backing)
    if info.format == "raw":
        return RawSource(info.path)
    if check:
        imageinspect.check(info)
    return ImageSource(info)


class ImageSource(WrappedSource):
    """An inspected image, served read-only; the process ends with the last clone.

    With ``bitmap``, the name of one of its persistent bitmaps, areas that it does not mark are
    ``UNCHANGED``. While it is open QEMU's lock keeps every writer out, a starting guest as well.
    """

    def __init__(self, info: ImageInfo, bitmap: str | None = None) -> None:
        self.bitmap = bitmap
        server = ImageServer(spelled(info), info.path, bitmap=bitmap)
        try:
            super().__init__(
                server.connected(lambda uri: NbdSource(uri, bitmap, name=str(info.path)))
            )
        except BaseException:
            server.kill()
            raise
        self._server = Shared(server, ImageServer.kill)
        self._closed = False

    def clone(self) -> Self:
        twin = super().clone()
        self._server.hold()
        return twin

    def close(self) -> None:
        super().close()
        if not self._closed:
            self._closed = True
            self._server.release()


def create_image(
    path: str | os.PathLike[str],
    size: int,
    format: str = "raw",
    overwrite: bool = False,
    *,
    packing: str = "",
) -> RawSink | ImageSink:
    """Start a new image for a disk of ``size`` bytes; it gets its name in ``commit()``.

    A format may round the disk up to its sectors: ``sink.size - size`` tells, and the bytes added
    read as zero. ``packing``: one of `PACKINGS`, for qcow2; each area is then written once.
    Raises AlreadyExists, InvalidInput, DataPathError, MissingRequirement.
    """
    if format not in TARGET_FORMATS:
        raise InvalidInput(
            f"'{format}' is not a format that can be written",
            hint=f"Use one of {', '.join(TARGET_FORMATS)}.",
        )
    if packing and (format != "qcow2" or packing not in PACKINGS):
        raise InvalidInput(
            f"a {format} image cannot be packed with {packing}",
            hint=f"qcow2 images can be, with {' or '.join(PACKINGS)}.",
        )
    if format == "raw":
        return RawSink.create(path, size, overwrite)
    return ImageSink(Path(path), size, format, overwrite, packing)


class _NewImage:
    """The unfinished image: its temporary folder, its process, and which blocks were written."""

    def __init__(self, target: Path, size: int, format: str, overwrite: bool, packing: str) -> None:
        self.target = target
        self.overwrite = overwrite
        check_target(target, overwrite)
        qemutools.need("qemu-nbd")
        # A folder, so that the file has its final name in it: a VMDK carries its own name inside.
        self.folder = partial_name(target.absolute())
        self.file = self.folder / target.name
        try:
            self.folder.mkdir(mode=0o700)
        except OSError as error:
            raise from_os(error, target, "create") from error
        # The filter that packs takes only whole clusters; what was added goes in the end.
        self.excess = -size % _CLUSTER if packing else 0
        try:
            self.info = self._created(size + self.excess, format, packing)
            node = packed(self.info) if packing else spelled(self.info)
            self.server = ImageServer(node, target, writable=True)
        except BaseException:
            self._tidy()
            raise
        self.written = bytearray(-(-self.info.size // _BLOCK))

    def _created(self, size: int, format: str, packing: str) -> ImageInfo:
        chosen = [f"compression_type={packing}"] if packing else _OPTIONS.get(format, ())
        options = [part for option in chosen for part in ("-o", option)]
        self._run("create", "-q", "-f", format, *options, str(self.file), str(size))
        self.file.chmod(0o600)
        return inspect(self.file, format)

    def _run(self, *arguments: str) -> None:
        done = qemutools.run(["qemu-img", *arguments], subject=str(self.target))
        if done.status != 0:
            reason = done.complaint.replace(str(self.file), str(self.target))
            raise DataPathError(f"cannot create {self.target}: {reason}")

    def finish(self) -> None:
        """After the last client has left: wait, check, make durable, give the final name."""
        self.server.end()
        self.server.kill()  # removes what is left of it
        if self.excess:
            size = self.info.size - self.excess
            self._run("resize", "-q", "-f", "qcow2", "--shrink", str(self.file), str(size))
        imageinspect.check(self.info)
        with RawSink.open_existing(self.file) as file:
            file.flush()
        publish(self.file, self.target, self.overwrite)
        self._tidy()

    def discard(self) -> None:
        self.server.kill()
        self._tidy()

    def _tidy(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


class ExistingImage(WrappedSink):
    """An image that is changed in place through qemu-nbd; its bitmaps note what is written.

    QEMU's lock keeps every other user out. `commit` ends it and waits until all is written.
    """

    def __init__(self, info: ImageInfo) -> None:
        server = ImageServer(spelled(info), info.path, writable=True)
        try:
            super().__init__(server.connected(lambda uri: NbdSink(uri, name=str(info.path))))
        except BaseException:
            server.kill()
            raise
        self._uri_of = server.connected
        self._server = Shared(server, ImageServer.kill)
        self._name = str(info.path)
        self._closed = False

    def source(self) -> BlockSource:
        """What it holds; closed before `commit`."""
        return self._uri_of(lambda uri: NbdSource(uri, name=self._name))

    def commit(self) -> None:
        """Clones and sources must be closed before; only `close` may follow."""
        self.flush()
        self.inner.close()
        self._server.value.end()

    def clone(self) -> Self:
        twin = super().clone()
        self._server.hold()
        return twin

    def close(self) -> None:
        self.inner.close()
        if not self._closed:
            self._closed = True
            self._server.release()


class ImageSink(WrappedSink):
    """A new image that is being written through qemu-nbd."""

    def __init__(
        self, path: Path, size: int, format: str, overwrite: bool = False, packing: str = ""
    ) -> None:
        image = _NewImage(path, size, format, overwrite, packing)
        try:
            super().__init__(image.server.connected(lambda uri: NbdSink(uri, name=str(path))))
        except BaseException:
            image.discard()
            raise
        self._image = image
        self._shared = Shared(image, _NewImage.discard)
        self._granularity = _CLUSTER if packing else self.inner.granularity
        self._closed = False

    @property
    def granularity(self) -> int:
        """Packed clusters are written whole."""
        return self._granularity

    @property
    def path(self) -> Path:
        """The final name."""
        return self._image.target

    def write(self, offset: int, data: memoryview) -> None:
        first, last = offset // _BLOCK, -(-(offset + len(data)) // _BLOCK)
        self._image.written[first:last] = b"\1" * (last - first)
        self.inner.write(offset, data)

    def zero(self, offset: int, length: int) -> None:
        """Free where nothing was written yet: a new image reads as zero, and formats without
        zero clusters (VMDK, VHDX) would store the zeroes."""
        written, end = self._image.written, offset + length
        last = -(-end // _BLOCK)
        block = written.find(1, offset // _BLOCK, last)
        while block >= 0:
            behind = written.find(0, block, last)
            behind = last if behind < 0 else behind
            start = max(offset, block * _BLOCK)
            self.inner.zero(start, min(end, behind * _BLOCK) - start)
            block = written.find(1, behind, last)

    def commit(self) -> None:
        """Finish the image and give it its name. Clones must be closed before; only `close` may
        follow. Raises DataPathError, ImageRefused (the written image fails its check)."""
        self.flush()
        self.inner.close()
        self._image.finish()

    def clone(self) -> Self:
        twin = super().clone()
        self._shared.hold()
        return twin

    def close(self) -> None:
        """Give back what the handle holds; without `commit` the last one removes the new file."""
        self.inner.close()
        if not self._closed:
            self._closed = True
            self._shared.release()
