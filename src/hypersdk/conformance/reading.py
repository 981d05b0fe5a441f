"""Disks as a backup would read them: by extents, with what is unchanged taken from before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b

from hypersdk.conformance import expect
from hypersdk.conformance.lab import Lab
from hypersdk.datapath.ports import BlockSink, BlockSource
from hypersdk.drivers.diskports import BackupView, DiskView
from hypersdk.model.extents import Extent, ExtentKind
from hypersdk.model.units import MIB

#: The kit works in the first bytes of a disk, and at its very end.
WINDOW = 8 * MIB
#: Areas of this size, at multiples of it, hold whole granules of every record of changes known.
AREA = MIB


def pattern(seed: str, length: int) -> bytes:
    """Bytes that do not compress, without zeroes, the same for the same seed."""
    block = blake2b(seed.encode()).digest().replace(b"\0", b"\1")
    return (block * (length // len(block) + 1))[:length]


def disk_of(view: BackupView, name: str) -> DiskView:
    """The disk of a view. It must be large enough for what the kit does."""
    for disk in view.disks:
        if disk.disk.name == name:
            if disk.disk.size < WINDOW:
                expect.skip(f"disk '{name}' has {disk.disk.size} bytes, it takes {WINDOW}")
            return disk
    raise expect.Unmet(f"no disk '{name}' in {[disk.disk.name for disk in view.disks]}")


def tokens(view: BackupView) -> Mapping[str, str]:
    return {disk.disk.name: disk.checkpoint for disk in view.disks if disk.checkpoint}


def committed(lab: Lab, name: str, since: Mapping[str, str] | None = None) -> Mapping[str, str]:
    """Tokens of a backup that has succeeded."""
    with lab.disks.view(name, since or {}) as view:
        view.confirm()
        view.keep_checkpoints()
        return tokens(view)


def extents(source: BlockSource, start: int = 0, length: int | None = None) -> Sequence[Extent]:
    """What the source says of the area; it says it in order and without gaps."""
    end = source.size if length is None else start + length
    position, found = start, []
    for extent in source.extents(start, length):
        expect.equal(extent.start, position, f"where the extent behind {position} begins")
        expect.true(extent.length > 0, f"the extent at {position} has {extent.length} bytes")
        position = extent.end
        found.append(extent)
    expect.equal(position, end, "where the last extent ends")
    return found


def read(source: BlockSource, offset: int, length: int) -> bytes:
    buffer = bytearray(length)
    source.readinto(offset, memoryview(buffer))
    return bytes(buffer)


def restored(source: BlockSource, start: int, length: int, before: bytes = b"") -> bytes:
    """The area as a restore would make it from extents: ``before`` where it is unchanged."""
    made = bytearray(before.ljust(length, b"\0"))
    for extent in extents(source, start, length):
        begin, end = extent.start - start, extent.end - start
        if extent.kind is ExtentKind.DATA:
            made[begin:end] = read(source, extent.start, extent.length)
        elif extent.kind is ExtentKind.ZERO:
            made[begin:end] = bytes(extent.length)
    return bytes(made)


def copied(source: BlockSource, sink: BlockSink) -> None:
    """All of a disk, as an export would."""
    for extent in extents(source):
        for start in range(extent.start, extent.end, AREA):
            length = min(AREA, extent.end - start)
            if extent.kind is ExtentKind.DATA:
                sink.write(start, memoryview(read(source, start, length)))
            else:
                sink.zero(start, length)
    sink.flush()


def kinds(source: BlockSource, start: int, length: int) -> set[ExtentKind]:
    return {extent.kind for extent in extents(source, start, length)}


def same(actual: bytes, wanted: bytes, what: str) -> None:
    """Compare without printing megabytes: where they differ first."""
    if actual == wanted:
        return
    if len(actual) != len(wanted):
        expect.fail(f"{what}: {len(actual)} bytes instead of {len(wanted)}")
    first = next(
        number for number, pair in enumerate(zip(actual, wanted, strict=True)) if pair[0] != pair[1]
    )
    expect.fail(
        f"{what}: the first wrong byte is at {first}: "
        f"{actual[first : first + 8].hex()} instead of {wanted[first : first + 8].hex()}"
    )
