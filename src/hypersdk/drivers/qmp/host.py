"""The host on which QEMU runs: this one."""

from __future__ import annotations

import os
import platform
import re
import shutil
from pathlib import Path

from hypersdk.drivers.qmp import acceleration, process
from hypersdk.drivers.qmp.commandline import VCPUS_MAX
from hypersdk.drivers.qmp.emulator import installed
from hypersdk.drivers.qmp.errors import native
from hypersdk.drivers.qmp.state import Root
from hypersdk.model.hosts import HostInfo
from hypersdk.model.units import KIB


class QmpHost:
    """May be used by any number of threads."""

    def __init__(self, root: Root) -> None:
        self._root = root

    def info(self) -> HostInfo:
        """Storage is that of the file system on which the hypervisor's folder is."""
        self._root.check()
        emulator = installed()
        with native("describe this host"):
            memory = _memory()
            storage = shutil.disk_usage(_existing(self._root.path)).free
            active = sum(process.is_alive(folder.run) for folder in self._root.folders())
        return HostInfo(
            name=platform.node(),
            product="QEMU",
            version=emulator.version_text,
            architecture=platform.machine(),
            vcpus=len(os.sched_getaffinity(0)),
            memory=memory["MemTotal"],
            memory_available=memory["MemAvailable"],
            storage_available=storage,
            active_instances=active,
            maximum_vcpus=VCPUS_MAX,
            acceleration=acceleration.best(self._root.path, emulator),
        )


def _memory() -> dict[str, int]:
    """``/proc/meminfo`` in bytes."""
    found = re.findall(r"^(\w+): +(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    return {name: int(size) * KIB for name, size in found}


def _existing(path: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return path if path.exists() else _existing(path.parent)
