"""Clean up what killed processes left on a mock hypervisor."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from hypersdk.drivers.mock import fleece
from hypersdk.drivers.mock.errors import native
from hypersdk.drivers.mock.folder import InstanceFolder
from hypersdk.drivers.mock.freezing import abandoned, thaw
from hypersdk.drivers.mock.root import Root
from hypersdk.model.errors import InstanceNotFound


class MockLeftovers:
    """The ``leftovers`` part.

    Checkpoints of killed backups are not touched: whether their restore point was committed only
    the next backup knows (see `chain`).
    """

    def __init__(self, root: Root) -> None:
        self._root = root

    def reap(self, *, dry_run: bool = False) -> Sequence[str]:
        """See the port."""
        if not (self._root.path / "hypervisor.json").exists():
            return []
        done = self._drafts(dry_run)
        for folder in list(self._root.folders()):
            try:
                done += self._instance(folder, dry_run)
            except InstanceNotFound:
                continue
        return done

    def _drafts(self, dry_run: bool) -> list[str]:
        """Half-made and half-deleted instances."""
        with native(f"clean {self._root.path}"), self._root.changing(sweep=False):
            debris = self._root.debris()
            for path in () if dry_run else debris:
                shutil.rmtree(path, ignore_errors=True)
        return [f"removed {path}" for path in debris]

    def _instance(self, folder: InstanceFolder, dry_run: bool) -> list[str]:
        with folder.locked(), native(f"clean {folder.path}"):
            name = folder.definition().name
            lines = []
            if abandoned(folder.path):
                lines.append(f"{name}: thawed its filesystems")
                if not dry_run:
                    thaw(folder.path)
            for path in [*self._dead_views(folder), *self._half_snapshots(folder)]:
                lines.append(f"{name}: removed {path}")
                if not dry_run:
                    shutil.rmtree(path)
            return lines

    def _dead_views(self, folder: InstanceFolder) -> list[Path]:
        return fleece.dead(folder.path / "views")

    def _half_snapshots(self, folder: InstanceFolder) -> Iterator[Path]:
        """They are made and removed under the lock that we hold."""
        yield from sorted((folder.path / "snapshots").glob(".*/"))
