"""What instances use: QEMU's own counters, and what the host says of its process."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from hypersdk.drivers.qmp import process
from hypersdk.drivers.qmp.blocknodes import devices
from hypersdk.drivers.qmp.definition import MachineRecord
from hypersdk.drivers.qmp.monitor import Session
from hypersdk.drivers.qmp.power import Power
from hypersdk.drivers.qmp.state import InstanceFolder, Root
from hypersdk.drivers.qmp.translate import state as translated
from hypersdk.model.capabilities import Limit
from hypersdk.model.errors import HypervisorUnreachable, InstanceNotFound
from hypersdk.model.instances import InstanceState
from hypersdk.model.machines import DiskMetrics, InstanceMetrics

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_SECOND = 1_000_000_000
#: Fields of /proc/PID/stat behind the name in parentheses (proc(5): fields 14 and 15).
_UTIME, _STIME = 11, 12


class QmpMetrics:
    """May be used by any number of threads."""

    def __init__(self, root: Root, power: Power) -> None:
        self._root = root
        self._power = power
        self.limits = (Limit("metrics.nic", "QEMU counts nothing of NICs in user-mode networking"),)

    def metrics(self, names: Collection[str] | None = None) -> Sequence[InstanceMetrics]:
        """By name. Raises InstanceNotFound for a name that does not exist. An instance that hangs
        shows no counters."""
        self._root.check()
        if names is not None:
            folders = [self._root.find(name) for name in names]
        else:
            folders = list(self._root.folders())
        found = []
        for folder in folders:
            try:
                found.append(self._of(folder))
            except InstanceNotFound:
                if names is not None:
                    raise
        return sorted(found, key=lambda metrics: metrics.name)

    def _of(self, folder: InstanceFolder) -> InstanceMetrics:
        machine = folder.definition()
        if process.is_alive(folder.run):
            with (
                suppress(HypervisorUnreachable),
                self._power.session(folder, machine.name, seconds=5.0) as session,
            ):
                return _running(folder, machine, session)
        return InstanceMetrics(
            name=machine.name,
            state=self._power.state(folder, machine.name),
            cpu_nanoseconds=0,
            vcpus=machine.all_vcpus,
            memory=machine.all_memory,
            memory_maximum=max(machine.all_memory, machine.memory_maximum),
            memory_resident=0,
            disks=tuple(_idle(machine)),
        )


def _running(folder: InstanceFolder, machine: MachineRecord, session: Session) -> InstanceMetrics:
    state = translated(session.execute("query-status")["status"])
    pid = process.process_of(folder.run) if state is not InstanceState.STOPPED else None
    memory = session.execute("query-memory-size-summary")
    size = memory["base-memory"] + memory.get("plugged-memory", 0)
    return InstanceMetrics(
        name=machine.name,
        state=state,
        cpu_nanoseconds=_processor_time(pid) if pid else 0,
        vcpus=len(session.execute("query-cpus-fast")),
        memory=size,
        memory_maximum=max(size, machine.memory_maximum),
        memory_resident=_resident(pid) if pid else 0,
        disks=tuple(_disks(machine, session)),
    )


def _disks(machine: MachineRecord, session: Session) -> Iterator[DiskMetrics]:
    blocks = devices(session)
    counters = {}
    for entry in session.execute("query-blockstats"):
        path = str(entry.get("qdev", "")).removeprefix("/machine/peripheral/")
        counters[path.partition("/")[0]] = entry["stats"]
    for disk in machine.disks:
        if disk.name in counters and "inserted" in blocks.get(disk.name, {}):
            count, image = counters[disk.name], blocks[disk.name]["inserted"]["image"]
            yield DiskMetrics(
                disk=disk.name,
                read_bytes=count["rd_bytes"],
                read_requests=count["rd_operations"],
                write_bytes=count["wr_bytes"],
                write_requests=count["wr_operations"],
                flush_requests=count["flush_operations"],
                read_nanoseconds=count["rd_total_time_ns"],
                write_nanoseconds=count["wr_total_time_ns"],
                allocation=image.get("actual-size", 0),
                capacity=image["virtual-size"],
            )


def _idle(machine: MachineRecord) -> Iterator[DiskMetrics]:
    for disk in machine.disks:
        allocation = 0
        with suppress(OSError):
            allocation = Path(disk.path).stat().st_blocks * 512
        yield DiskMetrics(disk.name, 0, 0, 0, 0, 0, 0, 0, allocation, disk.size)


def _processor_time(pid: int) -> int:
    """Nanoseconds of all its threads."""
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[_UTIME]) + int(fields[_STIME])) * _SECOND // _TICKS
    return 0


def _resident(pid: int) -> int:
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    return 0
