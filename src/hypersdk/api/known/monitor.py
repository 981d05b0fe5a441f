"""The progress monitor: jobs as tasks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from functools import partial

from starlette.responses import StreamingResponse

from hypersdk.api.known import shown
from hypersdk.api.pools import Pools
from hypersdk.api.services import Services
from hypersdk.api.streams import Welcome
from hypersdk.contract.known.workflow import TaskProgress
from hypersdk.model.accounts import Principal
from hypersdk.model.errors import DatabaseError, NotFound
from hypersdk.model.jobs import Job, JobFilter, JobState

#: Seconds between looks at a task, and between signs of life.
_LOOK, _ALIVE = 0.5, 15.0
#: Seconds after which a stream ends and its caller begins a new one.
_STREAM = 3600.0
#: Tasks that are listed, and of those that ended.
_TASKS, _ENDED = 1000, 100
#: What a running job of a kind does.
_DOING: Mapping[str, str] = {"export": "exporting", "convert": "converting", "import": "converting"}


def tasks(services: Services, who: Principal) -> list[TaskProgress]:
    """Those that run or wait, then the newest that ended."""
    tenant = who.tenant or None
    active = frozenset(state for state in JobState if not state.ended)
    ended = frozenset(state for state in JobState if state.ended)
    found = services.jobs.list(JobFilter(states=active, tenant=tenant), limit=_TASKS).jobs
    found += services.jobs.list(JobFilter(states=ended, tenant=tenant), limit=_ENDED).jobs
    return [task(each) for each in found]


def one(services: Services, who: Principal, id: str) -> Job:
    """Raises NotFound."""
    return services.jobs.get(id, tenant=who.tenant or None)


def task(found: Job) -> TaskProgress:
    seen = found.progress
    error = found.error
    message = error.message if error else f"{seen.phase} {seen.subject}".strip()
    return TaskProgress(
        task_id=found.id,
        name=found.name,
        status=_status(found),
        progress=shown.percent(found),
        message=message,
        started_at=found.started,
        updated_at=found.updated,
        completed_at=found.ended,
        error=error.message if error else None,
    )


def _status(found: Job) -> str:
    if found.state is JobState.COMPLETED:
        return "completed"
    if found.state.ended:
        return "failed"
    if found.state is not JobState.RUNNING:
        return "pending"
    if found.progress.phase == "uploading":
        return "uploading"
    return _DOING.get(found.kind, "exporting")


def stream(services: Services, pools: Pools, who: Principal, first: Job) -> StreamingResponse:
    """Server-sent events: the task whenever it changes, until it has ended."""
    return StreamingResponse(
        _events(services, pools, who, first),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _events(
    services: Services, pools: Pools, who: Principal, found: Job
) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    until, alive, told = loop.time() + _STREAM, loop.time(), -1
    welcome = Welcome(pools, partial(services.access.valid, who))
    while True:
        if found.revision != told:
            told, alive = found.revision, loop.time()
            yield b"data: " + task(found).model_dump_json().encode() + b"\n\n"
        elif loop.time() - alive >= _ALIVE:
            alive = loop.time()
            yield b": alive\n\n"
        if found.state.ended or loop.time() > until or await welcome.over():
            return
        await asyncio.sleep(_LOOK)
        try:
            found = await pools.quick(one, services, who, found.id)
        except NotFound:
            return  # it was deleted
        except DatabaseError:
            continue  # it comes back; its clients wait
