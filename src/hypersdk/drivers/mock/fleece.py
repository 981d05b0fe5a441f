"""Copy-before-write: an open view keeps seeing the disks as they were when it began.

::

    views/<checkpoint>/alive               locked for the life of the process that reads
    views/<checkpoint>/<disk id>.scratch   sparse; old content of granules written since
    views/<checkpoint>/<disk id>.saved     record (see journal.py) of which granules these are

Before a write touches a granule, the writer copies it to the scratch file of every live view, then
notes it as saved, then writes. A reader reads the disk *first* and looks at the record *after*: a
granule that is not noted then had not been overwritten when it was read, any other is taken from
scratch. So readers need no lock, and it works between processes too. A fleecing backup in QEMU
does the same with its copy-before-write filter.

The folder of a killed reader is recognised by its unlocked ``alive`` file and removed by the next
writer or view.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

from hypersdk.drivers.mock import journal, sparse
from hypersdk.drivers.mock.definition import MockDisk
from hypersdk.drivers.mock.journal import GRANULE, Follower, granules, split_bytes
from hypersdk.model.extents import Extent, ExtentKind


class Fleece:
    """The reader's side of one view. Made and ended under the lock of the instance."""

    def __init__(self, folder: Path, disks: Iterable[MockDisk]) -> None:
        draft = folder.with_name(f".{folder.name}")
        draft.mkdir(mode=0o700)
        self._folder = folder
        self._alive = os.open(draft / "alive", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._alive, fcntl.LOCK_EX)
        for disk in disks:
            with (draft / f"{disk.id}.scratch").open("xb") as scratch:
                scratch.truncate(disk.size)
            journal.create(draft / f"{disk.id}.saved", disk.size)
        draft.rename(folder)

    def open(self, disk: MockDisk, path: Path) -> FleecedFile:
        """``path`` is the disk itself."""
        return FleecedFile(path, self._folder, disk)

    def end(self) -> None:
        """Stop saving; open files must not be read any more."""
        if self._alive >= 0:
            os.close(self._alive)
            self._alive = -1
            shutil.rmtree(self._folder)


class FleecedFile:
    """One disk as it was when the view began. For one thread at a time."""

    def __init__(self, path: Path, folder: Path, disk: MockDisk) -> None:
        self._again = (path, folder, disk)
        self.size = disk.size
        with ExitStack() as opened:
            self._disk = _open(path, opened)
            self._scratch = _open(folder / f"{disk.id}.scratch", opened)
            self._saved = Follower(folder / f"{disk.id}.saved")
            opened.callback(self._saved.close)
            self._opened = opened.pop_all()

    def clone(self) -> FleecedFile:
        return FleecedFile(*self._again)

    def readinto(self, offset: int, buffer: memoryview) -> int:
        """Fill ``buffer``; returns how many bytes are good, fewer than asked for is an error."""
        present = sparse.read_up_to_end(self._disk, offset, buffer)
        end = offset + len(buffer)
        for begin, stop, saved in split_bytes(self._saved.refresh(), offset, end):
            if saved:
                area = buffer[begin - offset : stop - offset]
                good = begin + sparse.read_up_to_end(self._scratch, begin, area)
            else:
                good = min(stop, max(begin, offset + present))
            if good < stop:
                return good - offset
        return len(buffer)

    def kinds(self, start: int, end: int) -> Iterator[Extent]:
        """DATA where a file has blocks, ZERO elsewhere."""
        for begin, stop, data in sparse.pieces(self._disk, start, end):
            for first, behind, saved in list(split_bytes(self._saved.refresh(), begin, stop)):
                if saved:
                    for low, high, has_data in sparse.pieces(self._scratch, first, behind):
                        yield _extent(low, high, has_data)
                else:
                    yield _extent(first, behind, data)

    def close(self) -> None:
        self._disk = self._scratch = -1  # a later read must not meet somebody else's descriptor
        self._opened.close()


class Saver:
    """The writer's side, for one disk. Used under the lock of the instance."""

    def __init__(self, folder: Path, disk_id: str) -> None:
        self._folder = folder
        self._disk_id = disk_id
        self._views: dict[str, _Scratch] = {}

    def save(self, disk: int, offset: int, length: int) -> None:
        """Save what a write is about to touch. ``disk`` is a descriptor of the disk's file."""
        names = live(self._folder)
        for name in self._views.keys() - names:
            self._views.pop(name).close()
        for name in names:
            if name not in self._views:
                self._views[name] = _Scratch(self._folder / name, self._disk_id)
            self._views[name].save(disk, *granules(offset, length))

    def close(self) -> None:
        while self._views:
            self._views.popitem()[1].close()


class _Scratch:
    """One view's scratch file and record, open for a writer."""

    def __init__(self, view: Path, disk_id: str) -> None:
        self._path = view / f"{disk_id}.saved"
        self._saved = Follower(self._path)
        self._file = os.open(view / f"{disk_id}.scratch", os.O_RDWR | os.O_CLOEXEC)
        self._size = os.fstat(self._file).st_size

    def save(self, disk: int, first: int, behind: int) -> None:
        behind = min(behind, -(-self._size // GRANULE))  # the disk may have grown since
        for start, end, known in list(self._saved.refresh().split(first, behind)):
            if not known:
                sparse.copy_data(disk, self._file, start * GRANULE, min(end * GRANULE, self._size))
                journal.append(self._path, [(start, end)])

    def close(self) -> None:
        self._saved.close()
        os.close(self._file)


def live(folder: Path) -> set[str]:
    """Names of the views that are being read; removes those of dead processes."""
    names = set()
    for name in os.listdir(folder):
        view = folder / name
        if _is_alive(view):
            names.add(name)
        else:
            shutil.rmtree(view)
    return names


def dead(folder: Path) -> list[Path]:
    """Folders of views whose readers are dead."""
    return [view for view in sorted(folder.iterdir()) if not _is_alive(view)]


def _is_alive(view: Path) -> bool:
    try:
        descriptor = os.open(view / "alive", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _open(path: Path, opened: ExitStack) -> int:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    opened.callback(os.close, descriptor)
    return descriptor


def _extent(start: int, end: int, has_data: bool) -> Extent:
    return Extent(start, end - start, ExtentKind.DATA if has_data else ExtentKind.ZERO)
