"""Disks as a backup would read them: by extents, with what is unchanged taken from before."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping, Sequence
from hashlib import blake2b

from hypersdk.conformance import expect
from hypersdk.conformance.lab import Lab
from hypersdk.conformance.target import Guest, HasFile
from hypersdk.datapath.ports import BlockSink, BlockSource
from hypersdk.drivers.diskports import BackupView, DiskView
from hypersdk.model.extents import Extent, ExtentKind
from hypersdk.model.instances import Purpose
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
            if disk.disk.purpose is Purpose.ARCHIVE:
                expect.skip(f"'{name}' is read as an archive, which has no places of the guest")
            if disk.disk.size < WINDOW:
                expect.skip(f"disk '{name}' has {disk.disk.size} bytes, it takes {WINDOW}")
            return disk
    raise expect.Unmet(f"no disk '{name}' in {[disk.disk.name for disk in view.disks]}")


def held(view: BackupView, guest: Guest, offset: int, length: int) -> bytes:
    """What a view holds of what the guest sees there; of an archive, in the guest's file."""
    for disk in view.disks:
        if disk.disk.name == guest.disk:
            with disk.open() as source:
                if disk.disk.purpose is not Purpose.ARCHIVE:
                    return restored(source, offset, length)
                return _in_file(source, guest)[offset : offset + length].ljust(length, b"\0")
    raise expect.Unmet(f"no disk '{guest.disk}' in {[disk.disk.name for disk in view.disks]}")


def _in_file(source: BlockSource, guest: Guest) -> bytes:
    """The guest's file; a file that it never wrote is empty."""
    if not isinstance(guest, HasFile):
        expect.skip(f"'{guest.disk}' is read as an archive, and the guest names no file in it")
    content = io.BytesIO(restored(source, 0, source.size))
    with tarfile.open(fileobj=content) as archive:
        names = {name.removeprefix("./"): name for name in archive.getnames()}
        found = archive.extractfile(names[guest.file]) if guest.file in names else None
        return found.read() if found else b""


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
