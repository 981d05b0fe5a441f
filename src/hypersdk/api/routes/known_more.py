"""Costs, generated files, conversions and the progress monitor as known before ``/v1``."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Request
from starlette.responses import Response

from hypersdk.api.known import generating, monitor, prices, reach, workflow
from hypersdk.api.known.documents import RawBody, parsed
from hypersdk.api.known.documents import checked as checked_document
from hypersdk.api.known.spelling import now
from hypersdk.api.pools import pools_of
from hypersdk.api.security import note_change
from hypersdk.api.services import Services, Who, WithServices
from hypersdk.api.submitting import Planner
from hypersdk.contract.known.cost import (
    CostAsked,
    CostComparison,
    CostEstimate,
    SizeAsked,
    SizeEstimate,
    YearlyCost,
)
from hypersdk.contract.known.generating import ConfigAnswer, ConfigAsked, ConfigTemplatesAnswer
from hypersdk.contract.known.workflow import (
    ManifestChecked,
    ManifestSubmitAsked,
    ManifestSubmitted,
    TaskProgress,
    TasksProgress,
    WorkflowJobs,
    WorkflowStatus,
)
from hypersdk.model.accounts import Principal
from hypersdk.model.errors import HyperSDKError, InvalidInput

# Costs.


def known_estimate_cost(body: CostAsked) -> CostEstimate:
    """By list prices of the month that `pricing_version` names."""
    return prices.estimate(body, now())


def known_compare_costs(body: CostAsked) -> CostComparison:
    """Cheapest first, each with its usual storage class."""
    return prices.compare(body, now())


def known_project_cost(body: CostAsked) -> YearlyCost:
    """Transfer and requests are those of one month."""
    return prices.project(body, now())


def known_estimate_size(body: SizeAsked) -> SizeEstimate:
    """A rule of thumb; exports hold no zeroes."""
    return prices.size(body)


# Configurations.


def known_generate_config(body: ConfigAsked) -> ConfigAnswer:
    """Nothing is written: the files are in the answer."""
    return generating.generate(body)


def known_config_templates() -> ConfigTemplatesAnswer:
    found = generating.templates()
    return ConfigTemplatesAnswer(templates=found, total=len(found))


# Conversions and imports.


def known_workflow_status(services: WithServices, who: Who) -> WorkflowStatus:
    return workflow.status(services, who)


def known_workflow_jobs(
    services: WithServices, who: Who, status: Annotated[str, Query(max_length=40)] = ""
) -> WorkflowJobs:
    """The newest thousand; `status` one of `pending processing completed failed`."""
    if status and status not in workflow.STATES:
        raise InvalidInput(
            f"status: '{status}' is none", hint=f"Say {', '.join(workflow.STATES)}, or nothing."
        )
    return _jobs(services, who, frozenset({status} - {""}))


def known_workflow_active(services: WithServices, who: Who) -> WorkflowJobs:
    return _jobs(services, who, frozenset({"processing"}))


def _jobs(services: Services, who: Principal, states: frozenset[str]) -> WorkflowJobs:
    found = [workflow.job(each) for each in workflow.jobs(services, who, states)]
    return WorkflowJobs(jobs=found, total=len(found))


def known_validate_manifest(services: WithServices, who: Who, body: RawBody) -> ManifestChecked:
    """Rules of the manifest, and that its disks are there. A wrong one is no error here."""
    asked = _manifest(parsed(body))
    try:
        workflow.checked(services, who, asked.manifest)
    except HyperSDKError as error:
        if error.retryable:
            raise
        return ManifestChecked(valid=False, errors=[error.message])
    return ManifestChecked(valid=True, errors=[])


def known_submit_manifest(
    services: WithServices, who: Who, request: Request, body: RawBody
) -> ManifestSubmitted:
    """The manifest alone, or `{"manifest": …, "hypervisor": NAME}`. Its disks are converted, or
    the machine is defined on the hypervisor."""
    asked = _manifest(parsed(body))
    manifest, folder = workflow.checked(services, who, asked.manifest)
    if asked.hypervisor:
        hypervisor = reach.record(services, who, asked.hypervisor).name
        wanted = [workflow.importing(manifest, folder, hypervisor)]
    else:
        wanted = workflow.conversions(manifest, folder)
    planner = Planner(services, who)
    done = services.jobs.submit([planner.job(each) for each in wanted])
    ids = [each.id for each in done]
    note_change(request, f"jobs/{ids[0]}", None, {"jobs": ids})
    path = (folder / manifest.disks[0].local_path).parent
    return ManifestSubmitted(manifest_path=str(path), job_id=ids[0], job_ids=ids)


def _manifest(document: Any) -> ManifestSubmitAsked:
    if isinstance(document, dict) and "manifest" not in document:
        document = {"manifest": document}
    return checked_document(ManifestSubmitAsked, document, "")


# The progress monitor.


def known_progress_tasks(services: WithServices, who: Who) -> TasksProgress:
    found = monitor.tasks(services, who)
    return TasksProgress(tasks=found, total=len(found), timestamp=now())


def known_progress_task(services: WithServices, who: Who, task: str) -> TaskProgress:
    return monitor.task(monitor.one(services, who, task))


async def known_progress_stream(
    services: WithServices, who: Who, request: Request, task: str
) -> Response:
    """The task whenever it changes. The stream ends with it, or after an hour."""
    pools = pools_of(request)
    first = await pools.quick(monitor.one, services, who, task)
    return monitor.stream(services, pools, who, first)


HANDLERS = {
    "known_estimate_cost": known_estimate_cost,
    "known_compare_costs": known_compare_costs,
    "known_project_cost": known_project_cost,
    "known_estimate_size": known_estimate_size,
    "known_generate_config": known_generate_config,
    "known_config_templates": known_config_templates,
    "known_workflow_status": known_workflow_status,
    "known_workflow_jobs": known_workflow_jobs,
    "known_workflow_active": known_workflow_active,
    "known_validate_manifest": known_validate_manifest,
    "known_submit_manifest": known_submit_manifest,
    "known_progress_tasks": known_progress_tasks,
    "known_progress_task": known_progress_task,
    "known_progress_stream": known_progress_stream,
}
