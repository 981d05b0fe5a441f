"""The ``checkpoints`` part: see and remove records of changed blocks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from hypersdk.drivers.mock import journal
from hypersdk.drivers.mock.chain import Chain
from hypersdk.drivers.mock.definition import MockDisk
from hypersdk.drivers.mock.errors import native
from hypersdk.drivers.mock.folder import InstanceFolder
from hypersdk.drivers.mock.root import Root
from hypersdk.model.checkpoints import Bitmap, Checkpoint, DiskBitmaps
from hypersdk.model.errors import InvalidState, NotFound


class MockCheckpoints:
    """Journals are this hypervisor's bitmaps."""

    def __init__(self, root: Root) -> None:
        self._root = root

    def checkpoints(self, name: str) -> Sequence[Checkpoint]:
        """See the port."""
        with self._chain(name, "list the checkpoints of") as (folder, chain):
            disks = {disk.id: disk.name for disk in folder.definition().disks}
            found, parent = [], ""
            for each in chain.ids():
                names = tuple(sorted(disks[id] for id in chain.journals(each) if id in disks))
                created = datetime.fromtimestamp(chain.created(each), UTC)
                found.append(Checkpoint(each, created, parent, names))
                parent = each
            return found

    def bitmaps(self, name: str) -> Sequence[DiskBitmaps]:
        """See the port."""
        with self._chain(name, "look at the disks of") as (folder, chain):
            records = {each: chain.journals(each) for each in chain.ids()} | {**chain.orphans()}
            return [self._of_disk(folder, disk, records) for disk in folder.definition().disks]

    def delete(self, name: str, checkpoint: str) -> None:
        """See the port. What it recorded goes to the one before it."""
        with self._chain(name, "delete a checkpoint of") as (_, chain):
            if checkpoint in chain.ids():
                chain.drop(checkpoint)
            else:
                self._remove_orphan(name, chain, checkpoint)

    def forget(self, name: str, checkpoint: str) -> None:
        """See the port."""
        with self._chain(name, "forget a checkpoint of") as (_, chain):
            if checkpoint not in chain.ids():
                known = ", ".join(chain.ids()) or "none"
                raise NotFound(
                    f"'{name}' has no checkpoint '{checkpoint}'", hint=f"There are: {known}."
                )
            chain.forget(checkpoint)

    def remove_bitmap(self, name: str, bitmap: str) -> None:
        """See the port."""
        with self._chain(name, "remove a bitmap of") as (_, chain):
            if bitmap in chain.ids():
                raise InvalidState(
                    f"checkpoint {bitmap} of '{name}' still needs its bitmap",
                    hint="Remove the checkpoint as well.",
                )
            self._remove_orphan(name, chain, bitmap)

    def _remove_orphan(self, name: str, chain: Chain, bitmap: str) -> None:
        if bitmap not in chain.orphans():
            raise NotFound(
                f"'{name}' has neither a checkpoint nor a bitmap '{bitmap}'",
                hint="List them first.",
            )
        chain.remove_orphan(bitmap)

    def _of_disk(
        self, folder: InstanceFolder, disk: MockDisk, records: Mapping[str, Mapping[str, Path]]
    ) -> DiskBitmaps:
        path = folder.disk_path(disk)
        bitmaps = tuple(
            Bitmap(each, journal.GRANULE, not isinstance(journal.read(paths[disk.id]), str))
            for each, paths in records.items()
            if disk.id in paths
        )
        used = path.stat().st_blocks * 512
        return DiskBitmaps(disk.name, str(path), disk.size, used, bitmaps)

    @contextmanager
    def _chain(self, name: str, doing: str) -> Iterator[tuple[InstanceFolder, Chain]]:
        folder = self._root.find(name)
        with folder.locked(), native(f"{doing} '{name}'"):
            yield folder, Chain(folder.path / "checkpoints")
