"""What instances use, in one call for all of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import libvirt

from hypersdk.drivers.libvirt import translate
from hypersdk.drivers.libvirt.connection import Connection
from hypersdk.drivers.libvirt.errors import native
from hypersdk.model.machines import DiskMetrics, InstanceMetrics, NicMetrics
from hypersdk.model.units import KIB

# Without VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT: counters of a domain that is busy for a moment
# would be missing, which looks as if it had been restarted.
_WANTED = (
    libvirt.VIR_DOMAIN_STATS_STATE
    | libvirt.VIR_DOMAIN_STATS_CPU_TOTAL
    | libvirt.VIR_DOMAIN_STATS_BALLOON
    | libvirt.VIR_DOMAIN_STATS_VCPU
    | libvirt.VIR_DOMAIN_STATS_INTERFACE
    | libvirt.VIR_DOMAIN_STATS_BLOCK
)
Record = Mapping[str, Any]


class LibvirtMetrics:
    """The ``metrics`` part."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def metrics(self, names: Collection[str] | None = None) -> Sequence[InstanceMetrics]:
        """By name. Raises InstanceNotFound for a name that does not exist.

        One call, and one more for each name to find it. An instance whose QEMU hangs holds the
        call up for 30 s, libvirt's limit, and then shows no counters.
        """
        connection = self._connection.native
        domains = None if names is None else [self._connection.domain(name) for name in names]
        with native("read what instances use"):
            if domains is None:
                records = connection.getAllDomainStats(_WANTED)
            else:
                # An empty list would mean all.
                records = connection.domainListGetStats(domains, _WANTED) if domains else []
            found = [_metrics(domain, record) for domain, record in records]
        return sorted(found, key=lambda metrics: metrics.name)


def _metrics(domain: libvirt.virDomain, record: Record) -> InstanceMetrics:
    state = translate.state(record.get("state.state", libvirt.VIR_DOMAIN_NOSTATE))
    running = state not in _WITHOUT_COUNTERS
    if "balloon.maximum" not in record:
        # A driver that gives little: the test driver only the state.
        record = {**_asked(domain), **record}
    return InstanceMetrics(
        name=domain.name(),
        state=state,
        # libvirt leaves the group's last total there when a domain has stopped.
        cpu_nanoseconds=record.get("cpu.time", 0) if running else 0,
        vcpus=record.get("vcpu.current", 0),
        memory=record.get("balloon.current", 0) * KIB,
        memory_maximum=record.get("balloon.maximum", 0) * KIB,
        memory_resident=record.get("balloon.rss", 0) * KIB if running else 0,
        disks=tuple(_disks(record)),
        nics=tuple(_nics(record)),
    )


_WITHOUT_COUNTERS = {translate.state(libvirt.VIR_DOMAIN_SHUTOFF)}


def _asked(domain: libvirt.virDomain) -> dict[str, int]:
    """What ``virDomainGetInfo`` knows, under the names of the statistics."""
    _, maximum, memory, vcpus, nanoseconds = domain.info()
    return {
        "cpu.time": nanoseconds,
        "vcpu.current": vcpus,
        "balloon.current": memory,
        "balloon.maximum": maximum,
    }


def _disks(record: Record) -> Iterator[DiskMetrics]:
    """Drives without a medium are left out."""
    for number in range(record.get("block.count", 0)):
        prefix = f"block.{number}."
        if f"{prefix}path" in record or f"{prefix}capacity" in record:
            yield DiskMetrics(
                disk=record.get(f"{prefix}name", ""),
                read_bytes=record.get(f"{prefix}rd.bytes", 0),
                read_requests=record.get(f"{prefix}rd.reqs", 0),
                write_bytes=record.get(f"{prefix}wr.bytes", 0),
                write_requests=record.get(f"{prefix}wr.reqs", 0),
                flush_requests=record.get(f"{prefix}fl.reqs", 0),
                read_nanoseconds=record.get(f"{prefix}rd.times", 0),
                write_nanoseconds=record.get(f"{prefix}wr.times", 0),
                allocation=record.get(f"{prefix}allocation", 0),
                capacity=record.get(f"{prefix}capacity", 0),
            )


def _nics(record: Record) -> Iterator[NicMetrics]:
    """User-mode NICs have no interface on the host, so libvirt counts nothing of them."""
    for number in range(record.get("net.count", 0)):
        prefix = f"net.{number}."
        if f"{prefix}rx.bytes" in record:
            yield NicMetrics(
                name=record.get(f"{prefix}name", ""),
                received_bytes=record[f"{prefix}rx.bytes"],
                received_packets=record.get(f"{prefix}rx.pkts", 0),
                sent_bytes=record.get(f"{prefix}tx.bytes", 0),
                sent_packets=record.get(f"{prefix}tx.pkts", 0),
                errors=sum(
                    record.get(f"{prefix}{direction}.{kind}", 0)
                    for direction in ("rx", "tx")
                    for kind in ("errs", "drop")
                ),
            )
