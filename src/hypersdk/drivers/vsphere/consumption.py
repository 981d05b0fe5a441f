"""What machines, hosts and clusters use and used, as vSphere's statistics have it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import Any

from pyVmomi import vim

from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.drivers.vsphere.translate import plain
from hypersdk.model.errors import InvalidInput, InvalidState, NotFound
from hypersdk.model.management import Used
from hypersdk.model.units import KIB

#: Counter (group.name.rollup) → field of `Used`, and what one of its units is worth.
_COUNTERS: Mapping[str, tuple[str, float]] = {
    "cpu.usagemhz.average": ("mhz", 1.0),
    "cpu.usage.average": ("cpu_percent", 0.01),
    "mem.consumed.average": ("memory", float(KIB)),
    "mem.usage.average": ("memory_percent", 0.01),
    "disk.read.average": ("read", float(KIB)),
    "disk.write.average": ("written", float(KIB)),
    "net.received.average": ("received", float(KIB)),
    "net.transmitted.average": ("sent", float(KIB)),
}
#: Word → seconds of one sample. vSphere keeps samples of 20 s for an hour, longer ones by the
#: levels of its statistics.
INTERVALS: Mapping[str, int] = {"realtime": 20, "5min": 300, "30min": 1800, "2hour": 7200}
#: Samples in one answer.
SAMPLES_MOST = 2000
_KINDS: Mapping[str, type] = {
    "vm": vim.VirtualMachine,
    "host": vim.HostSystem,
    "cluster": vim.ClusterComputeResource,
}
#: What has no samples of its own of 20 seconds: sums over its hosts are kept instead.
_NOT_CURRENT = frozenset({"cluster"})


class VsphereConsumption:
    """No part of the port: an attribute of `VsphereHypervisor`. Safe in threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def current(self, kind: str, name: str) -> Used:
        """The newest sample. Raises NotFound, InvalidInput for a kind that is none, InvalidState
        for what has no samples, such as a machine that does not run."""
        interval = 300 if kind in _NOT_CURRENT else 20
        entity = self._entity(kind, name)
        # A cluster's newest sample may be several minutes old.
        since = datetime.now(UTC) - timedelta(seconds=12 * interval)
        found = self._samples(kind, name, entity, interval, since, None, most=12)
        if not found:
            raise InvalidState(
                f"vSphere has no figures of the {kind} '{name}'",
                hint="Only machines that run, and hosts that are connected, have them.",
            )
        return found[-1]

    def history(
        self, kind: str, name: str, interval: str, start: datetime, end: datetime
    ) -> Sequence[Used]:
        """Oldest first. Raises InvalidInput for an interval that is none and for too many
        samples, NotFound."""
        if interval not in INTERVALS:
            raise InvalidInput(
                f"there is no interval '{interval}'", hint=f"Say {', '.join(INTERVALS)}."
            )
        seconds = INTERVALS[interval]
        count = (end - start).total_seconds() / seconds
        if not 0 <= count <= SAMPLES_MOST:
            raise InvalidInput(
                f"from {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} are "
                f"{count:.0f} samples of {interval}",
                hint=f"At most {SAMPLES_MOST}: ask for less time, or for a longer interval.",
            )
        entity = self._entity(kind, name)
        return self._samples(kind, name, entity, seconds, start, end, most=None)

    def _samples(
        self,
        kind: str,
        name: str,
        entity: Any,
        interval: int,
        start: datetime,
        end: datetime | None,
        *,
        most: int | None,
    ) -> list[Used]:
        counters = self._counters()
        spec = vim.PerformanceManager.QuerySpec(
            entity=entity,
            metricId=[
                vim.PerformanceManager.MetricId(counterId=key, instance="") for key in counters
            ],
            intervalId=interval,
            startTime=start,
            endTime=end,
            maxSample=most,
        )
        manager = self._connection.content.perfManager
        answers = self._connection.call(
            lambda: manager.QueryPerf([spec]), f"read the figures of the {kind} '{name}'"
        )
        found = [_used(kind, name, each, counters) for each in answers or ()]
        return sorted((one for some in found for one in some), key=lambda one: one.time)

    def _entity(self, kind: str, name: str) -> Any:
        if kind not in _KINDS:
            raise InvalidInput(
                f"there are no figures of a '{kind}'", hint=f"Say {', '.join(_KINDS)}."
            )
        if kind == "vm":
            return self._connection.vm(name)
        rows = list(self._connection.collect(_KINDS[kind], ("name",)))
        for each, row in rows:
            if name in (row["name"], plain(str(row["name"])), each):
                return self._connection.object(_KINDS[kind], each)
        names = [plain(str(row["name"])) for _, row in rows]
        near = get_close_matches(name, names, n=1)
        raise NotFound(
            f"there is no {kind} '{name}'",
            hint=f"Did you mean {near[0]}?" if near else f"There are: {', '.join(sorted(names))}.",
        )

    def _counters(self) -> dict[int, str]:
        """Number that this vSphere has given a counter → its name."""
        manager = self._connection.content.perfManager
        known = self._connection.get(manager, "perfCounter")["perfCounter"] or ()
        named = {
            f"{each.groupInfo.key}.{each.nameInfo.key}.{each.rollupType}": int(each.key)
            for each in known
        }
        return {named[name]: name for name in _COUNTERS if name in named}


def _used(kind: str, name: str, answer: Any, counters: Mapping[int, str]) -> list[Used]:
    """One for each moment that there are figures of."""
    moments = [info.timestamp.astimezone(UTC) for info in answer.sampleInfo or ()]
    fields: list[dict[str, float]] = [{} for _ in moments]
    for series in answer.value or ():
        counter = counters.get(int(series.id.counterId))
        if counter is None:
            continue
        field, unit = _COUNTERS[counter]
        for place, value in zip(fields, series.value or (), strict=False):
            if value >= 0:  # -1 stands for a sample that was missed
                place[field] = value * unit
    return [
        Used(name=name, kind=kind, time=moment, **found)
        for moment, found in zip(moments, fields, strict=True)
        if found
    ]
