"""The disk in a file of a package as a source, whatever its format, and however it comes."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hypersdk.artifacts.streams import Readable
from hypersdk.artifacts.unpacking import Bounds, UnpackedStream
from hypersdk.datapath.cancel import token_in_force
from hypersdk.datapath.image import open_image
from hypersdk.datapath.ports import BlockSource
from hypersdk.datapath.streamvmdk import StreamVmdkSource
from hypersdk.flows.importing import streams
from hypersdk.model.errors import Damaged, ImageRefused, InvalidInput
from hypersdk.ovf.formats import format_of
from hypersdk.ovf.machine import OvfDisk

_STEP = 1 << 20
_DRIVERS = {"vhd": "vpc"}


@contextmanager
def streamed(stream: Readable, disk: OvfDisk) -> Iterator[BlockSource]:
    """A disk that comes as a stream: walked as it comes where its format allows, else kept in a
    temporary file first."""
    kind = format_of(disk.format) or Path(streams.plain_name(disk.file)).suffix.removeprefix(".")
    with from_stream(stream, disk.file, kind) as source:
        if source.size > disk.capacity:
            raise ImageRefused(
                f"{disk.file} holds a disk of {source.size} bytes, its descriptor says "
                f"{disk.capacity}",
                hint="Descriptor and disk are not of one package: fetch it again.",
            )
        yield source


@contextmanager
def from_stream(stream: Readable, name: str, kind: str) -> Iterator[BlockSource]:
    file = streams.buffered(stream)
    if kind in {"stream-vmdk", "vmdk", ""} and _says_stream(file.peek(16)[:16]):  # type: ignore[attr-defined]
        source = StreamVmdkSource(file, name)
        yield source
        if not source.finished:
            raise Damaged(f"{name} was not read to its end")
        return
    with tempfile.TemporaryDirectory(prefix="hypersdk-import-") as folder:
        path = Path(folder) / "image"
        _keep(file, path)
        with open_image(path, driver_of(kind)) as source_:
            yield source_


def _keep(stream: Readable, path: Path) -> None:
    """All of a stream in a file, sparse where it is zero."""
    token, zeroes, size = token_in_force(), bytes(_STEP), 0
    with path.open("xb", buffering=0) as file:
        while data := stream.read(_STEP):
            token.check()
            if data == zeroes[: len(data)]:
                file.seek(len(data), os.SEEK_CUR)
            else:
                file.write(data)
            size += len(data)
        file.truncate(size)


def unpacked(stream: Readable, disk: OvfDisk) -> Readable:
    """As the descriptor's ``compression`` says."""
    if disk.compression in {"", "identity"}:
        return stream
    if disk.compression != "gzip":
        raise InvalidInput(f"{disk.file} is packed as '{disk.compression}'", hint="gzip is known.")
    bounds = Bounds(max(2 * disk.capacity, 1 << 30), streams.RATIO)
    return UnpackedStream(stream, "gzip", bounds, disk.file)


def is_stream_vmdk(path: Path) -> bool:
    with path.open("rb") as file:
        return _says_stream(file.read(16))


def _says_stream(head: bytes) -> bool:
    """A VMDK of the kind that streams: with markers and packed grains (header, byte 8 on)."""
    return len(head) >= 12 and head[:4] == b"KDMV" and head[10] & 3 == 3


def driver_for(disk: OvfDisk) -> str | None:
    return driver_of(format_of(disk.format) or Path(disk.file).suffix.removeprefix("."))


def driver_of(kind: str) -> str | None:
    """QEMU's name of a format; None: look."""
    known = {"raw", "qcow2", "vmdk", "vhdx", "vdi", "vhd"}
    return _DRIVERS.get(kind, kind) if kind in known else None
