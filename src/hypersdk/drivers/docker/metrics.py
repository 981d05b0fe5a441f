"""What containers use, as the engine's own statistics say."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from docker.errors import APIError, NotFound

from hypersdk.drivers.docker import marks
from hypersdk.drivers.docker.connection import Connection, Json
from hypersdk.drivers.docker.errors import native
from hypersdk.drivers.docker.translate import ROOTFS, observed_state, processors
from hypersdk.model.capabilities import Limit
from hypersdk.model.instances import InstanceState
from hypersdk.model.machines import DiskMetrics, InstanceMetrics, NicMetrics

#: The engine takes up to a second for one container's figures, and for many at once no longer.
_AT_ONCE = 64

LIMITS = (
    Limit(
        "metrics.disk",
        "control groups of version 1 do not count what is written through the host's cache",
    ),
)


class DockerMetrics:
    """The ``metrics`` part."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        old = str(connection.facts.get("CgroupVersion", "1")) == "1"
        self.limits = LIMITS if old else ()

    def metrics(self, names: Collection[str] | None = None) -> Sequence[InstanceMetrics]:
        """By name. One that vanishes meanwhile is left out unless it was asked for by name.

        ``vcpus`` is the limit, rounded up, or the host's processors where there is none; it is
        the same with memory. Of disks there is one, ``rootfs``: what the container read from and
        wrote to any storage. Its sizes are only known of instances that were asked for by name:
        the engine adds up all files for them.
        """
        if names is None:
            with native("read what instances use"):
                wanted = [row["Id"] for row in self._connection.client.containers(all=True)]
        else:
            wanted = list(names)
        if not wanted:
            return []
        with ThreadPoolExecutor(min(_AT_ONCE, len(wanted))) as threads:
            found = list(threads.map(lambda each: self._one(each, names is None), wanted))
        return sorted((one for one in found if one), key=lambda one: one.name)

    def _one(self, name: str, may_be_gone: bool) -> InstanceMetrics | None:
        with native(f"read what '{name}' uses"):
            try:
                found = self._connection.client.inspect_container(name) if may_be_gone else None
            except NotFound:
                return None
        found = found or self._connection.find(name)
        with native(f"read what '{name}' uses"):
            sizes = {} if may_be_gone else self._sizes(found)
            return _metrics(found | sizes, self._statistics(found), self._connection.facts)

    def _sizes(self, found: Json) -> Json:
        rows = self._connection.client.containers(all=True, size=True, filters={"id": found["Id"]})
        return {key: row.get(key) for row in rows for key in ("SizeRw", "SizeRootFs")}

    def _statistics(self, found: Json) -> Json:
        if observed_state(found) is InstanceState.STOPPED:
            return {}
        try:
            given = self._connection.client.stats(found["Id"], stream=False, one_shot=True)
        except APIError as error:
            if error.status_code in (404, 409):  # stopped or gone since
                return {}
            raise
        return dict(given)


def _metrics(found: Json, given: Json, host: Json) -> InstanceMetrics:
    limits = found["HostConfig"]
    labels = found["Config"]["Labels"] or {}
    memory = limits.get("Memory") or host["MemTotal"]
    return InstanceMetrics(
        name=found["Name"].removeprefix("/"),
        state=observed_state(found),
        cpu_nanoseconds=_at(given, "cpu_stats", "cpu_usage", "total_usage"),
        vcpus=math.ceil(processors(limits)) or host["NCPU"],
        memory=memory,
        memory_maximum=max(memory, int(labels.get(marks.MEMORY_MAXIMUM) or 0)),
        memory_resident=_at(given, "memory_stats", "usage"),
        disks=(_disk(given.get("blkio_stats") or {}, found),) if given else (),
        nics=tuple(_nics(given.get("networks") or {})),
    )


def _at(given: Json, *path: str) -> int:
    value: Any = given
    for name in path:
        value = (value or {}).get(name)
    return int(value or 0)


def _disk(given: Json, found: Json) -> DiskMetrics:
    """With control groups of version 2 operations are in small letters, and times are missing."""
    return DiskMetrics(
        disk=ROOTFS,
        read_bytes=_sum(given.get("io_service_bytes_recursive"), "read"),
        read_requests=_sum(given.get("io_serviced_recursive"), "read"),
        write_bytes=_sum(given.get("io_service_bytes_recursive"), "write"),
        write_requests=_sum(given.get("io_serviced_recursive"), "write"),
        flush_requests=0,
        read_nanoseconds=_sum(given.get("io_service_time_recursive"), "read"),
        write_nanoseconds=_sum(given.get("io_service_time_recursive"), "write"),
        allocation=found.get("SizeRw") or 0,
        capacity=found.get("SizeRootFs") or 0,
    )


def _sum(rows: Iterable[Json] | None, operation: str) -> int:
    return sum(row["value"] for row in rows or () if row["op"].lower() == operation)


def _nics(given: Json) -> Iterable[NicMetrics]:
    for name, counted in sorted(given.items()):
        yield NicMetrics(
            name=name,
            received_bytes=counted["rx_bytes"],
            received_packets=counted["rx_packets"],
            sent_bytes=counted["tx_bytes"],
            sent_packets=counted["tx_packets"],
            errors=sum(
                counted[f"{way}_{kind}"] for way in ("rx", "tx") for kind in ("errors", "dropped")
            ),
        )
