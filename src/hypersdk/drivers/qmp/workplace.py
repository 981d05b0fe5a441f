"""What one backup has begun and not yet ended, written down so that others can clean up.

The file ``view`` of an instance is locked as long as a backup reads it: there is one at a time. It
says where the scratch folder is and which bitmap no restore point needs yet. A file that says
something and is not locked is of a run that died: whoever finds it undoes what it says. A small
shell waits on a pipe that only we hold, and starts the cleaner when we die, so that a guest does
not go on paying for a backup that nobody reads.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from hypersdk.config.settings import load_settings
from hypersdk.datapath.failures import from_os
from hypersdk.drivers.qmp.locks import locked_at_once, release
from hypersdk.drivers.qmp.state import InstanceFolder
from hypersdk.model.errors import HypervisorError, InvalidState

PREFIX = "hypersdk-qmp-"
#: Longest path in bytes that fits into a unix socket address (unix(7): 108 with the final zero).
_SOCKET_PATH_MAX = 107
# Standard input is the pipe: a line says that all is well, its end that we died.
_WATCH = 'read -r _ || exec "$@"'
_CLEANER = "hypersdk.drivers.qmp.reap"


@dataclass(frozen=True, slots=True)
class Record:
    """Of one run."""

    pid: int
    #: Folder with scratch files and socket; empty for a stopped instance.
    scratch: str = ""
    #: Names of what it makes in QEMU begin with it.
    prefix: str = ""
    #: Bitmap that no restore point needs yet; empty when there is none.
    bitmap: str = ""
    #: Not empty from before filesystems are frozen until they were thawed.
    frozen: str = ""


class Workplace:
    """The record of a run that is alive; locked from construction to `end` or `leave`."""

    def __init__(self, folder: InstanceFolder, name: str) -> None:
        """Raises InvalidState while another backup reads the instance."""
        self.record = Record(os.getpid())
        file = locked_at_once(folder.path / "view")
        if file is None:
            raise InvalidState(
                f"'{name}' is being backed up already",
                hint="Wait for it. What a run left that died is cleaned up by the next one.",
            )
        self._file = file
        self._watch: subprocess.Popen[bytes] | None = None
        self._folder = folder

    def furnish(self) -> None:
        """Make the scratch folder, of a running instance. Raises HypervisorError."""
        base = load_settings().scratch_dir
        try:
            scratch = tempfile.mkdtemp(prefix=PREFIX, dir=base)
        except OSError as error:
            raise from_os(error, base, "create a folder in") from error
        self.note(scratch=scratch, prefix=f"{PREFIX}{os.urandom(4).hex()}")
        if len(os.fsencode(self.socket)) > _SOCKET_PATH_MAX:
            raise HypervisorError(
                f"{base} has too long a path for a socket",
                hint="Name a shorter one: export HYPERSDK_SCRATCH_DIR=…",
            )
        self._watch = subprocess.Popen(
            [
                "/bin/sh",
                "-c",
                _WATCH,
                "sh",
                sys.executable,
                "-Pm",
                _CLEANER,
                str(self._folder.path),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def scratch(self) -> Path:
        return Path(self.record.scratch)

    @property
    def socket(self) -> Path:
        return self.scratch / "nbd"

    def note(self, **changes: str) -> None:
        """Write down what is begun, before it is begun, and what is ended, after."""
        self.record = replace(self.record, **changes)  # type: ignore[arg-type]  # names checked
        data = json.dumps(asdict(self.record)).encode()
        os.pwrite(self._file, data.ljust(os.fstat(self._file).st_size), 0)

    def end(self) -> None:
        """Nothing of the run may be left in QEMU then."""
        self._dismiss()
        if self.record.scratch:
            shutil.rmtree(self.record.scratch, ignore_errors=True)
        os.truncate(self._file, 0)
        release(self._file)

    def leave(self) -> None:
        """End the run, but leave the record for a later clean-up, since it could not be done."""
        self._dismiss()
        release(self._file)

    def _dismiss(self) -> None:
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.communicate(b"well\n")


class DeadWorkplace:
    """The record of a run that is not alive any more, locked against other cleaners."""

    def __init__(self, record: Record, file: int) -> None:
        self.record = record
        self._file = file

    @classmethod
    def of(cls, folder: InstanceFolder) -> DeadWorkplace | None:
        """None when there is nothing to clean up, the run lives, or somebody else is at it."""
        try:
            if not (folder.path / "view").stat().st_size:
                return None
        except FileNotFoundError:
            return None
        file = locked_at_once(folder.path / "view")
        if file is None:
            return None
        try:
            return cls(Record(**json.loads(os.pread(file, 1 << 20, 0))), file)
        except (ValueError, TypeError):
            os.truncate(file, 0)  # it died before it began anything
            release(file)
            return None

    def remove(self) -> None:
        """When all is undone."""
        if Path(self.record.scratch).name.startswith(PREFIX):
            shutil.rmtree(self.record.scratch, ignore_errors=True)
        os.truncate(self._file, 0)

    def close(self) -> None:
        release(self._file)
