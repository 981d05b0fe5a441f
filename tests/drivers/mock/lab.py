"""What the tests of the mock driver do over and over: read views as a backup would."""

from __future__ import annotations

from hypersdk.datapath.ports import BlockSource
from hypersdk.drivers.mock.disks import MockBackupView
from hypersdk.drivers.mock.driver import MockHypervisor
from hypersdk.model.extents import ExtentKind

MIB = 1 << 20
GRANULE = 64 << 10


def read(source: BlockSource, offset: int, length: int) -> bytes:
    buffer = bytearray(length)
    source.readinto(offset, memoryview(buffer))
    return bytes(buffer)


def content(source: BlockSource, parent: bytes = b"") -> bytes:
    """The disk as a restore would see it: the parent's bytes where nothing changed."""
    restored = bytearray(parent[: source.size].ljust(source.size, b"\0"))
    position = 0
    for extent in source.extents():
        assert extent.start == position
        assert extent.length > 0
        position = extent.end
        if extent.kind is ExtentKind.DATA:
            restored[extent.start : extent.end] = read(source, extent.start, extent.length)
        elif extent.kind is ExtentKind.ZERO:
            restored[extent.start : extent.end] = bytes(extent.length)
    assert position == source.size
    return bytes(restored)


def kinds(source: BlockSource, start: int = 0, length: int | None = None) -> list[str]:
    """One letter per granule that the range touches: what its extents say, ``.`` = unchanged."""
    letters = {ExtentKind.DATA: "D", ExtentKind.ZERO: "Z", ExtentKind.UNCHANGED: "."}
    result: dict[int, str] = {}
    for extent in source.extents(start, length):
        for number in range(extent.start // GRANULE, -(-extent.end // GRANULE)):
            result[number] = result.get(number, "") + letters[extent.kind]
    return list(result.values())


def tokens(view: MockBackupView) -> dict[str, str]:
    return {disk.disk.name: disk.checkpoint for disk in view.disks}


def kept(mock: MockHypervisor, name: str = "web") -> dict[str, str]:
    """Tokens of a backup that just succeeded."""
    with mock.disks.view(name, {}) as view:
        view.keep_checkpoints()
        return tokens(view)
