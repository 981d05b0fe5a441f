"""What machines use: vSphere keeps rates of the last interval, not counters since the start.

So the port's counters are limits here, and stay zero; what is known now (memory) is told. The rates
themselves are one call more, `VsphereMetrics.rates`, for any number of machines.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyVmomi import vim

from hypersdk.drivers.vsphere import translate
from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.drivers.vsphere.properties import moid
from hypersdk.model.capabilities import Limit
from hypersdk.model.errors import InstanceNotFound
from hypersdk.model.instances import InstanceState
from hypersdk.model.machines import InstanceMetrics
from hypersdk.model.units import KIB, MIB

_WANTED = (
    "name",
    "runtime.powerState",
    "runtime.connectionState",
    "config.instanceUuid",
    "config.hardware.numCPU",
    "config.hardware.memoryMB",
    "summary.quickStats.hostMemoryUsage",
)
_NO_COUNTERS = "vSphere keeps rates of the last interval, no counters since the start"
_LIMITS = (
    Limit("metrics.cpu", _NO_COUNTERS),
    Limit("metrics.disk", _NO_COUNTERS),
    Limit("metrics.nic", _NO_COUNTERS),
)
_SIMULATED = Limit("metrics.memory", "the simulator's machines use no memory")

#: Counter (group.name.rollup) → field of `Rates`, and what one of its units is worth.
_COUNTERS: Mapping[str, tuple[str, float]] = {
    "cpu.usage.average": ("cpu_percent", 0.01),
    "mem.consumed.average": ("memory", float(KIB)),
    "disk.read.average": ("read_bytes", float(KIB)),
    "disk.write.average": ("write_bytes", float(KIB)),
    "net.received.average": ("received_bytes", float(KIB)),
    "net.transmitted.average": ("sent_bytes", float(KIB)),
}
#: Seconds that one real-time sample stands for; vSphere has these only for running machines.
SAMPLE_SECONDS = 20
#: Machines in one question; vCenter refuses much larger ones (config.vpxd.stats.maxQueryMetrics).
_AT_ONCE = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What a running machine used in the last 20 seconds, on average. Zero: not told."""

    name: str
    #: Of all of its processors.
    cpu_percent: float = 0.0
    #: Bytes.
    memory: float = 0.0
    #: Bytes per second.
    read_bytes: float = 0.0
    write_bytes: float = 0.0
    received_bytes: float = 0.0
    sent_bytes: float = 0.0


class VsphereMetrics:
    """The ``metrics`` part."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def limits(self) -> tuple[Limit, ...]:
        return (*_LIMITS, _SIMULATED) if self._connection.simulated else _LIMITS

    def metrics(self, names: Collection[str] | None = None) -> Sequence[InstanceMetrics]:
        """State, processors and memory; see the module for what is missing."""
        return [_metrics(row) for row in self._rows(names).values()]

    def rates(self, names: Collection[str] | None = None) -> Sequence[Rates]:
        """Of the running ones among ``names`` (all when None), from vSphere's real-time samples.

        Raises InstanceNotFound.
        """
        connection = self._connection
        names_of = {
            found: translate.plain(str(row["name"]))
            for found, row in self._rows(names).items()
            if _state(row) is InstanceState.RUNNING
        }
        counters = self._counters()
        moids, rates = list(names_of), []
        for start in range(0, len(moids), _AT_ONCE):
            wanted = [
                _query(connection.object(vim.VirtualMachine, found), counters)
                for found in moids[start : start + _AT_ONCE]
            ]
            answers = connection.call(
                lambda wanted=wanted: connection.content.perfManager.QueryPerf(wanted),  # type: ignore[misc]
                "read performance counters",
            )
            rates += [_rates(names_of[moid(each.entity)], each, counters) for each in answers]
        return rates

    def _rows(self, names: Collection[str] | None) -> dict[str, dict[str, Any]]:
        if names is not None and not names:
            return {}
        connection = self._connection
        if names is not None and len(names) == 1:
            machine = connection.vm(next(iter(names)))
            return {moid(machine): connection.get(machine, *_WANTED)}
        top = connection.root
        rows = dict(connection.collect(vim.VirtualMachine, _WANTED, top))
        return rows if names is None else _chosen(rows, names, connection)

    def _counters(self) -> dict[int, str]:
        """Number that this vSphere has given a counter → its name."""
        manager = self._connection.content.perfManager
        known = self._connection.get(manager, "perfCounter")["perfCounter"] or ()
        named = {
            f"{each.groupInfo.key}.{each.nameInfo.key}.{each.rollupType}": int(each.key)
            for each in known
        }
        return {named[name]: name for name in _COUNTERS if name in named}


def _chosen(
    rows: Mapping[str, dict[str, Any]], names: Collection[str], connection: Connection
) -> dict[str, dict[str, Any]]:
    """Those that are named, by name or id; all in the one listing that was read."""
    by_name: dict[str, str] = {}
    for found, row in rows.items():
        for name in (translate.plain(str(row["name"])), row["config.instanceUuid"], found):
            by_name.setdefault(str(name), found)
    chosen = {}
    for name in names:
        found = by_name.get(name) or moid(connection.vm(name))  # a path, or it is not there
        if found not in rows:
            raise InstanceNotFound(f"'{name}' was removed meanwhile", hint="Look again.")
        chosen[found] = rows[found]
    return chosen


def _state(row: Mapping[str, Any]) -> InstanceState:
    return translate.state(row["runtime.powerState"], row["runtime.connectionState"])


def _metrics(row: Mapping[str, Any]) -> InstanceMetrics:
    state = _state(row)
    memory = int(row["config.hardware.memoryMB"] or 0) * MIB
    used = int(row["summary.quickStats.hostMemoryUsage"] or 0) * MIB
    return InstanceMetrics(
        name=translate.plain(str(row["name"])),
        state=state,
        cpu_nanoseconds=0,
        vcpus=int(row["config.hardware.numCPU"] or 0),
        memory=memory,
        memory_maximum=memory,
        memory_resident=used if state is InstanceState.RUNNING else 0,
    )


def _query(machine: Any, counters: Mapping[int, str]) -> Any:
    """The last sample of the whole machine."""
    return vim.PerformanceManager.QuerySpec(
        entity=machine,
        metricId=[vim.PerformanceManager.MetricId(counterId=key, instance="") for key in counters],
        intervalId=SAMPLE_SECONDS,
        maxSample=1,
    )


def _rates(name: str, answer: Any, counters: Mapping[int, str]) -> Rates:
    found = {}
    for series in answer.value or ():
        counter = counters.get(int(series.id.counterId))
        # -1 stands for a sample that was missed.
        if counter is not None and series.value and series.value[-1] >= 0:
            field, unit = _COUNTERS[counter]
            found[field] = series.value[-1] * unit
    return Rates(name=name, **found)
