"""Jobs as they were known before ``/v1``."""

from __future__ import annotations

from typing import Any

from hypersdk.contract.known import jobs
from hypersdk.contract.routing import Route
from hypersdk.model.accounts import Role


def _look(name: str, path: str, summary: str, answer: Any) -> Route:
    return Route(
        name=name,
        method="GET",
        path=path,
        role=Role.VIEWER,
        scope="jobs",
        summary=summary,
        answer=answer,
        versioned=False,
    )


ROUTES: tuple[Route, ...] = (
    Route(
        name="known_health",
        method="GET",
        path="/health",
        role=None,
        scope="system",
        summary="Whether the daemon answers",
        answer=jobs.HealthAnswer,
        versioned=False,
    ),
    Route(
        name="known_status",
        method="GET",
        path="/status",
        role=Role.VIEWER,
        scope="system",
        summary="How long the daemon runs, and how many jobs it has",
        answer=jobs.StatusAnswer,
        versioned=False,
    ),
    Route(
        name="known_capabilities",
        method="GET",
        path="/capabilities",
        role=Role.VIEWER,
        scope="system",
        summary="Ways to export",
        answer=jobs.CapabilitiesAnswer,
        versioned=False,
    ),
    Route(
        name="known_submit_jobs",
        method="POST",
        path="/jobs/submit",
        role=Role.OPERATOR,
        scope="jobs",
        summary="Submit one export, several in jobs, or a list of them, as JSON or YAML",
        body=jobs.Submission,
        answer=jobs.SubmitAnswer,
        action="job.submit",
        versioned=False,
    ),
    _look("known_list_jobs", "/jobs/query", "Jobs, newest first", jobs.QueryAnswer),
    Route(
        name="known_query_jobs",
        method="POST",
        path="/jobs/query",
        role=Role.VIEWER,
        scope="jobs",
        summary="Jobs by their ids and states, newest first",
        body=jobs.QueryAsked,
        answer=jobs.QueryAnswer,
        versioned=False,
    ),
    Route(
        name="known_cancel_jobs",
        method="POST",
        path="/jobs/cancel",
        role=Role.OPERATOR,
        scope="jobs",
        summary="Stop jobs",
        body=jobs.CancelAsked,
        answer=jobs.CancelAnswer,
        action="job.cancel",
        versioned=False,
    ),
    _look("known_job_progress", "/jobs/progress/{id}", "How far a job is", jobs.ProgressAnswer),
    _look("known_job_logs", "/jobs/logs/{id}", "What a job has logged", jobs.LogsAnswer),
    _look("known_job_eta", "/jobs/eta/{id}", "When a job will have ended", jobs.EtaAnswer),
    _look("known_get_job", "/jobs/{id}", "One job", jobs.KnownJob),
)
