"""What mock instances use: bytes that guests really moved, processor time by the clock."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from contextlib import suppress

from hypersdk.drivers.mock.counters import Counted, counted
from hypersdk.drivers.mock.definition import MockDisk
from hypersdk.drivers.mock.errors import native
from hypersdk.drivers.mock.folder import ACTIVE, InstanceFolder
from hypersdk.drivers.mock.root import Root
from hypersdk.model.errors import InstanceNotFound
from hypersdk.model.machines import DiskMetrics, InstanceMetrics, NicMetrics


class MockMetrics:
    """The ``metrics`` part. Guests keep their processors busy for a twentieth of the time, and
    send nothing."""

    def __init__(self, root: Root) -> None:
        self._root = root

    def metrics(self, names: Collection[str] | None = None) -> Sequence[InstanceMetrics]:
        """By name. Raises InstanceNotFound for one of ``names``."""
        if names is not None:
            return [self.measured(self._root.find(name)) for name in names]
        found = []
        for folder in self._root.folders():
            with suppress(InstanceNotFound):
                found.append(self.measured(folder))
        return sorted(found, key=lambda each: each.name)

    def measured(self, folder: InstanceFolder) -> InstanceMetrics:
        definition, run = folder.definition(), folder.run()
        active = run.state in ACTIVE
        return InstanceMetrics(
            name=definition.name,
            state=run.state,
            cpu_nanoseconds=(
                run.processor_time(definition, self._root.clock.now()) if active else 0
            ),
            vcpus=definition.vcpus,
            memory=definition.memory,
            memory_maximum=definition.memory_room,
            memory_resident=definition.memory if active else 0,
            disks=tuple(self.measured_disk(folder, disk, active) for disk in definition.disks),
            nics=tuple(NicMetrics(nic.mac, 0, 0, 0, 0, 0) for nic in definition.nics),
        )

    def measured_disk(self, folder: InstanceFolder, disk: MockDisk, active: bool) -> DiskMetrics:
        with native(f"measure disk '{disk.name}' in {folder.path}"):
            used = counted(folder.path / "counters", disk.id) if active else Counted()
            try:
                blocks = os.stat(folder.disk_path(disk)).st_blocks
            except FileNotFoundError:  # unplugged, or deleted, just now
                blocks = 0
        return DiskMetrics(
            disk=disk.name,
            read_bytes=used.read_bytes,
            read_requests=used.read_requests,
            write_bytes=used.write_bytes,
            write_requests=used.write_requests,
            flush_requests=0,
            read_nanoseconds=used.read_nanoseconds,
            write_nanoseconds=used.write_nanoseconds,
            allocation=blocks * 512,
            capacity=disk.size,
        )
