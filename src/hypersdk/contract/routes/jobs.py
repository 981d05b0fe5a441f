"""Jobs: submit, look, wish."""

from __future__ import annotations

from hypersdk.contract.base import Page
from hypersdk.contract.jobs import (
    JobRecord,
    KindRecord,
    KindsRecord,
    LogRecord,
    OutcomesRecord,
    PriorityRecord,
    Submission,
)
from hypersdk.contract.routing import Route
from hypersdk.model.accounts import Role


def _wish(word: str, summary: str) -> Route:
    return Route(
        name=f"{word}_job",
        method="POST",
        path=f"/v1/jobs/{{id}}/{word}",
        role=Role.OPERATOR,
        scope="jobs",
        summary=summary,
        answer=JobRecord,
        also=(409,),
        action=f"job.{word}",
    )


ROUTES: tuple[Route, ...] = (
    Route(
        name="list_jobs",
        method="GET",
        path="/v1/jobs",
        role=Role.VIEWER,
        scope="jobs",
        summary="List jobs, newest first",
        answer=Page[JobRecord],
    ),
    Route(
        name="submit_jobs",
        method="POST",
        path="/v1/jobs",
        role=Role.OPERATOR,
        scope="jobs",
        summary="Submit one job or many",
        body=Submission,
        answer=OutcomesRecord,
        status=201,
        also=(200, 409),
        action="job.submit",
    ),
    Route(
        name="get_job",
        method="GET",
        path="/v1/jobs/{id}",
        role=Role.VIEWER,
        scope="jobs",
        summary="A job",
        answer=JobRecord,
        also=(304,),
    ),
    Route(
        name="change_job",
        method="PATCH",
        path="/v1/jobs/{id}",
        role=Role.OPERATOR,
        scope="jobs",
        summary="Change the priority of a job",
        body=PriorityRecord,
        answer=JobRecord,
        also=(409,),
        action="job.prioritise",
    ),
    Route(
        name="delete_job",
        method="DELETE",
        path="/v1/jobs/{id}",
        role=Role.OPERATOR,
        scope="jobs",
        summary="Forget a job that ended, with its log",
        status=204,
        also=(409,),
        action="job.delete",
    ),
    _wish("cancel", "Stop a job for good"),
    _wish("pause", "Stop a job for now"),
    _wish("resume", "Let a paused job go on"),
    _wish("retry", "Have a failed or cancelled job run again"),
    Route(
        name="job_logs",
        method="GET",
        path="/v1/jobs/{id}/logs",
        role=Role.VIEWER,
        scope="jobs",
        summary="Lines of a job's log, oldest first",
        answer=Page[LogRecord],
    ),
    Route(
        name="list_job_kinds",
        method="GET",
        path="/v1/job-kinds",
        role=Role.VIEWER,
        scope="jobs",
        summary="Kinds of jobs, with the schemas of their requests and results",
        answer=KindsRecord,
    ),
    Route(
        name="get_job_kind",
        method="GET",
        path="/v1/job-kinds/{name}",
        role=Role.VIEWER,
        scope="jobs",
        summary="A kind of job",
        answer=KindRecord,
    ),
)
