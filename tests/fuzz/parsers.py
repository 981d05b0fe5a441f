"""What reads files of strangers, each as a function of bytes."""

from __future__ import annotations

import io
from collections.abc import Callable

from hypersdk.artifacts.encryption import Opening, open_stream
from hypersdk.artifacts.manifest import parse_manifest
from hypersdk.artifacts.unpacking import Bounds, UnpackedStream
from hypersdk.datapath.streamvmdk import StreamVmdkSource
from hypersdk.ovf import manifest
from hypersdk.ovf.reading import read_ovf
from hypersdk.ovf.unpacking import read_ova

MIB = 1 << 20


def vmdk(data: bytes) -> None:
    source = StreamVmdkSource(io.BytesIO(data))
    for extent in source.extents():
        step = min(source.header.grain, extent.length)
        source.readinto(extent.start, memoryview(bytearray(step)))


def ova(data: bytes) -> None:
    for member in read_ova(io.BytesIO(data)):
        member.content.drain()


def ovf(data: bytes) -> None:
    read_ovf(data)


def mf(data: bytes) -> None:
    manifest.read(data.decode("utf-8", "replace"))


def artifact(data: bytes) -> None:
    parse_manifest(data[1:], yaml_=bool(data[:1] > b"\x80"))


def packed(data: bytes) -> None:
    codec = ("gzip", "zstd", "lz4")[data[0] % 3] if data else "gzip"
    stream = UnpackedStream(io.BytesIO(data[1:]), codec, Bounds(64 * MIB))
    while stream.read(MIB):
        pass


def sealed(data: bytes) -> None:
    open_stream(io.BytesIO(data), io.BytesIO(), Opening(passphrase="x"))


TARGETS: dict[str, Callable[[bytes], None]] = {
    each.__name__: each for each in (vmdk, ova, ovf, mf, artifact, packed, sealed)
}
