"""What the containers run on."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from hypersdk.drivers.docker.connection import Connection
from hypersdk.drivers.docker.errors import native
from hypersdk.model.hosts import HostInfo
from hypersdk.model.units import KIB


class DockerHost:
    """The ``host`` part."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def info(self) -> HostInfo:
        """Docker does not tell what is free: that is read on this host when the engine runs here.
        Elsewhere ``memory_available`` is all memory, since containers may share it, and
        ``storage_available`` None."""
        with native(f"ask {self._connection.url} what it is"):
            facts = self._connection.client.info()
        local = self._connection.local
        return HostInfo(
            name=facts["Name"],
            product="Docker",
            version=facts["ServerVersion"],
            architecture=facts["Architecture"],
            vcpus=facts["NCPU"],
            memory=facts["MemTotal"],
            memory_available=_free_memory() if local else facts["MemTotal"],
            storage_available=_free_storage(facts["DockerRootDir"]) if local else None,
            active_instances=facts["ContainersRunning"] + facts["ContainersPaused"],
            maximum_vcpus=facts["NCPU"],
            maximum_memory=facts["MemTotal"],
        )


def _free_memory() -> int:
    found = re.search(
        r"^MemAvailable:\s*(\d+) kB$", Path("/proc/meminfo").read_text(), re.MULTILINE
    )
    return int(found[1]) * KIB if found else 0


def _free_storage(folder: str) -> int | None:
    try:
        return shutil.disk_usage(folder).free
    except OSError:  # a folder that only root may enter
        return None
