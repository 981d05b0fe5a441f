"""Jobs: submit, look, wish."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request

from hypersdk.api.etags import Answered, tagged
from hypersdk.api.paging import Cursor, Limit, cursor_at, number_in
from hypersdk.api.records.jobs import job_record, log_record
from hypersdk.api.security import note_change
from hypersdk.api.services import Services, Who, WithServices
from hypersdk.api.submitting import submit_all, submit_one
from hypersdk.contract.base import Moment, Page
from hypersdk.contract.jobs import (
    JobErrorRecord,
    JobRecord,
    JobStateWord,
    KindRecord,
    KindsRecord,
    LogRecord,
    NewJobRecord,
    NewJobsRecord,
    OutcomeRecord,
    OutcomesRecord,
    PriorityRecord,
    Submission,
)
from hypersdk.contract.kinds import SCHEMAS
from hypersdk.jobs.kinds import Kind
from hypersdk.jobs.store import Submitted
from hypersdk.model.accounts import Principal
from hypersdk.model.errors import HyperSDKError
from hypersdk.model.jobs import Job, JobError, JobFilter, JobState

_Word = Annotated[str, Query(max_length=256)]
_Moment = Annotated[Moment | None, Query()]


def list_jobs(
    services: WithServices,
    who: Who,
    state: Annotated[list[JobStateWord], Query()] = [],  # noqa: B006 - FastAPI copies it
    kind: Annotated[list[str], Query(max_length=100)] = [],  # noqa: B006
    tenant: _Word = "",
    schedule: _Word = "",
    parent: _Word = "",
    text: _Word = "",
    since: _Moment = None,
    until: _Moment = None,
    limit: Limit = 50,
    cursor: Cursor = "",
) -> Page[JobRecord]:
    """`state` and `kind` may be given several times. `text` is looked for in names and requests."""
    wanted = JobFilter(
        states=frozenset(JobState(word) for word in state),
        kinds=frozenset(kind),
        tenant=who.tenant or tenant or None,
        schedule=schedule,
        parent=parent,
        text=text,
        since=since,
        until=until,
    )
    page = services.jobs.list(wanted, limit=limit, before=number_in(cursor, "jobs"))
    return Page[JobRecord].model_construct(
        items=[job_record(job) for job in page.jobs],
        next=None if page.next is None else cursor_at("jobs", page.next),
    )


def submit_jobs(services: WithServices, who: Who, request: Request, body: Submission) -> Answered:
    """One job, `{"jobs": […]}` or an array. Of several, those that cannot be done are refused one
    by one, and the others stored together. An active job of the same key is not stored again: its
    id is the answer, and the status 200 when nothing was new."""
    if isinstance(body, NewJobRecord):
        one = submit_one(services, who, body)
        note_change(request, f"jobs/{one.id}", None, {"kind": body.kind})
        return _submitted([_outcome(one)], at=f"/v1/jobs/{one.id}")
    records = body.jobs if isinstance(body, NewJobsRecord) else body
    outcomes = [_outcome(each) for each in submit_all(services, who, records)]
    made = [each.id for each in outcomes if each.new]
    note_change(request, "jobs", None, {"jobs": made[:100], "number": len(made)})
    return _submitted(outcomes)


def get_job(services: WithServices, who: Who, id: str) -> Answered:
    """With its progress, and its result or error."""
    job = _job(services, who, id)
    return tagged(job_record(job), job.revision)


def change_job(
    services: WithServices, who: Who, request: Request, id: str, body: PriorityRecord
) -> Answered:
    """Of jobs that wait, those with greater numbers begin first."""
    before = _job(services, who, id)
    job = services.jobs.prioritise(id, body.priority)
    note_change(request, f"jobs/{id}", {"priority": before.priority}, {"priority": job.priority})
    return tagged(job_record(job), job.revision)


def delete_job(services: WithServices, who: Who, request: Request, id: str) -> None:
    """One that did not end yet has to be cancelled first."""
    job = _job(services, who, id)
    services.jobs.forget(id)
    note_change(request, f"jobs/{id}", {"kind": job.kind, "state": job.state.value}, None)


def cancel_job(services: WithServices, who: Who, request: Request, id: str) -> Answered:
    """A job that runs stops within two seconds; what is temporary is removed."""
    before = _job(services, who, id)
    return _changed(request, before, services.jobs.cancel(id))


def pause_job(services: WithServices, who: Who, request: Request, id: str) -> Answered:
    """It gives up its place and goes on from what is stored when it is resumed."""
    before = _job(services, who, id)
    return _changed(request, before, services.jobs.pause(id))


def resume_job(services: WithServices, who: Who, request: Request, id: str) -> Answered:
    """It waits for its turn again."""
    before = _job(services, who, id)
    return _changed(request, before, services.jobs.resume(id))


def retry_job(services: WithServices, who: Who, request: Request, id: str) -> Answered:
    """It waits for its turn again."""
    before = _job(services, who, id)
    return _changed(request, before, services.jobs.retry(id))


def job_logs(
    services: WithServices,
    who: Who,
    id: str,
    after: Annotated[int, Query(ge=0, lt=1 << 31)] = 0,
    limit: Limit = 1000,
    cursor: Cursor = "",
) -> Page[LogRecord]:
    """`after`: the number of the last line that is known already. Ask again after a
    `job.progress` of the job."""
    _job(services, who, id)
    start = number_in(cursor, "logs")
    lines = services.jobs.logs(id, after=after if start is None else start, limit=limit)
    return Page[LogRecord].model_construct(
        items=[log_record(line) for line in lines],
        next=cursor_at("logs", lines[-1].number) if len(lines) == limit else None,
    )


def list_job_kinds(services: WithServices) -> KindsRecord:
    """By name."""
    known = services.kinds.known
    return KindsRecord(items=[_kind(known[name]) for name in sorted(known)])


def get_job_kind(services: WithServices, name: str) -> KindRecord:
    """With the JSON schemas of its request and its result."""
    return _kind(services.kinds[name])


def _job(services: Services, who: Principal, id: str) -> Job:
    return services.jobs.get(id, tenant=who.tenant or None)


def _changed(request: Request, before: Job, after: Job) -> Answered:
    note_change(
        request,
        f"jobs/{after.id}",
        {"state": before.state.value, "wish": before.wish.value},
        {"state": after.state.value, "wish": after.wish.value},
    )
    return tagged(job_record(after), after.revision)


def _outcome(each: Submitted | HyperSDKError) -> OutcomeRecord:
    if isinstance(each, Submitted):
        return OutcomeRecord(id=each.id, new=each.new)
    error = JobError.of(each)
    return OutcomeRecord(
        error=JobErrorRecord(
            kind=error.kind, message=error.message, hint=error.hint, retryable=error.retryable
        )
    )


def _submitted(outcomes: list[OutcomeRecord], *, at: str = "") -> Answered:
    accepted = sum(each.error is None for each in outcomes)
    record = OutcomesRecord.model_construct(
        items=outcomes, accepted=accepted, rejected=len(outcomes) - accepted
    )
    status = 201 if any(each.new for each in outcomes) else 200
    return Answered(record, status, {"Location": at} if at else {})


def _kind(kind: Kind) -> KindRecord:
    schemas = SCHEMAS.get(kind.name)
    return KindRecord(
        name=kind.name,
        summary=kind.summary,
        request=schemas[0].model_json_schema() if schemas else {},
        result=schemas[1].model_json_schema(mode="serialization") if schemas else {},
    )


HANDLERS = {
    "list_jobs": list_jobs,
    "submit_jobs": submit_jobs,
    "get_job": get_job,
    "change_job": change_job,
    "delete_job": delete_job,
    "cancel_job": cancel_job,
    "pause_job": pause_job,
    "resume_job": resume_job,
    "retry_job": retry_job,
    "job_logs": job_logs,
    "list_job_kinds": list_job_kinds,
    "get_job_kind": get_job_kind,
}
