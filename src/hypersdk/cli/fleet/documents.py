"""What fleet commands say as JSON; docs/schemas describes it."""

from __future__ import annotations

from hypersdk import (
    BatchResult,
    BreakerStatus,
    Candidate,
    FleetInstance,
    HostInfo,
    HypervisorHealth,
    Snapshot,
)
from hypersdk.cli.failures import describe
from hypersdk.cli.terminal import Document
from hypersdk.cli.words import moment


def instance(record: FleetInstance) -> Document:
    seen = record.instance
    return {
        "hypervisor": record.hypervisor,
        "id": seen.id,
        "name": seen.name,
        "state": seen.state.value,
        "vcpus": seen.vcpus,
        "memory": seen.memory,
        "owned": seen.owned,
        "folder": seen.folder,
        "image": seen.image,
        "tags": dict(seen.tags),
        "disks": [
            {
                "name": disk.name,
                "size": disk.size,
                "format": disk.format,
                "path": disk.path,
                "purpose": disk.purpose.value,
            }
            for disk in seen.disks
        ],
    }


def snapshot(record: Snapshot) -> Document:
    return {
        "name": record.name,
        "created": moment(record.created),
        "parent": record.parent,
        "current": record.current,
        "state": record.state.value,
        "memory": record.memory,
        "description": record.description,
    }


def result(record: BatchResult) -> Document:
    return {
        "hypervisor": record.target.hypervisor,
        "id": record.target.instance.id,
        "name": record.target.instance.name,
        "result": record.ending.value,
        "seconds": round(record.seconds, 3),
        "error": describe(record.error) if record.error is not None else None,
    }


def health(record: HypervisorHealth) -> Document:
    return {
        "hypervisor": record.hypervisor,
        "url": record.url,
        "reachable": record.reachable,
        "latency": round(record.latency, 6) if record.latency is not None else None,
        "breaker": breaker(record.breaker),
        "host": host(record.host) if record.host is not None else None,
        "capabilities": [
            {
                "part": each.part,
                "grade": each.grade.value,
                "limits": {limit.aspect: limit.note for limit in each.limits},
            }
            for each in record.capabilities
        ],
        "error": describe(record.error) if record.error is not None else None,
    }


def breaker(record: BreakerStatus) -> Document:
    return {
        "state": record.state.value,
        "failures": record.failures,
        "retry_in": round(record.retry_in, 3),
    }


def host(record: HostInfo) -> Document:
    return {
        "name": record.name,
        "product": record.product,
        "version": record.version,
        "architecture": record.architecture,
        "vcpus": record.vcpus,
        "memory": record.memory,
        "memory_available": record.memory_available,
        "storage_available": record.storage_available,
        "active_instances": record.active_instances,
        "maximum_instances": record.maximum_instances,
        "maximum_vcpus": record.maximum_vcpus,
        "maximum_memory": record.maximum_memory,
        "acceleration": record.acceleration,
    }


def candidate(record: Candidate) -> Document:
    return {
        "hypervisor": record.hypervisor,
        "accepted": record.accepted,
        "reasons": list(record.reasons),
        "instances": record.instances,
        "host": host(record.host) if record.host is not None else None,
    }
