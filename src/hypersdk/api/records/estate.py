"""Hypervisors, repositories, webhooks, events, restore points."""

from __future__ import annotations

from dataclasses import asdict

from hypersdk.contract.estate import (
    BreakerRecord,
    BudgetRecord,
    CapabilityRecord,
    DeliveryRecord,
    EventRecord,
    HostRecord,
    KnownHypervisor,
    KnownRepository,
    LimitRecord,
    PointDiskRecord,
    PointRecord,
    WebhookRecord,
)
from hypersdk.drivers.wrappers.breaker import BreakerStatus
from hypersdk.model.capabilities import Capability
from hypersdk.model.estate import (
    Budget,
    Delivery,
    Event,
    HypervisorRecord,
    RepositoryRecord,
    Webhook,
)
from hypersdk.model.hosts import HostInfo
from hypersdk.model.points import PointDisk, RestorePoint
from hypersdk.observe.redact import redact_text


def budget_of(record: BudgetRecord) -> Budget:
    return Budget(jobs=record.jobs, bandwidth=record.bandwidth, starts=record.starts)


def hypervisor_record(found: HypervisorRecord) -> KnownHypervisor:
    return KnownHypervisor(
        name=found.name,
        url=redact_text(found.url),
        tenant=found.tenant,
        description=found.description,
        queue=found.queue,
        budget=_budget(found.budget),
        host_budget=_budget(found.host_budget),
        datastore_budget=_budget(found.datastore_budget),
        tags=dict(found.tags),
        managed=found.managed,
        created=found.created,
        updated=found.updated,
        revision=found.revision,
    )


def repository_record(found: RepositoryRecord) -> KnownRepository:
    return KnownRepository(
        name=found.name,
        location=redact_text(found.location),
        tenant=found.tenant,
        description=found.description,
        key=found.key,
        key_file=found.key_file,
        identity=found.identity,
        budget=_budget(found.budget),
        managed=found.managed,
        created=found.created,
        updated=found.updated,
        revision=found.revision,
    )


def webhook_record(found: Webhook) -> WebhookRecord:
    return WebhookRecord(
        id=found.id,
        url=redact_text(found.url),
        events=list(found.events),
        tenant=found.tenant,
        headers=dict(found.headers),
        timeout=found.timeout,
        enabled=found.enabled,
        managed=found.managed,
        created=found.created,
        revision=found.revision,
    )


def delivery_record(found: Delivery) -> DeliveryRecord:
    return DeliveryRecord.model_validate(found)


def event_record(found: Event) -> EventRecord:
    return EventRecord.model_validate(found)


def host_record(found: HostInfo) -> HostRecord:
    return HostRecord.model_validate(found)


def breaker_record(found: BreakerStatus) -> BreakerRecord:
    return BreakerRecord(state=found.state.value, failures=found.failures, retry_in=found.retry_in)


def capability_record(found: Capability) -> CapabilityRecord:
    return CapabilityRecord(
        part=found.part,
        grade=found.grade.value,
        limits=[LimitRecord(aspect=each.aspect, note=each.note) for each in found.limits],
    )


def point_record(found: RestorePoint) -> PointRecord:
    return PointRecord(
        id=found.id,
        instance=found.instance,
        time=found.time,
        stored_at=found.stored_at,
        size=found.size,
        consistency=found.consistency.value,
        source=redact_text(found.source),
        instance_id=found.instance_id,
        tags=dict(found.tags),
        pinned=found.pinned,
        locked_until=found.locked_until,
        definition_kind=found.definition_kind,
        warnings=list(found.warnings),
        disks=[_disk(each) for each in found.disks],
    )


def _disk(disk: PointDisk) -> PointDiskRecord:
    return PointDiskRecord(
        name=disk.name,
        size=disk.size,
        chunk_size=disk.chunk_size,
        format=disk.format,
        purpose=disk.purpose.value,
        incremental=disk.incremental,
        reason=disk.reason,
        **asdict(disk.statistics),
    )


def _budget(budget: Budget) -> BudgetRecord:
    return BudgetRecord.model_construct(
        jobs=budget.jobs, bandwidth=budget.bandwidth, starts=budget.starts
    )
