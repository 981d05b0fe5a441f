"""What the mock hypervisor's host has, and what of it is in use."""

from __future__ import annotations

import os
import platform
import shutil
from contextlib import suppress

from hypersdk.drivers.mock.definition import FORMAT
from hypersdk.drivers.mock.errors import native
from hypersdk.drivers.mock.folder import ACTIVE
from hypersdk.drivers.mock.root import Root
from hypersdk.model.errors import InstanceNotFound
from hypersdk.model.hosts import HostInfo
from hypersdk.model.instances import InstanceState


class MockHost:
    """The ``host`` part. Memory and processors are as large as the limits say."""

    def __init__(self, root: Root) -> None:
        self._root = root

    def info(self) -> HostInfo:
        limits = self._root.config.limits
        memory, active, disks = 0, 0, 0
        for folder, definition in self._root.definitions():
            with suppress(InstanceNotFound):
                state = folder.state()
                disks += sum(disk.size for disk in definition.disks)
                active += state is not InstanceState.STOPPED
                memory += definition.memory if state in ACTIVE else 0
        total = limits.total_memory or limits.instances * limits.memory
        with native(f"look at {self._root.path}"):
            there = self._root.path if self._root.path.exists() else self._root.path.parent
            free = shutil.disk_usage(there).free
        if limits.total_disk is not None:
            free = min(free, max(0, limits.total_disk - disks))
        return HostInfo(
            name=os.uname().nodename,
            product="mock",
            version=f"format {FORMAT}",
            architecture=platform.machine(),
            vcpus=limits.vcpus,
            memory=total,
            memory_available=max(0, min(limits.memory, total - memory)),
            storage_available=free,
            active_instances=active,
            maximum_instances=limits.instances,
            maximum_vcpus=limits.vcpus,
            maximum_memory=limits.memory,
        )
