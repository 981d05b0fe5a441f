"""Instances with known disks, and looks at what became of them."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from hypersdk.drivers.mock.driver import MockHypervisor
from hypersdk.drivers.ports import Hypervisor
from hypersdk.model.extents import ExtentKind
from tests.repository.examples import noise

MIB = 1 << 20
#: Disk → its content: data, text, zeroes that are written, holes.
DISKS = {
    "vda": (noise(3 * MIB) + b"hypersdk " * 60_000).ljust(16 * MIB, b"\0"),
    "vdb": bytes(4 * MIB) + noise(MIB, seed=7) + bytes(4 * MIB),
}


def mock_with(folder: Path, name: str = "web", disks: dict[str, bytes] = DISKS) -> MockHypervisor:
    """A mock hypervisor with one stopped instance."""
    hypervisor = MockHypervisor(folder)
    hypervisor.create_instance(name, {disk: len(content) for disk, content in disks.items()})
    fill(hypervisor, name, disks)
    return hypervisor


def fill(hypervisor: Hypervisor, name: str, disks: dict[str, bytes]) -> None:
    """Write the disks of a stopped instance, holes left out."""
    assert hypervisor.disks is not None
    with hypervisor.disks.rewrite(name) as rewriting:
        for disk, content in disks.items():
            with rewriting.sink(disk) as sink:
                for at in range(0, len(content), MIB):
                    piece = content[at : at + MIB]
                    if any(piece):
                        sink.write(at, memoryview(piece))
                sink.flush()


def contents(hypervisor: Hypervisor, name: str = "web") -> list[bytes]:
    """Of all disks, as a view reads them."""
    assert hypervisor.disks is not None
    found = []
    with hypervisor.disks.view(name, {}) as view:
        for disk in view.disks:
            with disk.open(full=True) as source:
                content = bytearray(source.size)
                for extent in source.extents():
                    if extent.kind is ExtentKind.DATA:
                        for at in range(extent.start, extent.end, MIB):
                            end = min(at + MIB, extent.end)
                            source.readinto(at, memoryview(content)[at:end])
                found.append(bytes(content))
    return found


def files(folder: Path) -> dict[str, str]:
    """Name → digest of everything in a folder, hidden files too."""
    return {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in sorted(os.listdir(folder))
        if (folder / name).is_file()
    }


def checkpoint(folder: Path, name: str = "web") -> dict[str, object]:
    """What an unfinished export has noted."""
    found: dict[str, object] = json.loads((folder / f".{name}.checkpoint.json").read_text())
    return found
