"""What a guest does to its disks: the writing side of the mock hypervisor."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from hypersdk.datapath.handle import Handle
from hypersdk.drivers.mock import sparse
from hypersdk.drivers.mock.chain import Chain
from hypersdk.drivers.mock.counters import Counters
from hypersdk.drivers.mock.definition import MockDefinition, MockDisk
from hypersdk.drivers.mock.errors import native
from hypersdk.drivers.mock.fleece import Saver
from hypersdk.drivers.mock.folder import InstanceFolder
from hypersdk.drivers.mock.freezing import wait_until_thawed
from hypersdk.drivers.mock.journal import granules
from hypersdk.model.errors import InstanceNotFound, InvalidInput


class GuestDisk(Handle):
    """One disk as the guest sees it.

    Any number of handles, threads and processes may write at once; each call is one change. The
    instance need not run: changes to a stopped one are recorded as well.

    ``journal=False`` leaves a change out of the record of changed blocks, as hypervisors have done
    by mistake; it is there to test who notices.
    """

    def __init__(self, folder: InstanceFolder, disk: str) -> None:
        found = folder.definition().disk(disk)
        self._folder = folder
        self._name = disk
        self._id = found.id
        self._what = f"disk '{disk}' of {folder.path}"
        self._chain = Chain(folder.path / "checkpoints")
        self._saver = Saver(folder.path / "views", found.id)
        with native(f"open {self._what}"):
            self._file = os.open(folder.disk_path(found), os.O_RDWR | os.O_CLOEXEC)
            self._counters = Counters(folder.path / "counters", found.id)

    @property
    def size(self) -> int:
        """Bytes, as of now."""
        return self._disk().size

    def write(self, offset: int, data: bytes | memoryview, *, journal: bool = True) -> None:
        """Put ``data`` at ``offset``. Raises InvalidInput behind the end of the disk."""
        with self._change(offset, len(data), journal=journal):
            sparse.write_all(self._file, offset, data)

    def zero(self, offset: int, length: int, *, journal: bool = True) -> None:
        """Write zeroes; the blocks are given back."""
        with self._change(offset, length, journal=journal):
            sparse.punch(self._file, offset, length)

    def discard(self, offset: int, length: int, *, journal: bool = True) -> None:
        """TRIM; a discarded area of this hypervisor reads as zero."""
        self.zero(offset, length, journal=journal)

    def read(self, offset: int, length: int) -> bytes:
        """The bytes as they are now."""
        with self._folder.locked(), native(f"read {self._what}"):
            _check_range(self._what, self._disk().size, offset, length)
            began = time.perf_counter_ns()
            data = os.pread(self._file, length, offset)
            self._counters.count_read(length, time.perf_counter_ns() - began)
            return data

    def resize(self, size: int) -> None:
        """Grow with zeroes or cut off. The next backup of the disk reads it in full."""
        if size < 0:
            raise InvalidInput(f"{size} bytes is not a size for a disk")
        with self._folder.locked(), native(f"resize {self._what}"):
            definition = self._folder.definition()
            disk = self._mine(definition)
            low, high = sorted((size, disk.size))
            self._before(disk, low, high - low, journal=True)
            os.ftruncate(self._file, size)
            disks = tuple(replace(d, size=size) if d == disk else d for d in definition.disks)
            self._folder.set_definition(replace(definition, disks=disks))

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
            self._saver.close()
            self._counters.close()

    @contextmanager
    def _change(self, offset: int, length: int, *, journal: bool) -> Iterator[None]:
        with self._thawed(), native(f"write to {self._what}"):
            began = time.perf_counter_ns()
            disk = self._disk()
            _check_range(self._what, disk.size, offset, length)
            self._before(disk, offset, length, journal=journal)
            yield
            self._counters.count_write(length, time.perf_counter_ns() - began)

    @contextmanager
    def _thawed(self) -> Iterator[None]:
        """The lock, at a moment when nothing is frozen."""
        while True:
            wait_until_thawed(self._folder.path, self._what)
            with self._folder.locked():
                if not os.path.exists(f"{self._folder.path}/frozen"):
                    yield
                    return

    def _before(self, disk: MockDisk, offset: int, length: int, *, journal: bool) -> None:
        """Save for open views, then record, then the caller writes: dying between is harmless."""
        if length == 0:
            return
        self._saver.save(self._file, offset, length)
        if journal:
            self._chain.mark(disk, granules(offset, length))

    def _disk(self) -> MockDisk:
        return self._mine(self._folder.definition())

    def _mine(self, definition: MockDefinition) -> MockDisk:
        """Another instance may have taken the name of one that was deleted."""
        disk = definition.disk(self._name)
        if disk.id != self._id:
            raise InstanceNotFound(f"the instance that {self._what} belonged to was deleted")
        return disk


def _check_range(what: str, size: int, offset: int, length: int) -> None:
    if offset < 0 or length < 0 or offset + length > size:
        raise InvalidInput(f"{length} bytes at {offset} are outside {what}, which has {size} bytes")
