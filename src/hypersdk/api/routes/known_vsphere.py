"""vSphere as it was known before ``/v1``."""

from __future__ import annotations

import contextvars
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import Query, Request, WebSocket
from pydantic import AwareDatetime

from hypersdk.api.known import beyond, reach, vcenters
from hypersdk.api.known.power import note, room_for, stepped
from hypersdk.api.known.reach import Reached, Which
from hypersdk.api.known.sockets import refusing
from hypersdk.api.known.spelling import nanoseconds, now, seconds_of, told
from hypersdk.api.known.vcenterpast import PastEvents, past_tasks
from hypersdk.api.known.vcenterstreams import Newer, stream
from hypersdk.api.pools import pools_of
from hypersdk.api.security import note_change
from hypersdk.api.services import Who, WithServices
from hypersdk.contract.known.base import Told
from hypersdk.contract.known.vsphere import (
    BulkCloneAnswer,
    BulkCloneAsked,
    ChangePoolAsked,
    CloneAnswer,
    CloneDone,
    CloneSpec,
    CloneSpecAsked,
    ClustersAnswer,
    DatacentersAnswer,
    EventsAnswer,
    History,
    HostsAnswer,
    MetricsAnswer,
    NewPoolAsked,
    ResourcePoolsAnswer,
    TasksAnswer,
    TemplateAnswer,
    TemplateAsked,
    VcenterAnswer,
)
from hypersdk.drivers.ports import Lifecycle
from hypersdk.model.errors import HyperSDKError, InvalidInput, NotSupported
from hypersdk.model.management import CloneWish

_Pattern = Annotated[str, Query(max_length=255, description="`esx*`; empty: all")]
_Kind = Annotated[Literal["vm", "host", "cluster"], Query(alias="type")]
_Entity = Annotated[str, Query(min_length=1, max_length=255)]
_Moment = Annotated[AwareDatetime | None, Query(description="RFC 3339")]
_Words = Annotated[str, Query(max_length=2000, description="Separated by commas; empty: all")]
#: How far back events and tasks go where nobody says.
_HOUR = timedelta(hours=1)
#: Seconds between looks: vSphere's own samples are of 20 s, and events and tasks come at once.
_SAMPLES, _LOOK = 20.0, 2.0
_SHORTEST = 1.0


def known_vsphere_hosts(
    services: WithServices, who: Who, pattern: _Pattern = "", hypervisor: Which = ""
) -> HostsAnswer:
    """By path. The pattern is one of names or paths."""
    with reach.vsphere(services, who, hypervisor) as here:
        found = [
            vcenters.host(each)
            for each in beyond.overview(here.hypervisor).hosts()
            if vcenters.fits(pattern, each.name, each.path)
        ]
    return HostsAnswer(hosts=found, total=len(found), timestamp=now())


def known_vsphere_clusters(
    services: WithServices, who: Who, pattern: _Pattern = "", hypervisor: Which = ""
) -> ClustersAnswer:
    with reach.vsphere(services, who, hypervisor) as here:
        found = [
            vcenters.cluster(each)
            for each in beyond.overview(here.hypervisor).clusters()
            if vcenters.fits(pattern, each.name, each.path)
        ]
    return ClustersAnswer(clusters=found, total=len(found), timestamp=now())


def known_vsphere_datacenters(
    services: WithServices, who: Who, hypervisor: Which = ""
) -> DatacentersAnswer:
    with reach.vsphere(services, who, hypervisor) as here:
        found = [
            vcenters.datacenter(each) for each in beyond.overview(here.hypervisor).datacenters()
        ]
    return DatacentersAnswer(datacenters=found, total=len(found), timestamp=now())


def known_vsphere_vcenter(
    services: WithServices, who: Who, hypervisor: Which = ""
) -> VcenterAnswer:
    with reach.vsphere(services, who, hypervisor) as here:
        found = beyond.overview(here.hypervisor).server()
    return VcenterAnswer(info=vcenters.server(found), timestamp=now())


def known_vsphere_metrics(
    services: WithServices,
    who: Who,
    entity: _Entity,
    kind: _Kind = "vm",
    realtime: bool = False,
    interval: Literal["realtime", "5min", "30min", "2hour"] = "5min",
    start: _Moment = None,
    end: _Moment = None,
    hypervisor: Which = "",
) -> MetricsAnswer:
    """With `realtime` the newest sample, else those from `start` (an hour ago) to `end` (now)."""
    with reach.vsphere(services, who, hypervisor) as here:
        consumption = beyond.consumption(here.hypervisor)
        if realtime:
            current = vcenters.sample(consumption.current(kind, entity))
            return MetricsAnswer(realtime=True, current=current)
        last = end or datetime.now(UTC)
        first = start or last - _HOUR
        found = consumption.history(kind, entity, interval, first, last)
    history = History(
        entity_name=entity,
        interval=interval,
        start_time=first,
        end_time=last,
        samples=[vcenters.sample(each) for each in found],
    )
    return MetricsAnswer(realtime=False, history=history)


# Resource pools.


def known_vsphere_pools(
    services: WithServices, who: Who, pattern: _Pattern = "", hypervisor: Which = ""
) -> ResourcePoolsAnswer:
    with reach.vsphere(services, who, hypervisor) as here:
        found = [
            vcenters.pool(each)
            for each in beyond.pools(here.hypervisor).pools()
            if vcenters.fits(pattern, each.name, each.path)
        ]
    return ResourcePoolsAnswer(pools=found, total=len(found), timestamp=now())


def known_vsphere_create_pool(
    services: WithServices, who: Who, request: Request, body: NewPoolAsked, hypervisor: Which = ""
) -> Told:
    config = body.config
    if not config.name:
        raise InvalidInput("config.name: a pool needs a name", hint="Give one.")
    processors, ram = vcenters.shares(config)
    with reach.vsphere(services, who, hypervisor) as here:
        made = beyond.pools(here.hypervisor).create(
            config.name, config.parent_path, processors=processors, ram=ram
        )
        _note_pool(request, here, made.path, "created")
    return Told(message=f"Resource pool {made.name} created successfully", timestamp=now())


def known_vsphere_update_pool(
    services: WithServices,
    who: Who,
    request: Request,
    name: str,
    body: ChangePoolAsked,
    hypervisor: Which = "",
) -> Told:
    """What is left out stays. Another `config.name` renames it."""
    config = body.config
    if config.parent_path:
        raise NotSupported(
            "config.parent_path: a pool cannot be moved", hint="Make another one there."
        )
    processors, ram = vcenters.shares(config)
    rename = "" if config.name == name.rpartition("/")[2] else config.name
    with reach.vsphere(services, who, hypervisor) as here:
        made = beyond.pools(here.hypervisor).change(
            name, processors=processors, ram=ram, rename=rename
        )
        _note_pool(request, here, made.path, "changed")
    return Told(message=f"Resource pool {made.name} updated successfully", timestamp=now())


def known_vsphere_delete_pool(
    services: WithServices, who: Who, request: Request, name: str, hypervisor: Which = ""
) -> Told:
    with reach.vsphere(services, who, hypervisor) as here:
        beyond.pools(here.hypervisor).delete(name)
        _note_pool(request, here, name, "deleted")
    return Told(message=f"Resource pool {name} deleted successfully", timestamp=now())


def _note_pool(request: Request, here: Reached, name: str, word: str) -> None:
    note_change(request, f"hypervisors/{here.name}/pools/{name}", None, {"pool": word})


# What happened.


def known_vsphere_events(
    services: WithServices,
    who: Who,
    since: _Moment = None,
    types: _Words = "",
    entity_types: _Words = "",
    hypervisor: Which = "",
) -> EventsAnswer:
    """The newest thousand since then (an hour ago)."""
    with reach.vsphere(services, who, hypervisor) as here:
        found = beyond.past_events(here.hypervisor).since(
            since or datetime.now(UTC) - _HOUR,
            kinds=_words(types),
            subjects=_words(entity_types),
        )
    events = [vcenters.event(each) for each in found]
    return EventsAnswer(events=events, total=len(events), timestamp=now())


def known_vsphere_tasks(
    services: WithServices, who: Who, since: _Moment = None, hypervisor: Which = ""
) -> TasksAnswer:
    """Newest first: those that were queued since then (an hour ago), and those that run."""
    first = since or datetime.now(UTC) - _HOUR
    with reach.vsphere(services, who, hypervisor) as here:
        found = [vcenters.task(each) for each in past_tasks(here, first)]
    return TasksAnswer(tasks=found, total=len(found), timestamp=now())


def _words(text: str) -> frozenset[str]:
    return frozenset(word.strip() for word in text.split(",") if word.strip())


# Clones.


def known_vsphere_clone(
    services: WithServices, who: Who, request: Request, body: CloneSpecAsked, hypervisor: Which = ""
) -> CloneAnswer:
    """`resource_pool` by name or path. A running machine is cloned from a `snapshot`."""
    room_for(services, who)
    with reach.vsphere(services, who, hypervisor) as here:
        done = _clone(here, body.spec)
        note(services, who, request, here, body.spec.target_name, "cloned")
    return CloneAnswer(result=done, timestamp=now())


def known_vsphere_clone_bulk(
    services: WithServices, who: Who, request: Request, body: BulkCloneAsked, hypervisor: Which = ""
) -> BulkCloneAnswer:
    """Each has its own result. With `stop_on_error` no clone begins after one has failed."""
    began = time.monotonic()
    room_for(services, who, len(body.specs))
    with reach.vsphere(services, who, hypervisor) as here:
        results = _clones(here, body)
        done = [each.target_name for each in results if each.success]
        for name in done:
            note(services, who, request, here, name, "cloned")
        subject = f"hypervisors/{here.name}/instances"
        note_change(request, subject, None, {"cloned": done[:100]})
    return BulkCloneAnswer(
        results=results,
        success=len(done),
        failed=len(results) - len(done),
        duration=nanoseconds(time.monotonic() - began),
        timestamp=now(),
    )


def known_vsphere_create_template(
    services: WithServices, who: Who, request: Request, body: TemplateAsked, hypervisor: Which = ""
) -> TemplateAnswer:
    """The machine itself; it cannot be started any more."""
    with reach.vsphere(services, who, hypervisor) as here:
        clones = reach.clones(here.hypervisor)

        def mark(_: Lifecycle, id: str) -> None:
            clones.make_template(id)

        found = stepped(services, who, request, here, body.vm_name, mark, "template")
    return TemplateAnswer(
        message=f"VM {found.name} is a template", vm_name=found.name, timestamp=now()
    )


def known_vsphere_deploy_template(
    services: WithServices, who: Who, request: Request, body: CloneSpecAsked, hypervisor: Which = ""
) -> CloneAnswer:
    """As a clone; `source_vm` is the template."""
    return known_vsphere_clone(services, who, request, body, hypervisor)


def _clone(here: Reached, spec: CloneSpec) -> CloneDone:
    if spec.customize_guest or spec.customization:
        raise NotSupported(
            "customization: nothing here changes what is inside a guest",
            hint="Leave it out, and use cloud-init or sysprep in the guest.",
        )
    began = time.monotonic()
    deploying = beyond.deploying(here.hypervisor)
    if deploying is not None:
        path = deploying.clone(
            CloneWish(
                source=spec.source_vm,
                name=spec.target_name,
                folder=spec.target_folder,
                pool=spec.resource_pool,
                datastore=spec.datastore,
                linked=spec.linked_clone,
                snapshot=spec.snapshot,
                start=spec.power_on,
                template=spec.template,
            )
        ).path
    else:
        path = _plain_clone(here, spec)
    return CloneDone(
        source_vm=spec.source_vm,
        target_name=spec.target_name,
        target_path=path,
        task_id="",
        success=True,
        duration=nanoseconds(time.monotonic() - began),
    )


def _plain_clone(here: Reached, spec: CloneSpec) -> str:
    """On hypervisors that place clones themselves."""
    if spec.target_folder or spec.resource_pool or spec.datastore or spec.snapshot:
        raise NotSupported(
            f"{here.hypervisor.url} places clones itself",
            hint="Leave out target_folder, resource_pool, datastore and snapshot.",
        )
    clones = reach.clones(here.hypervisor)
    made = clones.clone(spec.source_vm, spec.target_name, linked=spec.linked_clone)
    if spec.template:
        clones.make_template(made.name)
    if spec.power_on:
        reach.lifecycle(here.hypervisor).start(made.name)
    return f"{made.folder}/{made.name}" if made.folder else made.name


def _clones(here: Reached, body: BulkCloneAsked) -> list[CloneDone]:
    failed = False

    def one(spec: CloneSpec) -> CloneDone:
        nonlocal failed
        if failed and body.stop_on_error:
            return _failed(spec, 0.0, "not begun: another clone failed")
        began = time.monotonic()
        try:
            return _clone(here, spec)
        except HyperSDKError as error:
            failed = True
            return _failed(spec, time.monotonic() - began, told(error))

    with ThreadPoolExecutor(body.max_concurrent or 5, "clone") as pool:
        work = [pool.submit(contextvars.copy_context().run, one, spec) for spec in body.specs]
        return [each.result() for each in work]


def _failed(spec: CloneSpec, seconds: float, why: str) -> CloneDone:
    return CloneDone(
        source_vm=spec.source_vm,
        target_name=spec.target_name,
        target_path="",
        task_id="",
        success=False,
        duration=nanoseconds(seconds),
        error=why,
    )


# Streams.


async def known_vsphere_metrics_stream(
    services: WithServices,
    who: Who,
    socket: WebSocket,
    entity: _Entity,
    kind: _Kind = "vm",
    interval: Annotated[str, Query(max_length=20)] = "20s",
    hypervisor: Which = "",
) -> None:
    """One `metrics` message each `interval`."""

    def look() -> Sequence[dict[str, Any]]:
        with reach.vsphere(services, who, hypervisor) as here:
            found = beyond.consumption(here.hypervisor).current(kind, entity)
        return [vcenters.as_data(vcenters.sample(found))]

    async with refusing(socket):
        every = max(_SHORTEST, seconds_of(interval, "interval"))
        await stream(
            socket, pools_of(socket), "metrics", look, every, partial(services.access.valid, who)
        )


async def known_vsphere_events_stream(
    services: WithServices,
    who: Who,
    socket: WebSocket,
    types: _Words = "",
    entity_types: _Words = "",
    since: _Moment = None,
    hypervisor: Which = "",
) -> None:
    """One `event` message for each that happens, from `since` on (now)."""
    wanted = PastEvents(services, who, hypervisor, _words(types), _words(entity_types), since)
    async with refusing(socket):
        await stream(
            socket,
            pools_of(socket),
            "event",
            wanted.look,
            _LOOK,
            partial(services.access.valid, who),
        )


async def known_vsphere_tasks_stream(
    services: WithServices,
    who: Who,
    socket: WebSocket,
    since: _Moment = None,
    hypervisor: Which = "",
) -> None:
    """One `task` message whenever a task comes, gets on, or ends."""
    first, newer = since or datetime.now(UTC), Newer()

    def look() -> Sequence[dict[str, Any]]:
        with reach.vsphere(services, who, hypervisor) as here:
            found = [vcenters.task(each) for each in reversed(past_tasks(here, first))]
        return newer.of(
            [(each.task_id, (each.state, each.progress), vcenters.as_data(each)) for each in found]
        )

    async with refusing(socket):
        await stream(
            socket, pools_of(socket), "task", look, _LOOK, partial(services.access.valid, who)
        )


HANDLERS = {
    "known_vsphere_hosts": known_vsphere_hosts,
    "known_vsphere_clusters": known_vsphere_clusters,
    "known_vsphere_datacenters": known_vsphere_datacenters,
    "known_vsphere_vcenter": known_vsphere_vcenter,
    "known_vsphere_metrics": known_vsphere_metrics,
    "known_vsphere_pools": known_vsphere_pools,
    "known_vsphere_create_pool": known_vsphere_create_pool,
    "known_vsphere_update_pool": known_vsphere_update_pool,
    "known_vsphere_delete_pool": known_vsphere_delete_pool,
    "known_vsphere_events": known_vsphere_events,
    "known_vsphere_tasks": known_vsphere_tasks,
    "known_vsphere_clone": known_vsphere_clone,
    "known_vsphere_clone_bulk": known_vsphere_clone_bulk,
    "known_vsphere_create_template": known_vsphere_create_template,
    "known_vsphere_deploy_template": known_vsphere_deploy_template,
    "known_vsphere_metrics_stream": known_vsphere_metrics_stream,
    "known_vsphere_events_stream": known_vsphere_events_stream,
    "known_vsphere_tasks_stream": known_vsphere_tasks_stream,
}
