"""The chain of checkpoints of an instance, each with a journal of what changed since it.

::

    checkpoints/<checkpoint>/<disk id>.journal
    checkpoints/<checkpoint>/pending           until the backup that made it has committed
    checkpoints/<checkpoint>/created           when, in seconds since the epoch
    checkpoints/.orphans/<checkpoint>/…        journals whose checkpoint was forgotten

As in libvirt only the newest checkpoint records; changes since an older one are the union of its
journal and all later ones. Names sort by age. Callers hold the lock of the instance.

A killed backup leaves a pending checkpoint. ``settle`` decides at the next backup: kept when that
backup asks for changes since it (the restore point was committed, the process died just before it
said so), else merged into the one before it, as if it had never been. So leftovers are at most as
many as there were killed backups since the last one that ran.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from uuid import uuid4

from hypersdk.drivers.mock import journal
from hypersdk.drivers.mock.definition import MockDisk
from hypersdk.drivers.mock.journal import Run, RunSet

#: Committed checkpoints that stay: several repositories may each know another one, and the newest
#: restore point of a repository may be pruned.
KEPT = 4
_ORPHANS = ".orphans"


class Chain:
    """Below ``folder``. All state is in the files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def ids(self) -> list[str]:
        """Oldest first."""
        return sorted(path.name for path in self._folder.iterdir() if path.name[0] != ".")

    def begin(self, disks: Iterable[MockDisk], now: float = 0.0) -> str:
        """A new pending checkpoint; from now on it records."""
        number = max((int(name.partition("-")[0]) for name in self.ids()), default=0) + 1
        name = f"{number:010d}-{uuid4().hex[:12]}"
        draft = self._folder / f".{name}"
        draft.mkdir(mode=0o700)
        (draft / "pending").touch()
        (draft / "created").write_text(str(now))
        for disk in disks:
            journal.create(draft / f"{disk.id}.journal", disk.size)
        draft.rename(self._folder / name)
        return name

    def mark(self, disk: MockDisk, run: Run) -> None:
        """Record a change that is about to be made."""
        ids = self.ids()
        path = self._journal(ids[-1], disk) if ids else None
        if path is not None and path.exists():
            journal.merge(path, journal.append(path, [run]))

    def changes(self, name: str, disk: MockDisk) -> RunSet | str:
        """Granules of ``disk`` written since the checkpoint, or why that is not known."""
        ids = self.ids()
        if name not in ids:
            return f"checkpoint {name} is not known any more"
        runs: list[Run] = []
        for later in ids[ids.index(name) :]:
            recorded = journal.read(self._journal(later, disk))
            if isinstance(recorded, str):
                return f"the journal of checkpoint {later} {recorded}"
            if later == name and recorded.disk_size != disk.size:
                return f"the disk was resized from {recorded.disk_size} to {disk.size} bytes"
            runs += recorded.runs
        return RunSet(runs)

    def keep(self, name: str) -> None:
        """Commit; of the older committed ones only the newest stay."""
        (self._folder / name / "pending").unlink(missing_ok=True)
        committed = [other for other in self.ids() if not self._pending(other)]
        for old in committed[:-KEPT]:
            self.drop(old)

    def drop(self, name: str) -> None:
        """Forget a checkpoint; what it recorded goes to the one before it."""
        ids = self.ids()
        if name not in ids:
            return
        position = ids.index(name)
        if position > 0:
            self._merge(name, ids[position - 1])
        gone = self._folder / f".{name}"
        (self._folder / name).rename(gone)
        shutil.rmtree(gone)

    def settle(self, live: AbstractSet[str], wanted: AbstractSet[str]) -> None:
        """Decide about pending checkpoints of killed backups; ``live`` ones belong to others."""
        for draft in self._folder.glob(".*"):
            if draft.name != _ORPHANS:
                shutil.rmtree(draft)
        for name in self.ids():
            if self._pending(name) and name not in live:
                if name in wanted:
                    self.keep(name)
                else:
                    self.drop(name)

    # For a person who looks after them

    def created(self, name: str) -> float:
        """Seconds since the epoch; of one that an earlier version made, as its files say."""
        try:
            return float((self._folder / name / "created").read_text())
        except (FileNotFoundError, ValueError):
            return (self._folder / name).stat().st_mtime

    def journals(self, name: str) -> Mapping[str, Path]:
        """Disk id → journal of a checkpoint."""
        return {path.stem: path for path in sorted((self._folder / name).glob("*.journal"))}

    def orphans(self) -> Mapping[str, Mapping[str, Path]]:
        """Name → journals that are left of a checkpoint that was forgotten."""
        folder = self._folder / _ORPHANS
        names = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
        return {name: self.journals(f"{_ORPHANS}/{name}") for name in names}

    def forget(self, name: str) -> None:
        """Drop a checkpoint and leave its journals as they are."""
        orphan = self._folder / _ORPHANS / name
        orphan.mkdir(parents=True, mode=0o700)
        for path in self.journals(name).values():
            shutil.copyfile(path, orphan / path.name)
        self.drop(name)

    def remove_orphan(self, name: str) -> None:
        shutil.rmtree(self._folder / _ORPHANS / name)

    def distrust(self, disk: MockDisk) -> None:
        """Its content was replaced by other means than writes: the next backup reads all of it."""
        for name in self.ids():
            self._journal(name, disk).unlink(missing_ok=True)

    def _merge(self, name: str, older: str) -> None:
        for source in (self._folder / name).glob("*.journal"):
            target = self._folder / older / source.name
            recorded = journal.read(source)
            if isinstance(recorded, str):
                target.unlink(missing_ok=True)  # what changed is lost: the older must not be used
            elif target.exists():
                journal.append(target, recorded.runs)

    def _pending(self, name: str) -> bool:
        return (self._folder / name / "pending").exists()

    def _journal(self, name: str, disk: MockDisk) -> Path:
        return self._folder / name / f"{disk.id}.journal"
