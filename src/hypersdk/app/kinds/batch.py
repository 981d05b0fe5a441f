"""Jobs that are many jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from hypersdk.app.kinds.requests import answer, asked, refuse, same
from hypersdk.app.kinds.site import Site, inventory_of
from hypersdk.contract.kinds import BatchRequest, BatchResult
from hypersdk.flows.exporting.layout import safe_name
from hypersdk.jobs.kinds import Kind, Plan, Run
from hypersdk.model.errors import InstanceNotFound, InvalidInput, PartialFailure
from hypersdk.model.instances import Instance
from hypersdk.model.jobs import Job, JobState, NewJob

#: Instances of one batch.
MOST = 10_000
#: Operations that are kinds of their own; the others are steps of life.
_KINDS = ("backup", "export", "snapshot")
#: Stands for an instance while only the options are looked at.
_SOME = "some-instance"


class Batch:
    """One job for each instance, whose id is made of the batch's and a number: a run that is
    continued finds them, and none is made twice. It waits for them without taking a slot of its
    worker; cancelling it cancels them."""

    name = "batch"
    summary = "Do the same to many instances, a job for each."
    waits = True

    def __init__(self, site: Site, kinds: Mapping[str, Kind]) -> None:
        self._site = site
        self._kinds = kinds

    def plan(self, request: Mapping[str, Any]) -> Plan:
        """See the port. A batch holds nothing of budgets: its jobs do, and would wait for it."""
        wanted = asked(BatchRequest, request)
        _check(wanted)
        each = self._kind(wanted).plan(_request(wanted, _SOME, _SOME))
        return Plan(
            name=f"{wanted.operation} of {_many(wanted)}",
            queue=each.queue,
            dedup=same(self.name, wanted),
            stores=each.stores,
            uses=each.uses,
        )

    def work(self, request: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
        """See the port. Raises PartialFailure when all of them failed."""
        wanted = asked(BatchRequest, request)
        _check(wanted)
        run.phase("selecting", wanted.hypervisor)
        names: list[str] = run.step("select", lambda: self._selected(wanted, run))
        run.log(f"{wanted.operation} of {len(names)} instances")
        run.phase("waiting", f"{len(names)} jobs")
        new = self._jobs(wanted, run, names)
        ended = run.children(new, stop_on_error=wanted.stop_on_error)
        # By their ids: one that was deleted meanwhile is missing.
        named = {each.id: name for each, name in zip(new, names, strict=True)}
        jobs = {named[job.id]: job for job in ended}
        result = _result(jobs)
        if jobs and not result.completed and result.failed:
            raise PartialFailure(
                f"all {result.failed} jobs of the batch failed; the first: "
                f"{next(iter(result.errors.values()), 'cancelled')}",
                {},
                hint=f"See each: hyperctl query -parent {run.job.id}",
            )
        return answer(result)

    def _kind(self, wanted: BatchRequest) -> Kind:
        return self._kinds[wanted.operation if wanted.operation in _KINDS else "lifecycle"]

    def _selected(self, wanted: BatchRequest, run: Run) -> list[str]:
        """Raises InstanceNotFound when a name is not there, or nothing fits."""
        with self._site.hypervisor(run, wanted.hypervisor) as hypervisor:
            there = list(inventory_of(hypervisor).instances())
        known = {each.name for each in there} | {each.id for each in there}
        missing = [name for name in wanted.instances if name not in known]
        if missing:
            raise InstanceNotFound(
                f"{wanted.hypervisor} has no instance {', '.join(missing[:5])}",
                hint="Nothing was begun. Correct the names, or leave them out.",
            )
        chosen = wanted.instances or [each.name for each in there if _fits(each, wanted)]
        if not chosen:
            raise InstanceNotFound(
                f"no instance of {wanted.hypervisor} fits", hint="Widen the pattern."
            )
        if len(chosen) > MOST:
            raise InvalidInput(
                f"{len(chosen)} instances are too many for one batch",
                hint=f"Choose {MOST} at most.",
            )
        return list(dict.fromkeys(chosen))

    def _jobs(self, wanted: BatchRequest, run: Run, names: Sequence[str]) -> list[NewJob]:
        kind, job, folders = self._kind(wanted), run.job, _distinct(names)
        made = []
        for number, (name, folder) in enumerate(zip(names, folders, strict=True), 1):
            request = _request(wanted, name, folder)
            plan = kind.plan(request)
            made.append(
                NewJob(
                    id=f"{job.id}-{number}",
                    kind=kind.name,
                    request=request,
                    name=plan.name,
                    tenant=job.tenant,
                    owner=job.owner,
                    queue=plan.queue,
                    priority=job.priority,
                    resources=(*plan.resources, *_tenancy(job)),
                    retry=job.retry,
                    parent=job.id,
                    tags=job.tags,
                )
            )
        return made


def _tenancy(job: Job) -> tuple[str, ...]:
    """The quota of jobs at once. The batch itself does not count: its jobs would wait for it."""
    return (f"tenant:{job.tenant}",) if job.tenant else ()


def _request(wanted: BatchRequest, instance: str, folder: str) -> dict[str, Any]:
    """Of the job for one instance."""
    request = {**wanted.options, "hypervisor": wanted.hypervisor, "instance": instance}
    if wanted.operation == "export" and isinstance(request.get("output"), str):
        request["output"] = f"{request['output'].rstrip('/')}/{folder}"
    if wanted.operation not in _KINDS:
        request["operation"] = wanted.operation
    return request


def _distinct(names: Sequence[str]) -> list[str]:
    """A folder for each, also where file systems do not tell upper from lower case."""
    taken: set[str] = set()
    folders = []
    for name in names:
        folder, number = safe_name(name), 1
        while folder.casefold() in taken:
            number += 1
            folder = f"{safe_name(name)}-{number}"
        taken.add(folder.casefold())
        folders.append(folder)
    return folders


def _fits(instance: Instance, wanted: BatchRequest) -> bool:
    if wanted.match and not fnmatchcase(instance.name, wanted.match):
        return False
    if wanted.states and instance.state.value not in wanted.states:
        return False
    return all(
        name in instance.tags and value in ("", instance.tags[name])
        for name, value in wanted.tags.items()
    )


def _result(jobs: Mapping[str, Job]) -> BatchResult:
    states = [job.state for job in jobs.values()]
    return BatchResult(
        total=len(jobs),
        completed=states.count(JobState.COMPLETED),
        failed=states.count(JobState.FAILED),
        cancelled=states.count(JobState.CANCELLED),
        jobs={name: job.id for name, job in jobs.items()},
        errors={name: job.error.message for name, job in jobs.items() if job.error is not None},
    )


def _many(wanted: BatchRequest) -> str:
    if wanted.instances:
        return f"{len(wanted.instances)} instances"
    return wanted.match or f"instances of {wanted.hypervisor}"


def _check(wanted: BatchRequest) -> None:
    """Raises InvalidInput for what does not go together."""
    chosen = bool(wanted.match or wanted.states or wanted.tags)
    refuse(
        bool(wanted.instances) == chosen,
        "a batch is of request.instances, or of what request.match, states and tags choose",
        'Name instances, or a pattern: {"match": "web-*"}; all are {"match": "*"}.',
    )
    fixed = sorted({"hypervisor", "instance", "operation"} & set(wanted.options))
    refuse(
        fixed,
        f"request.options.{', '.join(fixed)}: is set for each instance by the batch",
        "Leave it out of the options.",
    )
    refuse(
        len(wanted.instances) > MOST,
        f"{len(wanted.instances)} instances are too many for one batch",
        f"Choose {MOST} at most.",
    )
