"""Give a disk other content as a whole, so that backups still know what changed."""

from __future__ import annotations

import os
from pathlib import Path

from hypersdk.drivers.mock import sparse
from hypersdk.drivers.mock.chain import Chain
from hypersdk.drivers.mock.definition import MockDisk
from hypersdk.drivers.mock.files import replace_file
from hypersdk.drivers.mock.fleece import Saver
from hypersdk.drivers.mock.folder import InstanceFolder
from hypersdk.drivers.mock.journal import GRANULE, granules
from hypersdk.model.errors import InvalidState


def begin_reverting(folder: InstanceFolder, snapshot: str) -> None:
    """Note that disks are about to be a mixture, until `end_reverting`."""
    replace_file(folder.path / "reverting", snapshot.encode(), durable=False)


def end_reverting(folder: InstanceFolder) -> None:
    (folder.path / "reverting").unlink(missing_ok=True)


def refuse_torn(folder: InstanceFolder) -> None:
    """Raises InvalidState for disks that are a mixture: who reverted them was killed."""
    try:
        snapshot = (folder.path / "reverting").read_text(encoding="utf-8")
    except FileNotFoundError:
        return
    raise InvalidState(
        f"reverting '{folder.definition().name}' to '{snapshot}' was cut off, its disks are a "
        "mixture",
        hint=f"Revert it to '{snapshot}' again, or to another one.",
    )


class Replacing:
    """Makes a disk the same as a file, touching only what differs. Under the instance's lock.

    Each change is saved for open views and recorded like a write of the guest. Being killed leaves
    a mixture; doing it again completes it.
    """

    def __init__(self, folder: InstanceFolder, disk: MockDisk) -> None:
        self._disk = disk
        self._chain = Chain(folder.path / "checkpoints")
        self._saver = Saver(folder.path / "views", disk.id)
        self._file = os.open(folder.disk_path(disk), os.O_RDWR | os.O_CLOEXEC)

    def become(self, content: Path) -> None:
        """The size becomes that of ``content`` too; the definition is the caller's."""
        wanted = os.open(content, os.O_RDONLY | os.O_CLOEXEC)
        try:
            size = os.fstat(wanted).st_size
            self._resize(size)
            for start, end, has_data in sparse.pieces(wanted, 0, size):
                if has_data:
                    self._write(wanted, start, end)
                else:
                    self._clear(start, end)
        finally:
            os.close(wanted)

    def close(self) -> None:
        os.close(self._file)
        self._saver.close()

    def _resize(self, size: int) -> None:
        low, high = sorted((size, self._disk.size))
        self._before(low, high - low)
        os.ftruncate(self._file, size)

    def _write(self, wanted: int, start: int, end: int) -> None:
        for offset in range(start, end, GRANULE):
            length = min(GRANULE, end - offset)
            data = os.pread(wanted, length, offset)
            if data != os.pread(self._file, length, offset):
                self._before(offset, length)
                sparse.write_all(self._file, offset, data)

    def _clear(self, start: int, end: int) -> None:
        for begin, stop, has_data in sparse.pieces(self._file, start, end):
            if has_data:
                self._before(begin, stop - begin)
                sparse.punch(self._file, begin, stop - begin)

    def _before(self, offset: int, length: int) -> None:
        if length:
            self._saver.save(self._file, offset, length)
            self._chain.mark(self._disk, granules(offset, length))
