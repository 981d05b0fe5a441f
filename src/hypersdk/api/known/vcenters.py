"""What vSphere's driver tells, in the shape of ``/vsphere``."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

from hypersdk.contract.known import vsphere as shapes
from hypersdk.model.management import (
    UNLIMITED,
    ClusterFacts,
    DatacenterFacts,
    HostFacts,
    PoolFacts,
    ServerEvent,
    ServerFacts,
    Share,
    Used,
)
from hypersdk.model.topology import TaskRecord
from hypersdk.model.units import MIB


def fits(pattern: str, *names: str) -> bool:
    """``esx*``; empty: everything. One of the names is enough."""
    return not pattern or any(fnmatchcase(name, pattern) for name in names)


def server(found: ServerFacts) -> shapes.VcenterInfo:
    return shapes.VcenterInfo(
        name=found.name,
        version=found.version,
        build=found.build,
        os_type=found.os,
        api_type=found.api,
        api_version=found.api_version,
        instance_id=found.instance,
    )


def host(found: HostFacts) -> shapes.HostAnswer:
    return shapes.HostAnswer(
        name=found.name,
        path=found.path,
        datacenter=found.datacenter,
        cluster=found.cluster,
        connection_state=found.connection,
        power_state=found.power,
        cpu_model=found.cpu_model,
        cpu_cores=found.cores,
        cpu_threads=found.threads,
        cpu_mhz=found.mhz,
        memory_mb=found.memory // MIB,
        num_nics=found.nics,
        num_vms=found.instances,
        version=found.version,
        build=found.build,
    )


def cluster(found: ClusterFacts) -> shapes.ClusterAnswer:
    return shapes.ClusterAnswer(
        name=found.name,
        path=found.path,
        total_cpu_mhz=found.mhz,
        total_memory_mb=found.memory // MIB,
        num_hosts=found.hosts,
        num_cpu_cores=found.cores,
        num_cpu_threads=found.threads,
        drs_enabled=found.balanced,
        drs_behavior=found.behavior,
        ha_enabled=found.restarts,
        effective_cpu_mhz=found.effective_mhz,
        effective_memory_mb=found.effective_memory // MIB,
    )


def datacenter(found: DatacenterFacts) -> shapes.DatacenterAnswer:
    return shapes.DatacenterAnswer(
        name=found.name,
        path=found.path,
        num_clusters=found.clusters,
        num_hosts=found.hosts,
        num_vms=found.instances,
        num_datastores=found.datastores,
    )


def pool(found: PoolFacts) -> shapes.PoolAnswer:
    processors, ram = found.processors, found.ram
    return shapes.PoolAnswer(
        name=found.name,
        path=found.path,
        cpu_allocation_mhz=found.mhz,
        cpu_reservation_mhz=processors.reservation or 0,
        cpu_limit_mhz=_limit(processors, 1),
        cpu_expandable=bool(processors.expandable),
        memory_allocation_mb=found.memory // MIB,
        memory_reservation_mb=(ram.reservation or 0) // MIB,
        memory_limit_mb=_limit(ram, MIB),
        memory_expandable=bool(ram.expandable),
        num_vms=found.instances,
        num_sub_pools=found.pools,
    )


def _limit(share: Share, unit: int) -> int:
    return UNLIMITED if share.limit in (None, UNLIMITED) else share.limit // unit


def shares(config: shapes.PoolConfig) -> tuple[Share, Share]:
    """Of processors and of memory; what is not said is None."""
    return (
        Share(
            reservation=config.cpu_reservation_mhz,
            limit=config.cpu_limit_mhz,
            expandable=config.cpu_expandable,
            shares=config.cpu_shares,
            level=config.cpu_shares_level,
        ),
        Share(
            reservation=_bytes(config.memory_reservation_mb),
            limit=_bytes(config.memory_limit_mb),
            expandable=config.memory_expandable,
            shares=config.memory_shares,
            level=config.memory_shares_level,
        ),
    )


def _bytes(mebibytes: int | None) -> int | None:
    return mebibytes if mebibytes in (None, UNLIMITED) else mebibytes * MIB


def sample(found: Used) -> shapes.Sample:
    return shapes.Sample(
        entity_name=found.name,
        entity_type=found.kind,
        timestamp=found.time,
        cpu_usage_mhz=round(found.mhz),
        cpu_percent=round(found.cpu_percent, 2),
        memory_usage_mb=round(found.memory / MIB),
        memory_percent=round(found.memory_percent, 2),
        disk_read_mbps=round(found.read / MIB, 3),
        disk_write_mbps=round(found.written / MIB, 3),
        net_rx_mbps=round(found.received / MIB, 3),
        net_tx_mbps=round(found.sent / MIB, 3),
    )


def event(found: ServerEvent) -> shapes.VcenterEvent:
    return shapes.VcenterEvent(
        event_id=found.number,
        event_type=found.kind,
        message=found.message,
        created_time=found.time,
        user_name=found.user,
        entity_name=found.subject,
        entity_type=found.subject_kind,
        datacenter=found.datacenter,
        severity=found.severity,
        chain_id=found.chain,
    )


def task(found: TaskRecord) -> shapes.VcenterTask:
    return shapes.VcenterTask(
        task_id=found.id,
        name=found.operation,
        description=f"{found.operation} of {found.subject}" if found.subject else found.operation,
        state=found.state,
        entity_name=found.subject,
        start_time=found.queued,
        complete_time=found.ended,
        progress=100 if found.state == "success" else found.progress or 0,
        error=found.error or None,
    )


def as_data(record: Any) -> dict[str, Any]:
    """For a message of a stream."""
    found: dict[str, Any] = record.model_dump(mode="json")
    return found
