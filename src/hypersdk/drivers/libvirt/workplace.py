"""A folder for one run: its scratch files and socket, and a record by which others can clean up.

::

    <scratch folder>/hypersdk-libvirt-<random>/
        owner      the record; locked (flock) as long as the run lives
        qemu/      what QEMU creates: the socket, scratch files; belongs to QEMU's user

A small shell waits on a pipe that only we hold. When we die, however suddenly, it starts the
cleaner (`reap`), so that a guest does not stay frozen until somebody looks. What even that could
not do is done by `hypersdk doctor --reap` and by the next run.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

from hypersdk.config.settings import load_settings
from hypersdk.datapath.failures import from_os
from hypersdk.model.errors import HypervisorError

PREFIX = "hypersdk-libvirt-"
#: Longest path in bytes that fits into a unix socket address (unix(7): 108 with the final zero).
_SOCKET_PATH_MAX = 107
# Standard input is the pipe: a line says that all is well, its end that we died.
_WATCH = 'read -r _ || exec "$@"'


@dataclass(frozen=True, slots=True)
class Record:
    """What a run has begun and not yet ended."""

    #: libvirt's URI.
    uri: str
    #: UUID and name of the domain.
    domain: str
    name: str
    pid: int
    #: libvirt's number of the QEMU process; -1 for a stopped domain.
    run: int = -1
    #: Checkpoint that no restore point needs yet; empty when there is none.
    checkpoint: str = ""
    #: True from before filesystems are frozen until they were thawed.
    frozen: bool = False


def scratch_folder() -> Path:
    """Where runs have their folders: the setting ``scratch_dir``."""
    return load_settings().scratch_dir


class Workplace:
    """The folder of a run that is alive."""

    def __init__(self, record: Record, owner: tuple[int, int] | None) -> None:
        """``owner``: user and group that QEMU runs as, None when that is us.

        Raises HypervisorError.
        """
        self.record = record
        try:
            self.folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=scratch_folder()))
        except OSError as error:
            raise from_os(error, scratch_folder(), "create a folder in") from error
        self._watch: subprocess.Popen[bytes] | None = None
        self._owner_file = -1
        try:
            self._furnish(owner)
        except BaseException:
            self.end()
            raise

    def _furnish(self, owner: tuple[int, int] | None) -> None:
        self.folder.chmod(0o711)  # QEMU's user passes through, and sees nothing of it
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._owner_file = os.open(self.folder / "new", flags, 0o600)
        fcntl.flock(self._owner_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.note()
        self.qemu = self.folder / "qemu"
        self.qemu.mkdir(mode=0o700)
        if owner is not None:
            try:
                os.chown(self.qemu, *owner)
            except OSError as error:
                raise from_os(error, self.qemu, "give to the user of QEMU") from error
        if len(os.fsencode(self.socket)) > _SOCKET_PATH_MAX:
            raise HypervisorError(
                f"{scratch_folder()} has too long a path for a socket",
                hint="Name a shorter one: export HYPERSDK_SCRATCH_DIR=…",
            )
        self._watch = subprocess.Popen(
            ["/bin/sh", "-c", _WATCH, "sh", sys.executable, "-Pm", _CLEANER, str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        # A cleaner that found it unlocked would lock it, and take us for dead.
        os.rename(self.folder / "new", self.folder / "owner")

    @property
    def socket(self) -> Path:
        return self.qemu / "nbd"

    def scratch(self, number: int) -> Path:
        """Scratch file of the disk with this number; names of disks are not for paths."""
        return self.qemu / f"scratch-{number}"

    def note(self, **changes: object) -> None:
        """Write down what is begun, before it is begun, and what is ended, after."""
        self.record = replace(self.record, **changes)  # type: ignore[arg-type]  # names checked
        data = json.dumps(asdict(self.record)).encode()
        os.pwrite(self._owner_file, data.ljust(os.fstat(self._owner_file).st_size), 0)
        os.fsync(self._owner_file)

    def end(self) -> None:
        """Remove it. Nothing of the run may be left on the hypervisor then."""
        self._dismiss()
        shutil.rmtree(self.folder, ignore_errors=True)
        self._unlock()

    def leave(self) -> None:
        """End the run, but leave the record for a later clean-up, since it could not be done."""
        self._dismiss()
        self._unlock()

    def _dismiss(self) -> None:
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.communicate(b"well\n")

    def _unlock(self) -> None:
        if self._owner_file >= 0:
            os.close(self._owner_file)
            self._owner_file = -1


class DeadWorkplace:
    """The folder of a run that is not alive any more, locked against other cleaners."""

    def __init__(self, folder: Path, record: Record, lock: int) -> None:
        self.folder = folder
        self.record = record
        self._lock = lock

    @classmethod
    def at(cls, folder: Path) -> Self | None:
        """None when the run lives, somebody else cleans up, or it is none of ours.

        The scratch folder is everybody's: a record that another user put there would have us end
        jobs and remove checkpoints for them.
        """
        try:
            if folder.is_symlink() or folder.stat().st_uid != os.geteuid():
                return None
            lock = os.open(folder / "owner", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            record = Record(**json.loads(os.pread(lock, 1 << 20, 0)))
            removed = os.fstat(lock).st_nlink == 0  # by a cleaner that held it until now
        except (OSError, ValueError, TypeError):
            os.close(lock)
            return None
        if removed:
            os.close(lock)
            return None
        return cls(folder, record, lock)

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def close(self) -> None:
        os.close(self._lock)


def dead_workplaces() -> Iterator[DeadWorkplace]:
    """All that may be cleaned up. Each is locked until the next one is asked for."""
    for folder in sorted(scratch_folder().glob(f"{PREFIX}*")):
        workplace = DeadWorkplace.at(folder)
        if workplace is not None:
            try:
                yield workplace
            finally:
                workplace.close()


_CLEANER = "hypersdk.drivers.libvirt.reap"
