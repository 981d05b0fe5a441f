"""Instances and what belongs to them."""

from __future__ import annotations

import dataclasses
from enum import Enum
from typing import Any

from hypersdk.contract.instances import (
    DiskMetricsRecord,
    DiskRecord,
    InstanceDetailsRecord,
    InstanceRecord,
    MetricsRecord,
    NewInstanceRecord,
    NicMetricsRecord,
    SnapshotRecord,
)
from hypersdk.model.details import InstanceDetails
from hypersdk.model.instances import Disk, Instance
from hypersdk.model.machines import InstanceMetrics, Snapshot
from hypersdk.model.specs import (
    CloudInit,
    DiskSpec,
    InstanceSpec,
    MountSpec,
    NicSpec,
    PortSpec,
)
from hypersdk.observe.redact import redact


def instance_record(hypervisor: str, found: Instance) -> InstanceRecord:
    return InstanceRecord(
        hypervisor=hypervisor,
        id=found.id,
        name=found.name,
        state=found.state.value,
        vcpus=found.vcpus,
        memory=found.memory,
        disks=[disk_record(each) for each in found.disks],
        tags=dict(found.tags),
        owned=found.owned,
        folder=found.folder,
        image=found.image,
    )


def disk_record(found: Disk) -> DiskRecord:
    return DiskRecord(
        name=found.name,
        size=found.size,
        format=found.format,
        path=found.path,
        purpose=found.purpose.value,
    )


def details_record(hypervisor: str, found: InstanceDetails) -> InstanceDetailsRecord:
    """Settings of instances may hold secrets: they leave without them."""
    more = {
        field.name: _plain(getattr(found, field.name))
        for field in dataclasses.fields(found)
        if field.name != "instance"
    }
    return InstanceDetailsRecord(
        instance=instance_record(hypervisor, found.instance), details=redact(more)
    )


def snapshot_record(found: Snapshot) -> SnapshotRecord:
    return SnapshotRecord(
        name=found.name,
        created=found.created,
        parent=found.parent,
        current=found.current,
        state=found.state.value,
        memory=found.memory,
        disks=dict(found.disks),
        description=found.description,
    )


def metrics_record(found: InstanceMetrics) -> MetricsRecord:
    return MetricsRecord(
        name=found.name,
        state=found.state.value,
        cpu_nanoseconds=found.cpu_nanoseconds,
        vcpus=found.vcpus,
        memory=found.memory,
        memory_maximum=found.memory_maximum,
        memory_resident=found.memory_resident,
        disks=[DiskMetricsRecord.model_validate(each) for each in found.disks],
        nics=[NicMetricsRecord.model_validate(each) for each in found.nics],
    )


def spec_of(record: NewInstanceRecord) -> InstanceSpec:
    """The same fields, frozen."""
    flat = {
        name: getattr(record, name)
        for name in type(record).model_fields
        if name not in ("disks", "nics", "cloud_init", "command", "mounts", "ports")
    }
    first_boot = record.cloud_init
    return InstanceSpec(
        **flat,
        disks=tuple(DiskSpec(**each.model_dump()) for each in record.disks),
        nics=tuple(NicSpec(**each.model_dump()) for each in record.nics),
        cloud_init=None
        if first_boot is None
        else CloudInit(**first_boot.model_dump() | {"ssh_keys": tuple(first_boot.ssh_keys)}),
        command=tuple(record.command),
        mounts=tuple(MountSpec(**each.model_dump()) for each in record.mounts),
        ports=tuple(PortSpec(**each.model_dump()) for each in record.ports),
    )


def _plain(value: Any) -> Any:
    """Of what JSON knows."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: _plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value
