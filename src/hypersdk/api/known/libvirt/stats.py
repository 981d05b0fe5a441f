"""What domains use."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict

from hypersdk.api.known import reach
from hypersdk.api.known.libvirt.domains import WORDS
from hypersdk.api.known.reach import InstanceName, Reached, Which
from hypersdk.api.known.spelling import now
from hypersdk.api.services import Who, WithServices
from hypersdk.contract.known.watching import (
    AllStats,
    CpuAnswer,
    CpuStats,
    DisksAnswer,
    DiskStats,
    DomainStats,
    MemoryAnswer,
    MemoryStats,
    NetsAnswer,
    NetStats,
)
from hypersdk.model.instances import InstanceState
from hypersdk.model.machines import InstanceMetrics
from hypersdk.model.units import KIB

#: Domains whose last look is remembered.
_REMEMBERED = 10_000


class Looks:
    """Processor time of each domain as it was seen last, since hypervisors tell it since the
    start. Safe in threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: OrderedDict[tuple[str, str], tuple[float, int]] = OrderedDict()

    def percent(self, url: str, name: str, nanoseconds: int, moment: float) -> float:
        """Of one processor since the last look; 0 at the first, and after a restart."""
        with self._lock:
            before = self._seen.pop((url, name), None)
            self._seen[url, name] = (moment, nanoseconds)
            if len(self._seen) > _REMEMBERED:
                self._seen.popitem(last=False)
        if before is None or moment <= before[0] or nanoseconds < before[1]:
            return 0.0
        return round((nanoseconds - before[1]) / 1e7 / (moment - before[0]), 2)


_LOOKS = Looks()


def known_domain_stats(
    services: WithServices, who: Who, name: InstanceName, hypervisor: Which = ""
) -> DomainStats:
    with reach.libvirt(services, who, hypervisor) as here:
        return _stats(here, _measured(here, name))


def known_all_stats(services: WithServices, who: Who, hypervisor: Which = "") -> AllStats:
    """Of those that run, in one call to the hypervisor."""
    with reach.libvirt(services, who, hypervisor) as here:
        found = [
            _stats(here, each)
            for each in reach.metrics(here.hypervisor).metrics()
            if each.state is InstanceState.RUNNING
        ]
    return AllStats(domains=found, total=len(found), timestamp=now())


def known_cpu_stats(
    services: WithServices, who: Who, name: InstanceName, hypervisor: Which = ""
) -> CpuAnswer:
    with reach.libvirt(services, who, hypervisor) as here:
        cpu = _cpu(here, _measured(here, name))
    return CpuAnswer(name=name, cpu_stats=cpu, timestamp=now())


def known_memory_stats(
    services: WithServices, who: Who, name: InstanceName, hypervisor: Which = ""
) -> MemoryAnswer:
    with reach.libvirt(services, who, hypervisor) as here:
        memory = _memory(_measured(here, name))
    return MemoryAnswer(name=name, memory=memory, timestamp=now())


def known_disk_stats(
    services: WithServices, who: Who, name: InstanceName, hypervisor: Which = ""
) -> DisksAnswer:
    with reach.libvirt(services, who, hypervisor) as here:
        disks = _disks(_measured(here, name))
    return DisksAnswer(name=name, disks=disks, timestamp=now())


def known_network_stats(
    services: WithServices, who: Who, name: InstanceName, hypervisor: Which = ""
) -> NetsAnswer:
    with reach.libvirt(services, who, hypervisor) as here:
        nets = _nets(_measured(here, name))
    return NetsAnswer(name=name, networks=nets, timestamp=now())


def _measured(here: Reached, name: str) -> InstanceMetrics:
    return reach.metrics(here.hypervisor).metrics([name])[0]


def _stats(here: Reached, found: InstanceMetrics) -> DomainStats:
    return DomainStats(
        name=found.name,
        state=WORDS[found.state],
        cpu=_cpu(here, found),
        memory=_memory(found),
        disks=_disks(found),
        networks=_nets(found),
        timestamp=now(),
    )


def _cpu(here: Reached, found: InstanceMetrics) -> CpuStats:
    used = found.cpu_nanoseconds
    return CpuStats(
        vcpus=found.vcpus,
        cpu_time_ns=used,
        user_time_ns=0,  # hypervisors do not tell them apart in the call for all
        system_time_ns=0,
        usage_percent=_LOOKS.percent(here.hypervisor.url, found.name, used, time.monotonic()),
    )


def _memory(found: InstanceMetrics) -> MemoryStats:
    total, used = found.memory, min(found.memory_resident, found.memory)
    return MemoryStats(
        total_kb=total // KIB,
        used_kb=used // KIB,
        available_kb=(total - used) // KIB,
        usage_percent=round(100 * used / total, 2) if total else 0.0,
        swap_in_kb=0,
        swap_out_kb=0,
    )


def _disks(found: InstanceMetrics) -> list[DiskStats]:
    return [
        DiskStats(
            device=each.disk,
            read_bytes=each.read_bytes,
            read_requests=each.read_requests,
            write_bytes=each.write_bytes,
            write_requests=each.write_requests,
            errors=0,
        )
        for each in found.disks
    ]


def _nets(found: InstanceMetrics) -> list[NetStats]:
    return [
        NetStats(
            interface=each.name,
            rx_bytes=each.received_bytes,
            rx_packets=each.received_packets,
            rx_errors=each.errors,
            rx_dropped=0,
            tx_bytes=each.sent_bytes,
            tx_packets=each.sent_packets,
            tx_errors=0,
            tx_dropped=0,
        )
        for each in found.nics
    ]


HANDLERS = {
    "known_domain_stats": known_domain_stats,
    "known_all_stats": known_all_stats,
    "known_cpu_stats": known_cpu_stats,
    "known_memory_stats": known_memory_stats,
    "known_disk_stats": known_disk_stats,
    "known_network_stats": known_network_stats,
}
