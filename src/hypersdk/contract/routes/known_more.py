"""Costs, generated files, conversions and the progress monitor as known before ``/v1``."""

from __future__ import annotations

from typing import Any

from hypersdk.contract.known import cost, generating, workflow
from hypersdk.contract.routing import Route
from hypersdk.model.accounts import Role


def _look(
    name: str, path: str, summary: str, answer: Any, body: Any = None, media: str = ""
) -> Route:
    return Route(
        name=f"known_{name}",
        method="GET" if body is None else "POST",
        path=path,
        role=Role.VIEWER,
        scope="jobs" if path.startswith("/api/") else "system",
        summary=summary,
        answer=answer,
        body=body,
        media=media,
        versioned=False,
    )


ROUTES: tuple[Route, ...] = (
    _look(
        "estimate_cost",
        "/cost/estimate",
        "What storage would cost, by list prices",
        cost.CostEstimate,
        cost.CostAsked,
    ),
    _look(
        "compare_costs",
        "/cost/compare",
        "The same at all providers of the table",
        cost.CostComparison,
        cost.CostAsked,
    ),
    _look(
        "project_cost",
        "/cost/project",
        "The same for a year, month by month",
        cost.YearlyCost,
        cost.CostAsked,
    ),
    _look(
        "estimate_size",
        "/cost/estimate-size",
        "How large an export may become",
        cost.SizeEstimate,
        cost.SizeAsked,
    ),
    _look(
        "generate_config",
        "/config/generate",
        "A configuration of hyper2kvm, and a systemd unit that runs it",
        generating.ConfigAnswer,
        generating.ConfigAsked,
    ),
    _look(
        "config_templates",
        "/config/templates",
        "Guest systems that configurations can be made for",
        generating.ConfigTemplatesAnswer,
    ),
    _look(
        "workflow_status",
        "/api/workflow/status",
        "How many conversions and imports wait and run",
        workflow.WorkflowStatus,
    ),
    _look(
        "workflow_jobs",
        "/api/workflow/jobs",
        "Conversions and imports, ?status=",
        workflow.WorkflowJobs,
    ),
    _look(
        "workflow_active",
        "/api/workflow/jobs/active",
        "Those that run",
        workflow.WorkflowJobs,
    ),
    _look(
        "validate_manifest",
        "/api/workflow/manifest/validate",
        "Whether an Artifact Manifest v1.0, JSON or YAML, keeps all rules",
        workflow.ManifestChecked,
        dict[str, Any],
    ),
    Route(
        name="known_submit_manifest",
        method="POST",
        path="/api/workflow/manifest/submit",
        role=Role.OPERATOR,
        scope="jobs",
        summary="Convert the disks of a manifest, or import its machine",
        body=workflow.ManifestSubmitAsked | dict[str, Any],
        answer=workflow.ManifestSubmitted,
        action="job.submit",
        versioned=False,
    ),
    _look(
        "progress_tasks",
        "/api/v1/progress",
        "Tasks that run or wait, and the newest that ended",
        workflow.TasksProgress,
    ),
    _look("progress_task", "/api/v1/progress/{task}", "One task", workflow.TaskProgress),
    _look(
        "progress_stream",
        "/api/v1/stream/{task}",
        "One task as server-sent events, until it ended",
        None,
        media="text/event-stream",
    ),
)
