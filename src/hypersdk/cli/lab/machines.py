"""The virtual machines that a lab begins with: small, and with real data in their disks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hypersdk.cli.demolab import file_data, install
from hypersdk.model.units import MIB

#: Name, folder, MiB of data in each disk, and whether it runs. More get numbers for names.
_KNOWN = (
    ("web", "prod/web", (24,), True),
    ("db", "prod/db", (32, 16), True),
    ("build", "test", (16,), False),
    ("mail", "prod", (24,), True),
)
_DISK_SIZE = 256 * MIB


class _File:
    """A raw sparse file, as a guest writes its disk."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._file.truncate(_DISK_SIZE)

    def write(self, offset: int, data: bytes) -> None:
        self._file.seek(offset)
        self._file.write(data)

    def discard(self, offset: int, length: int) -> None:
        self.write(offset, bytes(length))

    def close(self) -> None:
        self._file.close()


def machines(count: int, folder: Path) -> Iterator[dict[str, object]]:
    """``count`` machines as the lab takes them; their disks are made in ``folder``."""
    data = file_data()
    for number in range(count):
        name, place, amounts, running = (
            _KNOWN[number] if number < len(_KNOWN) else (f"vm-{number + 1}", "test", (8,), False)
        )
        disks = []
        for index, amount in enumerate(amounts):
            path = folder / f"{name}-{index}.raw"
            _fill(path, data, amount * MIB)
            disks.append({"source": str(path)})
        yield {
            "name": name, "folder": place, "vcpus": 2, "memory_mb": 2048, "running": running,
            "cbt": True, "disks": disks, "nics": [{"network": "VM Network"}],
        }  # fmt: skip


def _fill(path: Path, data: Iterator[bytes], amount: int) -> None:
    disk = _File(path)
    try:
        install(disk, _DISK_SIZE, data, amount)
    finally:
        disk.close()
