"""Write streamOptimized VMDK, from front to back: into a file, an archive or a connection.

Besides grains it has what VMware's own exports have: a grain table behind every 512 grains, a
grain directory, a footer and the marker of the end, so that readers with and without random access
take it. Layout and names: `streamvmdk`.
"""

from __future__ import annotations

import secrets
import struct
from collections.abc import Iterator
from typing import Protocol

from isal import isal_zlib

from hypersdk.datapath.pipeline import in_order
from hypersdk.datapath.ports import BlockSource
from hypersdk.datapath.streamvmdk import (
    AT_END,
    COMPRESSED,
    DEFLATE,
    END_OF_STREAM,
    FOOTER,
    GRAIN_DIRECTORY,
    GRAIN_TABLE,
    HEADER,
    LINE_ENDS,
    MAGIC,
    MARKER,
    MARKER_TYPE,
    MARKERS,
    SECTOR,
)
from hypersdk.model.errors import InvalidInput

GRAIN = 64 << 10
#: Entries of a grain table, as every reader expects.
ENTRIES = 512
#: Bytes that one grain table describes.
TABLE_SPAN = ENTRIES * GRAIN
#: isal's levels are 0 to 3; 1 packs about as zlib's 1, three times as fast.
DEFAULT_LEVEL = 1

_VALID_LINE_ENDS = 1
_VERSION = 3
_DESCRIPTOR_SECTORS = 20
_OVERHEAD_SECTORS = 128
_ZERO_GRAIN = bytes(GRAIN)

_DESCRIPTOR = """# Disk DescriptorFile
version=1
CID={identity:08x}
parentCID=ffffffff
createType="streamOptimized"

# Extent description
RW {sectors} SPARSE "{name}"

# The Disk Data Base
#DDB

ddb.adapterType = "{adapter}"
ddb.geometry.cylinders = "{cylinders}"
ddb.geometry.heads = "255"
ddb.geometry.sectors = "63"
ddb.virtualHWVersion = "{hardware}"
"""


class Output(Protocol):
    """Takes bytes from front to back."""

    def write(self, data: bytes, /) -> object: ...


def write_stream_vmdk(
    source: BlockSource,
    output: Output,
    *,
    name: str,
    adapter: str = "lsilogic",
    hardware: int = 10,
    level: int = DEFAULT_LEVEL,
    workers: int = 2,
) -> int:
    """Write the whole disk; how many bytes the stream has.

    ``name``: of the file, noted in its descriptor. ``adapter``: lsilogic, ide or buslogic.
    Grains that are zero are left out, also those that the source calls data. Raises what reading
    and writing raise.
    """
    if source.size % SECTOR:
        raise InvalidInput(
            f"a VMDK cannot hold a disk of {source.size} bytes", hint="Sectors have 512 bytes."
        )
    stream = _Writer(output, source.size)
    stream.begin(_descriptor(source.size, name, adapter, hardware))
    for offset, grains in in_order(
        source, lambda _, data: list(_packed(data, level)), granularity=GRAIN, workers=workers
    ):
        for position, content in grains:
            stream.grain((offset + position) // GRAIN, content)
    stream.end()
    return stream.position


def _packed(data: memoryview, level: int) -> Iterator[tuple[int, bytes]]:
    """Place and deflated content of each grain that is not zero."""
    for position in range(0, len(data), GRAIN):
        content = data[position : position + GRAIN]
        if content == _ZERO_GRAIN[: len(content)]:
            continue
        # The last grain is whole in the stream, also when the disk ends within it.
        whole = content if len(content) == GRAIN else bytes(content).ljust(GRAIN, b"\0")
        yield position, isal_zlib.compress(whole, level)


def _descriptor(size: int, name: str, adapter: str, hardware: int) -> bytes:
    sectors = size // SECTOR
    text = _DESCRIPTOR.format(
        identity=secrets.randbelow(0xFFFFFFFE),
        sectors=sectors,
        name=name.replace('"', "_"),
        adapter=adapter,
        cylinders=min(sectors // (255 * 63), 65535),
        hardware=hardware,
    ).encode()
    if len(text) > _DESCRIPTOR_SECTORS * SECTOR:
        raise InvalidInput(f"'{name}' is too long for the name of a VMDK")
    return text


class _Writer:
    """Puts markers around what it is given. Grains come in the order of their numbers."""

    def __init__(self, output: Output, size: int) -> None:
        self._output = output
        self._size = size
        self.position = 0
        #: Sectors of the grain tables, one for each ``TABLE_SPAN``; 0: no grain there.
        self._directory = [0] * -(-size // TABLE_SPAN)
        self._table = [0] * ENTRIES
        self._current = 0

    def begin(self, descriptor: bytes) -> None:
        self._put(self._header(AT_END))
        self._put(descriptor.ljust((_OVERHEAD_SECTORS - 1) * SECTOR, b"\0"))

    def grain(self, number: int, content: bytes) -> None:
        if number // ENTRIES != self._current:
            self._end_table()
            self._current = number // ENTRIES
        self._table[number % ENTRIES] = self.position // SECTOR
        self._put(MARKER.pack(number * (GRAIN // SECTOR), len(content)) + content)

    def end(self) -> None:
        self._end_table()
        directory = struct.pack(f"<{len(self._directory)}I", *self._directory)
        self._marker(-(-len(directory) // SECTOR), GRAIN_DIRECTORY)
        place = self.position // SECTOR
        self._put(directory)
        self._marker(1, FOOTER)
        self._put(self._header(place))
        self._marker(0, END_OF_STREAM)

    def _end_table(self) -> None:
        if not any(self._table):
            return
        self._marker(ENTRIES * 4 // SECTOR, GRAIN_TABLE)
        self._directory[self._current] = self.position // SECTOR
        self._put(struct.pack(f"<{ENTRIES}I", *self._table))
        self._table = [0] * ENTRIES

    def _marker(self, sectors: int, kind: int) -> None:
        self._put(MARKER.pack(sectors, 0) + MARKER_TYPE.pack(kind))

    def _header(self, directory: int) -> bytes:
        return HEADER.pack(
            MAGIC,
            _VERSION,
            _VALID_LINE_ENDS | COMPRESSED | MARKERS,
            self._size // SECTOR,
            GRAIN // SECTOR,
            1,
            _DESCRIPTOR_SECTORS,
            ENTRIES,
            0,
            directory,
            _OVERHEAD_SECTORS,
            0,
            LINE_ENDS,
            DEFLATE,
        )

    def _put(self, data: bytes) -> None:
        """With zeroes up to the next sector."""
        padded = data + bytes(-len(data) % SECTOR)
        self._output.write(padded)
        self.position += len(padded)
