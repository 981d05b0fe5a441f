"""Disks of a stopped mock instance, open for changes."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from hypersdk.datapath.handle import Handle
from hypersdk.datapath.ports import BlockSink, BlockSource
from hypersdk.datapath.raw import RawSource
from hypersdk.drivers.mock.errors import native
from hypersdk.drivers.mock.folder import InstanceFolder
from hypersdk.drivers.mock.guest import GuestDisk
from hypersdk.model.errors import InvalidState
from hypersdk.model.instances import Disk, InstanceState


class MockRewriting:
    """See the port. While the file ``rewriting`` is locked the instance cannot be started."""

    def __init__(self, folder: InstanceFolder) -> None:
        self._folder = folder
        with folder.locked(), native(f"begin to rewrite {folder.path}"):
            check_stopped(folder)
            refuse_rewritten(folder)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            self._held = os.open(folder.path / "rewriting", flags, 0o600)
            fcntl.flock(self._held, fcntl.LOCK_EX)
            self.disks: Sequence[Disk] = folder.observe().disks

    def source(self, disk: str) -> BlockSource:
        """See the port."""
        return RawSource(next(each.path for each in self.disks if each.name == disk))

    def sink(self, disk: str) -> BlockSink:
        """See the port."""
        return RewrittenDisk(self._folder, disk)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Every write was complete when it returned."""
        if self._held >= 0:
            os.close(self._held)
            self._held = -1


class RewrittenDisk(Handle):
    """A sink whose writes are recorded like the guest's own."""

    def __init__(self, folder: InstanceFolder, disk: str) -> None:
        self._folder = folder
        self._name = disk
        self._disk = GuestDisk(folder, disk)

    @property
    def size(self) -> int:
        return self._disk.size

    @property
    def granularity(self) -> int:
        return 1

    def write(self, offset: int, data: memoryview) -> None:
        check_stopped(self._folder)
        self._disk.write(offset, data)

    def zero(self, offset: int, length: int) -> None:
        check_stopped(self._folder)
        self._disk.zero(offset, length)

    def flush(self) -> None:
        """The page cache is as durable as a simulation needs."""

    def clone(self) -> Self:
        return type(self)(self._folder, self._name)

    def close(self) -> None:
        self._disk.close()


def refuse_rewritten(folder: InstanceFolder) -> None:
    """Raises InvalidState while somebody rewrites its disks; a killed process does not count."""
    try:
        descriptor = os.open(folder.path / "rewriting", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InvalidState(
            f"the disks of '{folder.definition().name}' are being rewritten",
            hint="Wait until that is done.",
        ) from None
    finally:
        os.close(descriptor)


def check_stopped(folder: InstanceFolder) -> None:
    """Raises InvalidState while the instance is not switched off."""
    instance = folder.observe()
    if instance.state is not InstanceState.STOPPED:
        raise InvalidState(
            f"'{instance.name}' is {instance.state.value}, its disks cannot be written",
            hint="Stop it first.",
        )
