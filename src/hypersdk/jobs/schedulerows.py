"""Schedules as rows of the database, and back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import time
from typing import Any

from sqlalchemy.engine import Row

from hypersdk.database.moments import from_number
from hypersdk.jobs.rows import retry_of, retry_row
from hypersdk.model.jobs import NewJob
from hypersdk.model.schedules import (
    After,
    CatchUp,
    NewSchedule,
    Retention,
    Schedule,
    Weekday,
    Window,
)


def definition_row(schedule: NewSchedule) -> dict[str, Any]:
    """What is asked for, without what has a column of its own."""
    return {
        "cron": schedule.cron,
        "zone": schedule.zone,
        "job": _job_row(schedule.job),
        "description": schedule.description,
        "windows": [_window_row(each) for each in schedule.windows],
        "after": [[each.schedule, each.required] for each in schedule.after],
        "skip_if_running": schedule.skip_if_running,
        "catch_up": schedule.catch_up.value,
        "retention": None if schedule.retention is None else dict(schedule.retention.rules),
        "tags": dict(schedule.tags),
    }


def from_row(row: Row[Any]) -> Schedule:
    made = row.definition
    rules = made["retention"]
    return Schedule(
        id=row.id,
        name=row.name,
        cron=made["cron"],
        zone=made["zone"],
        job=_job_of(made["job"]),
        description=made["description"],
        enabled=row.enabled,
        windows=windows_of(made),
        after=tuple(After(name, required) for name, required in made["after"]),
        skip_if_running=made["skip_if_running"],
        catch_up=CatchUp(made["catch_up"]),
        retention=None if rules is None else Retention(rules=rules),
        tenant=row.tenant,
        owner=row.owner,
        tags=made["tags"],
        created=from_number(row.created),
        updated=from_number(row.updated),
        next_run=from_number(row.next_run),
        last_run=from_number(row.last_run),
        last_job=row.last_job,
        runs=row.runs,
        skipped=row.skipped,
        revision=row.revision,
    )


def windows_of(definition: Mapping[str, Any]) -> tuple[Window, ...]:
    """Of the definition as it is stored."""
    return tuple(
        Window(
            time.fromisoformat(each["start"]),
            time.fromisoformat(each["end"]),
            frozenset(Weekday(day) for day in each["days"]),
            each["zone"],
        )
        for each in definition["windows"]
    )


def _window_row(window: Window) -> dict[str, Any]:
    return {
        "start": window.start.isoformat(),
        "end": window.end.isoformat(),
        "days": sorted(day.value for day in window.days),
        "zone": window.zone,
    }


def _job_row(job: NewJob) -> dict[str, Any]:
    return {
        "kind": job.kind,
        "request": dict(job.request),
        "name": job.name,
        "queue": job.queue,
        "priority": job.priority,
        "resources": list(job.resources),
        "retry": retry_row(job.retry),
        "dedup": job.dedup,
        "tags": dict(job.tags),
    }


def _job_of(row: Mapping[str, Any]) -> NewJob:
    return NewJob(
        kind=row["kind"],
        request=row["request"],
        name=row["name"],
        queue=row["queue"],
        priority=row["priority"],
        resources=tuple(row["resources"]),
        retry=retry_of(row["retry"]),
        dedup=row["dedup"],
        tags=row["tags"],
    )
