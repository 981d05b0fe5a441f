"""Jobs as they were known before ``/v1``."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request

from hypersdk.api.counting import counted
from hypersdk.api.known import shown
from hypersdk.api.known.definitions import METHOD, METHODS, separate, submit
from hypersdk.api.known.documents import RawBody, checked, parsed
from hypersdk.api.known.reach import Which
from hypersdk.api.known.spelling import duration, now, told
from hypersdk.api.openapi import version
from hypersdk.api.security import note_change
from hypersdk.api.services import Services, Who, WithServices
from hypersdk.contract.known.jobs import (
    CancelAnswer,
    CancelAsked,
    CapabilitiesAnswer,
    Capability,
    EtaAnswer,
    HealthAnswer,
    KnownJob,
    LogsAnswer,
    ProgressAnswer,
    QueryAnswer,
    QueryAsked,
    StatusAnswer,
    SubmitAnswer,
)
from hypersdk.jobs.store import PAGE_MOST
from hypersdk.model.accounts import Principal
from hypersdk.model.errors import HyperSDKError
from hypersdk.model.jobs import Job, JobFilter, JobState

#: Jobs in one answer where nobody says how many.
_USUAL = 1000
#: Lines of a log in one answer: the last ones.
_LINES = 10_000


def known_health() -> HealthAnswer:
    """Needs no credentials."""
    return HealthAnswer(timestamp=now())


async def known_status(services: WithServices, who: Who, request: Request) -> StatusAnswer:
    """Counts are at most a second old."""
    counts = await counted(services, who, request)
    return StatusAnswer(
        version=version(),
        uptime=duration((now() - services.started).total_seconds()),
        total_jobs=sum(counts.values()),
        running_jobs=counts[JobState.RUNNING],
        completed_jobs=counts[JobState.COMPLETED],
        failed_jobs=counts[JobState.FAILED],
        cancelled_jobs=counts[JobState.CANCELLED],
        timestamp=now(),
    )


def known_capabilities() -> CapabilitiesAnswer:
    """The daemon exports by itself (`web`); the other ways that clients know are not used."""
    moment = now()
    return CapabilitiesAnswer(
        capabilities={
            word: Capability(
                method=word,
                available=word == METHOD,
                version=version() if word == METHOD else "",
                path="",
                priority=priority,
                last_checked=moment,
            )
            for priority, word in enumerate(METHODS, 1)
        },
        default_method=METHOD,
        timestamp=moment,
    )


def known_submit_jobs(
    services: WithServices, who: Who, request: Request, body: RawBody, hypervisor: Which = ""
) -> SubmitAnswer:
    """One definition, `{"jobs": […]}` or a list. Of several, those that cannot be done are
    refused one by one; a single one that cannot be done is an error."""
    documents = separate(parsed(body))
    answers = submit(services, who, documents, hypervisor)
    if len(answers) == 1 and isinstance(answers[0], HyperSDKError) and not documents[0][0]:
        raise answers[0]
    ids = [each for each in answers if isinstance(each, str)]
    errors = [
        f"{place}: {told(each)}"
        for (place, _), each in zip(documents, answers, strict=True)
        if isinstance(each, HyperSDKError)
    ]
    note_change(request, "jobs", None, {"jobs": ids[:100], "count": len(ids)})
    return SubmitAnswer(
        job_ids=ids,
        accepted=len(ids),
        rejected=len(errors),
        errors=errors or None,
        job_id=ids[0] if len(ids) == 1 else None,
        timestamp=now(),
    )


def known_list_jobs(
    services: WithServices,
    who: Who,
    status: Annotated[str, Query(max_length=100)] = "",
    limit: Annotated[int, Query(ge=0, le=10_000)] = 0,
) -> QueryAnswer:
    """`status` may be several, separated by commas. `all=true` says what is meant anyway."""
    words = [word.strip() for word in status.split(",") if word.strip()]
    return _query(services, who, checked(QueryAsked, {"status": words, "limit": limit}, "query"))


def known_query_jobs(services: WithServices, who: Who, body: QueryAsked) -> QueryAnswer:
    """Ids that are not known are left out."""
    return _query(services, who, body)


def _query(services: Services, who: Principal, wanted: QueryAsked) -> QueryAnswer:
    chosen = JobFilter(
        ids=frozenset(wanted.job_ids),
        states=shown.states(wanted.status),
        tenant=who.tenant or None,
    )
    most = wanted.limit or _USUAL
    found: list[Job] = []
    before: int | None = None
    while len(found) < most:
        page = services.jobs.list(chosen, limit=min(PAGE_MOST, most - len(found)), before=before)
        found += page.jobs
        before = page.next
        if before is None:
            break
    jobs = [shown.job(each) for each in found]
    return QueryAnswer(jobs=jobs, total=len(jobs), timestamp=now())


def known_cancel_jobs(
    services: WithServices, who: Who, request: Request, body: CancelAsked
) -> CancelAnswer:
    """A running job ends within two seconds."""
    cancelled, errors = [], {}
    for id in body.job_ids:
        try:
            services.jobs.get(id, tenant=who.tenant or None)
            services.jobs.cancel(id)
        except HyperSDKError as error:
            if error.retryable:
                raise
            errors[id] = error.message
        else:
            cancelled.append(id)
    note_change(request, "jobs", None, {"cancelled": cancelled[:100], "failed": len(errors)})
    return CancelAnswer(
        cancelled=cancelled, failed=list(errors), errors=errors or None, timestamp=now()
    )


def known_job_progress(services: WithServices, who: Who, id: str) -> ProgressAnswer:
    return shown.how_far(_job(services, who, id))


def known_job_logs(services: WithServices, who: Who, id: str) -> LogsAnswer:
    """Oldest first."""
    found = _job(services, who, id)
    lines = services.jobs.logs(found.id, limit=_LINES)
    return LogsAnswer(
        job_id=found.id,
        logs=[shown.log_line(line) for line in lines],
        log_count=len(lines),
        timestamp=now(),
    )


def known_job_eta(services: WithServices, who: Who, id: str) -> EtaAnswer:
    return shown.until_end(_job(services, who, id))


def known_get_job(services: WithServices, who: Who, id: str) -> KnownJob:
    """Jobs of other kinds than exports are shown too, as far as the shape allows."""
    return shown.job(_job(services, who, id))


def _job(services: Services, who: Principal, id: str) -> Job:
    return services.jobs.get(id, tenant=who.tenant or None)


HANDLERS = {
    "known_health": known_health,
    "known_status": known_status,
    "known_capabilities": known_capabilities,
    "known_submit_jobs": known_submit_jobs,
    "known_list_jobs": known_list_jobs,
    "known_query_jobs": known_query_jobs,
    "known_cancel_jobs": known_cancel_jobs,
    "known_job_progress": known_job_progress,
    "known_job_logs": known_job_logs,
    "known_job_eta": known_job_eta,
    "known_get_job": known_get_job,
}
