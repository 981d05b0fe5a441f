"""Instances that are being made: complete before anybody sees them, gone if their maker dies.

A draft is a folder ``.new-<id>`` whose lock file is locked for as long as its maker lives. Others
that find one unlocked remove it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from hypersdk.drivers.mock import sparse
from hypersdk.drivers.mock.definition import MockDefinition, MockDisk
from hypersdk.drivers.mock.files import make_sparse, replace_file
from hypersdk.drivers.mock.folder import InstanceFolder, RunState
from hypersdk.model.instances import InstanceState

#: Folders of an instance.
_PARTS = ("disks", "checkpoints", "views", "snapshots", "counters", "serial")


class Draft:
    """Made and published by `Root`, under the hypervisor's lock. Filled without it."""

    def __init__(self, folder: InstanceFolder, definition: MockDefinition) -> None:
        self.folder = folder
        self.definition = definition
        self._lock = -1
        folder.path.mkdir(mode=0o700)
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            self._lock = os.open(folder.path / "lock", flags, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            for part in _PARTS:
                (folder.path / part).mkdir(mode=0o700)
        except BaseException:
            self.close()
            raise

    def fill(
        self, contents: Mapping[MockDisk, Path] | None = None, run: RunState | None = None
    ) -> None:
        """Write all files; disks that are not copies of others are empty."""
        contents = contents or {}
        for disk in self.definition.disks:
            path = self.folder.disk_path(disk)
            make_sparse(path, disk.size)
            if disk in contents:
                sparse.copy_file(contents[disk], path)
        state = run or RunState(InstanceState.STOPPED)
        replace_file(self.folder.path / "state.json", state.encode(), durable=False)
        replace_file(self.folder.path / "definition.json", self.definition.encode())

    def close(self) -> None:
        """Remove what was not published. May be called several times."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
            if self.folder.path.name.startswith("."):
                shutil.rmtree(self.folder.path, ignore_errors=True)

    def published(self, folder: InstanceFolder) -> None:
        """It has its final name now."""
        self.folder = folder

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def is_dead(draft: Path) -> bool:
    """Whether its maker is gone. Under the hypervisor's lock, so no half-made lock is seen."""
    try:
        descriptor = os.open(draft / "lock", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True
