"""Snapshots of instances; part of `instances`."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request

from hypersdk.api.parts import changed, found_on, need, opened_for, subject_of
from hypersdk.api.records.instances import instance_record, snapshot_record
from hypersdk.api.security import note_change
from hypersdk.api.services import Who, WithServices
from hypersdk.contract.instances import (
    InstanceRecord,
    SnapshotOrder,
    SnapshotRecord,
    SnapshotsRecord,
)


def list_snapshots(
    services: WithServices, who: Who, hypervisor: str, instance: str
) -> SnapshotsRecord:
    """As the hypervisor keeps them."""
    with opened_for(services, who, hypervisor) as opened:
        found = need(opened.snapshots, opened, "snapshots").snapshots(instance)
    return SnapshotsRecord(items=[snapshot_record(each) for each in found])


def create_snapshot(
    services: WithServices,
    who: Who,
    request: Request,
    hypervisor: str,
    instance: str,
    body: SnapshotOrder,
) -> SnapshotRecord:
    """Of its disks, with `memory` also of its running state."""
    with opened_for(services, who, hypervisor) as opened:
        made = need(opened.snapshots, opened, "snapshots").create(
            instance,
            body.name,
            memory=body.memory,
            quiesce=body.quiesce,
            description=body.description,
        )
    record = snapshot_record(made)
    changed(services, who, request, hypervisor, instance, "snapshot_created")
    subject = f"{subject_of(hypervisor, instance)}/snapshots/{made.name}"
    note_change(request, subject, None, record.model_dump(mode="json"))
    return record


def revert_snapshot(
    services: WithServices,
    who: Who,
    request: Request,
    hypervisor: str,
    instance: str,
    snapshot: str,
) -> InstanceRecord:
    """One that was made with its memory runs on from there."""
    with opened_for(services, who, hypervisor) as opened:
        need(opened.snapshots, opened, "snapshots").revert(instance, snapshot)
        after = found_on(opened, instance)
    changed(services, who, request, hypervisor, instance, "snapshot_reverted")
    subject = f"{subject_of(hypervisor, instance)}/snapshots/{snapshot}"
    note_change(request, subject, None, {"state": after.state.value})
    return instance_record(hypervisor, after)


def delete_snapshot(
    services: WithServices,
    who: Who,
    request: Request,
    hypervisor: str,
    instance: str,
    snapshot: str,
    children: Annotated[bool, Query()] = False,
) -> None:
    """`children`: with those that follow it."""
    with opened_for(services, who, hypervisor) as opened:
        need(opened.snapshots, opened, "snapshots").delete(instance, snapshot, children=children)
    changed(services, who, request, hypervisor, instance, "snapshot_deleted")
    subject = f"{subject_of(hypervisor, instance)}/snapshots/{snapshot}"
    note_change(request, subject, {"name": snapshot, "children": children}, None)


HANDLERS = {
    "list_snapshots": list_snapshots,
    "create_snapshot": create_snapshot,
    "revert_snapshot": revert_snapshot,
    "delete_snapshot": delete_snapshot,
}
