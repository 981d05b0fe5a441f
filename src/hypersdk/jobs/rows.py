"""Jobs as rows of the database, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.engine import Row

from hypersdk.database.moments import from_number, to_number
from hypersdk.model.jobs import (
    Backoff,
    Dependency,
    Job,
    JobError,
    JobProgress,
    JobState,
    NewJob,
    Required,
    RetryPolicy,
    Wish,
)
from hypersdk.observe.redact import redact


def new_row(job: NewJob, *, number: int, revision: int, now: datetime) -> dict[str, Any]:
    """The row of a job that was just submitted; its id and name are set."""
    waits = bool(job.depends_on) or (job.not_before is not None and job.not_before > now)
    return {
        "id": job.id,
        "number": number,
        "revision": revision,
        "kind": job.kind,
        "name": job.name,
        "state": (JobState.SCHEDULED if waits else JobState.PENDING).value,
        "wish": Wish.NONE.value,
        "tenant": job.tenant,
        "owner": job.owner,
        "queue": job.queue,
        "priority": job.priority,
        "dedup": job.dedup,
        "schedule": job.schedule,
        "parent": job.parent,
        "worker": "",
        "run": 0,
        "created": to_number(now),
        "updated": to_number(now),
        "not_before": to_number(job.not_before),
        "request": dict(job.request),
        "resources": list(job.resources),
        "depends_on": [[each.job, each.required.value] for each in job.depends_on],
        "retry": retry_row(job.retry),
        "tags": dict(job.tags),
    }


def from_row(row: Row[Any]) -> Job:
    """A job as everybody sees it."""
    return Job(
        id=row.id,
        kind=row.kind,
        name=row.name,
        request=row.request,
        state=JobState(row.state),
        wish=Wish(row.wish),
        tenant=row.tenant,
        owner=row.owner,
        queue=row.queue,
        priority=row.priority,
        resources=tuple(row.resources),
        depends_on=tuple(Dependency(job, Required(how)) for job, how in row.depends_on),
        retry=retry_of(row.retry),
        dedup=row.dedup,
        schedule=row.schedule,
        parent=row.parent,
        tags=row.tags,
        created=from_number(row.created),
        not_before=from_number(row.not_before),
        started=from_number(row.started),
        ended=from_number(row.ended),
        updated=from_number(row.updated),
        run=row.run,
        worker=row.worker,
        progress=JobProgress(**row.progress) if row.progress else JobProgress(),
        result=row.result,
        error=JobError(**row.error) if row.error else None,
        revision=row.revision,
    )


def progress_row(progress: JobProgress) -> dict[str, Any]:
    """Redacted: a subject may be a URL."""
    return {
        "phase": progress.phase,
        "subject": clean(progress.subject),
        "done": progress.done,
        "total": progress.total,
        "percent": progress.percent,
        "rate": progress.rate,
        "eta": progress.eta,
    }


def error_row(error: JobError) -> dict[str, Any]:
    """Redacted: messages of libraries may repeat what they were given."""
    return {
        "kind": error.kind,
        "message": clean(error.message),
        "hint": clean(error.hint),
        "retryable": error.retryable,
    }


def clean(text: str) -> str:
    """Without secrets, and such as every database and every client can hold: names of files that
    are no UTF-8 become half pairs of surrogates, and PostgreSQL has no text with a zero in it."""
    redacted: str = redact(text)
    return redacted.encode(errors="replace").decode().replace("\0", "")


def plain(value: object) -> Any:
    """As JSON has it; what that does not know (sets, moments, numbers without end) becomes text."""
    text = json.dumps(value, default=str, ensure_ascii=False).replace("\\u0000", "")
    return json.loads(text.encode(errors="replace").decode(), parse_constant=str)


def retry_row(policy: RetryPolicy) -> dict[str, Any]:
    return {
        "attempts": policy.attempts,
        "delay": policy.delay,
        "longest": policy.longest,
        "backoff": policy.backoff.value,
        "errors": list(policy.errors),
    }


def retry_of(row: Mapping[str, Any]) -> RetryPolicy:
    return RetryPolicy(
        attempts=row["attempts"],
        delay=row["delay"],
        longest=row["longest"],
        backoff=Backoff(row["backoff"]),
        errors=tuple(row["errors"]),
    )
