"""A backup must not hurt its guest, also when there is no room for what the guest overwrites.

Before the guest's write QEMU copies the old content to a scratch file. When that fails for lack of
room QEMU keeps the backup whole and fails the guest's write ("break-guest-write" in the QMP
reference; libvirt offers no other way): by default the guest is then paused until somebody finds
out, or its file system turns read-only. For us the guest comes first: the backup is given up.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

import libvirt

from hypersdk.drivers.libvirt.leftovers import end_job, is_starved
from hypersdk.model.errors import HyperSDKError
from hypersdk.model.units import MIB

#: Bytes that stay free: the backup is given up before the guest's next writes find no room.
RESERVE = 64 * MIB
#: Below this the scratch files hold next to nothing, and giving up would gain nothing.
_WORTHWHILE = 8 * MIB
#: Seconds between two looks. A starved guest stands still for as long.
_LOOK_SECONDS = 0.25


class ScratchGuard:
    """Watches one backup job from construction to `stop`, in a thread of its own."""

    def __init__(self, domain: Callable[[], libvirt.virDomain], folder: Path, files: Path) -> None:
        """``folder``: of the run, see `workplace`; ``files``: where in it the scratch files are."""
        self._domain = domain
        self._folder = folder
        self._files = files
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="scratch-guard", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """May be called several times."""
        self._stopped.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stopped.wait(_LOOK_SECONDS):
            # libvirtd may be away for a while; whether the job still lives is asked in the end.
            with contextlib.suppress(HyperSDKError, OSError):
                if self._low() or is_starved(self._domain(), self._folder):
                    end_job(self._domain(), self._folder)
                    return

    def _low(self) -> bool:
        there = os.statvfs(self._files)
        if there.f_bavail * there.f_frsize >= RESERVE:
            return False
        used = sum(file.stat().st_blocks for file in self._files.iterdir()) * 512
        return used >= _WORTHWHILE
