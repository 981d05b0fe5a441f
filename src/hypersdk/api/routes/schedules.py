"""Schedules: jobs that begin by themselves."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request

from hypersdk.api.etags import Answered, IfMatch, check, tagged
from hypersdk.api.paging import Cursor, Limit, cursor_at, text_in
from hypersdk.api.records.jobs import new_schedule, schedule_record
from hypersdk.api.security import note_change
from hypersdk.api.services import Services, Who, WithServices
from hypersdk.api.submitting import Planner
from hypersdk.contract.base import Page
from hypersdk.contract.jobs import (
    NewScheduleRecord,
    PreviewRecord,
    ScheduleRecord,
    SubmittedRecord,
)
from hypersdk.model.accounts import Principal
from hypersdk.model.schedules import NewSchedule, Schedule

_Count = Annotated[int, Query(ge=1, le=100, description="Moments")]


def list_schedules(
    services: WithServices,
    who: Who,
    enabled: bool | None = None,
    limit: Limit = 50,
    cursor: Cursor = "",
) -> Page[ScheduleRecord]:
    """Only those that are enabled, or that are not, when asked for."""
    found = services.schedules.list(
        tenant=who.tenant or None,
        enabled=enabled,
        limit=limit + 1,
        after=text_in(cursor, "schedules") or "",
    )
    chosen = found[:limit]
    return Page[ScheduleRecord].model_construct(
        items=[schedule_record(each) for each in chosen],
        next=cursor_at("schedules", chosen[-1].id) if len(found) > limit else None,
    )


def create_schedule(
    services: WithServices, who: Who, request: Request, body: NewScheduleRecord
) -> Answered:
    """Its job is checked as if it were submitted now."""
    made = services.schedules.create(_asked(services, who, body))
    note_change(request, f"schedules/{made.id}", None, _seen(made))
    return tagged(schedule_record(made), made.revision, at=f"/v1/schedules/{made.id}")


def preview_new_schedule(
    services: WithServices, who: Who, body: NewScheduleRecord, count: _Count = 10
) -> PreviewRecord:
    """Nothing is kept."""
    wanted = _asked(services, who, body)
    return PreviewRecord(moments=list(services.schedules.preview(wanted, count)))


def get_schedule(services: WithServices, who: Who, id: str) -> Answered:
    """With its last and its next run."""
    found = _schedule(services, who, id)
    return tagged(schedule_record(found), found.revision)


def replace_schedule(
    services: WithServices,
    who: Who,
    request: Request,
    id: str,
    body: NewScheduleRecord,
    seen: IfMatch,
) -> Answered:
    """What is left out becomes what it is by default."""
    before = _schedule(services, who, id)
    after = services.schedules.replace(before.id, _asked(services, who, body), revision=seen)
    note_change(request, f"schedules/{before.id}", _seen(before), _seen(after))
    return tagged(schedule_record(after), after.revision)


def delete_schedule(
    services: WithServices, who: Who, request: Request, id: str, seen: IfMatch
) -> None:
    """Jobs that it made go on."""
    before = _schedule(services, who, id)
    check(seen, before.revision, f"the schedule {before.name}")
    services.schedules.delete(before.id)
    note_change(request, f"schedules/{before.id}", _seen(before), None)


def enable_schedule(services: WithServices, who: Who, request: Request, id: str) -> Answered:
    """It runs from its next moment on."""
    before = _schedule(services, who, id)
    services.schedules.enable(before.id)
    return _switched(services, request, before)


def disable_schedule(services: WithServices, who: Who, request: Request, id: str) -> Answered:
    """Jobs that it made go on."""
    before = _schedule(services, who, id)
    services.schedules.disable(before.id)
    return _switched(services, request, before)


def trigger_schedule(
    services: WithServices, who: Who, request: Request, id: str
) -> SubmittedRecord:
    """Its next moment stays what it is."""
    found = _schedule(services, who, id)
    job = services.schedules.trigger(found.id)
    note_change(request, f"schedules/{found.id}", None, {"job": job})
    return SubmittedRecord(id=job, new=True)


def preview_schedule(
    services: WithServices, who: Who, id: str, count: _Count = 10
) -> PreviewRecord:
    """Whether it is enabled or not."""
    found = _schedule(services, who, id)
    return PreviewRecord(moments=list(services.schedules.preview(found, count)))


def _schedule(services: Services, who: Principal, id: str) -> Schedule:
    return services.schedules.get(id, tenant=who.tenant or None)


def _asked(services: Services, who: Principal, body: NewScheduleRecord) -> NewSchedule:
    job = Planner(services, who, later=True).job(body.job)
    return new_schedule(body, job, tenant=who.tenant, owner=who.user)


def _switched(services: Services, request: Request, before: Schedule) -> Answered:
    after = services.schedules.get(before.id)
    note_change(
        request,
        f"schedules/{before.id}",
        {"enabled": before.enabled},
        {"enabled": after.enabled},
    )
    return tagged(schedule_record(after), after.revision)


def _seen(schedule: Schedule) -> dict[str, object]:
    """For the audit log."""
    return schedule_record(schedule).model_dump(
        mode="json", include=set(NewScheduleRecord.model_fields), exclude_defaults=True
    )


HANDLERS = {
    "list_schedules": list_schedules,
    "create_schedule": create_schedule,
    "preview_new_schedule": preview_new_schedule,
    "get_schedule": get_schedule,
    "replace_schedule": replace_schedule,
    "delete_schedule": delete_schedule,
    "enable_schedule": enable_schedule,
    "disable_schedule": disable_schedule,
    "trigger_schedule": trigger_schedule,
    "preview_schedule": preview_schedule,
}
