"""The guest's end of its serial line and keyboard.

::

    serial/to_guest      all that was sent to the guest since it was started
    serial/from_guest    all that it sent
    serial/holder        who holds the line now
    keys                 a line of key names for each time keys were pressed

The terminal of a simulated guest echoes what it receives while it runs, as terminals do.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from uuid import uuid4

from hypersdk.datapath.cancel import token_in_force
from hypersdk.datapath.handle import Handle
from hypersdk.drivers.mock.errors import native
from hypersdk.drivers.mock.folder import ACTIVE, InstanceFolder
from hypersdk.model.errors import HypervisorError
from hypersdk.model.instances import InstanceState
from hypersdk.model.units import KIB

#: Bytes that a read gives at most.
READ_MAX = 64 * KIB
_LOOK_SECONDS = 0.01
_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC


class _End(Handle):
    """Either end: reads one file from where it is now, appends to the other."""

    def __init__(
        self, folder: InstanceFolder, reads: str, writes: str, *, from_start: bool
    ) -> None:
        self._folder = folder
        self._serial = folder.path / "serial"
        self._name = folder.definition().name
        with native(f"open the serial line of '{self._name}'"):
            self._serial.mkdir(mode=0o700, exist_ok=True)
            flags = os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC
            self._file = os.open(self._serial / reads, flags, 0o600)
            self._out = self._serial / writes
            self._position = 0 if from_start else os.fstat(self._file).st_size

    def read(self, timeout: float) -> bytes:
        """What arrived, at most 64 KiB; empty after ``timeout`` seconds of silence."""
        deadline = time.monotonic() + timeout
        while True:
            self.check()
            if os.fstat(self._file).st_size < self._position:
                self._position = 0  # it was started anew
            data = os.pread(self._file, READ_MAX, self._position)
            self._position += len(data)
            left = deadline - time.monotonic()
            if data or left <= 0:
                return data
            token_in_force().wait(min(left, _LOOK_SECONDS))

    def write(self, data: bytes) -> None:
        self.check()
        append(self._out, data)

    def check(self) -> None:
        """Raises HypervisorError once this end is of no use any more."""
        if self._file < 0:
            raise HypervisorError(
                f"the serial line of '{self._name}' was closed here", hint="Open it again."
            )

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


class GuestLine(_End):
    """The guest's end. Reads from the beginning of its run."""

    def __init__(self, folder: InstanceFolder) -> None:
        super().__init__(folder, "to_guest", "from_guest", from_start=True)


class MockSerialStream(_End):
    """Our end. Whoever held it before loses it."""

    def __init__(self, folder: InstanceFolder) -> None:
        super().__init__(folder, "from_guest", "to_guest", from_start=False)
        self._me = uuid4().hex
        (self._serial / "holder").write_text(self._me)

    def write(self, data: bytes) -> None:
        super().write(data)
        if self._folder.state() is InstanceState.RUNNING:
            append(self._serial / "from_guest", data)

    def check(self) -> None:
        super().check()
        if self._folder.state() not in ACTIVE:
            raise HypervisorError(
                f"the serial line of '{self._name}' is closed: it was stopped", hint="Start it."
            )
        holder = self._serial / "holder"
        if holder.read_text() != self._me:
            raise HypervisorError(
                f"the serial line of '{self._name}' is closed: another has it",
                hint="Whoever opens it last has it.",
            )


def append(path: Path, data: bytes) -> None:
    """In one piece, also among several processes."""
    descriptor = os.open(path, _APPEND, 0o600)
    try:
        os.write(descriptor, data)
    finally:
        os.close(descriptor)
