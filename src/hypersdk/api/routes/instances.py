"""Instances, and what can be done with them at once."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request

from hypersdk.accounts.quotas import Quotas
from hypersdk.api.etags import Answered
from hypersdk.api.inventory import inventory_of
from hypersdk.api.paging import Cursor, Limit, part
from hypersdk.api.parts import changed, found_on, need, opened_for, subject_of
from hypersdk.api.records.instances import (
    details_record,
    disk_record,
    instance_record,
    metrics_record,
    spec_of,
)
from hypersdk.api.routes import consoles, power, snapshots
from hypersdk.api.security import note_change
from hypersdk.api.services import Who, WithServices
from hypersdk.contract.instances import (
    DisksRecord,
    InstanceDetailsRecord,
    InstanceRecord,
    InstancesRecord,
    MetricsRecord,
    NewInstanceRecord,
    StateWord,
)
from hypersdk.flows.fleet.inventory import InstanceFilter
from hypersdk.model.errors import InstanceNotFound, InvalidInput
from hypersdk.model.instances import Instance, InstanceState
from hypersdk.observe.redact import redact_text

_Word = Annotated[str, Query(max_length=1024)]
_States = Annotated[list[StateWord], Query()]
_Tags = Annotated[list[str], Query(max_length=100, description="`site` or `site=lab`")]
_Flag = Annotated[bool, Query()]


def list_instances(
    services: WithServices,
    who: Who,
    request: Request,
    hypervisor: _Word = "",
    name: _Word = "",
    state: _States = [],  # noqa: B006 - FastAPI copies it
    tag: _Tags = [],  # noqa: B006
    folder: _Word = "",
    refresh: _Flag = False,
    limit: Limit = 100,
    cursor: Cursor = "",
) -> InstancesRecord:
    """As listed at most 15 seconds ago; `refresh` asks the hypervisors now. `name` is a part of a
    name, id, image or tag, or a pattern (`web-*`)."""
    tenant = who.tenant or None
    if hypervisor:
        wanted = [services.hypervisors.get(hypervisor, tenant=tenant)]
    else:
        wanted = [*services.hypervisors.list(tenant=tenant)]
    listed = inventory_of(request).of(wanted, refresh=refresh)
    if hypervisor and listed[0].error is not None:
        raise listed[0].error
    matching = InstanceFilter(
        states=tuple(InstanceState(word) for word in state),
        tags=dict(_tag(text) for text in tag),
        folder=folder,
        search=name,
    )
    found = [
        (each.hypervisor, instance)
        for each in listed
        for instance in each.instances
        if matching.matches(instance)
    ]
    items, following = part(found, _place, of="instances", limit=limit, after=cursor)
    return InstancesRecord(
        items=[instance_record(place, instance) for place, instance in items],
        next=following,
        age=round(max((each.age for each in listed), default=0.0), 3),
        unreachable={
            each.hypervisor: redact_text(each.error.message) for each in listed if each.error
        },
    )


def create_instance(
    services: WithServices, who: Who, request: Request, hypervisor: str, body: NewInstanceRecord
) -> Answered:
    """With its disks; what was made is removed again when it fails."""
    quotas = Quotas(services.database)
    quotas.check(who.tenant, instances=1)
    with opened_for(services, who, hypervisor) as opened:
        made = need(opened.lifecycle, opened, "lifecycle").create(spec_of(body))
    quotas.grew(who.tenant, instances=1)
    record = instance_record(hypervisor, made)
    changed(services, who, request, hypervisor, made.name, "created")
    note_change(request, subject_of(hypervisor, made.name), None, record.model_dump(mode="json"))
    at = f"/v1/hypervisors/{hypervisor}/instances/{made.name}"
    return Answered(record, None, {"Location": at})


def get_instance(
    services: WithServices, who: Who, hypervisor: str, instance: str
) -> InstanceRecord:
    """By its name or its id."""
    with opened_for(services, who, hypervisor) as opened:
        return instance_record(hypervisor, found_on(opened, instance))


def delete_instance(
    services: WithServices,
    who: Who,
    request: Request,
    hypervisor: str,
    instance: str,
    disks: _Flag = False,
    force: _Flag = False,
) -> None:
    """`disks`: with the disks that only it uses. `force`: cut its power first."""
    with opened_for(services, who, hypervisor) as opened:
        lifecycle = need(opened.lifecycle, opened, "lifecycle")
        before = found_on(opened, instance)
        if force and before.state is not InstanceState.STOPPED:
            lifecycle.stop(before.id, force=True)
        lifecycle.delete(before.id, disks=disks)
    Quotas(services.database).grew(who.tenant, instances=-1)
    changed(services, who, request, hypervisor, before.name, "deleted")
    gone = instance_record(hypervisor, before).model_dump(mode="json")
    note_change(request, subject_of(hypervisor, before.name), gone, None)


def instance_details(
    services: WithServices, who: Who, hypervisor: str, instance: str
) -> InstanceDetailsRecord:
    """Takes longer than the instance alone."""
    with opened_for(services, who, hypervisor) as opened:
        found = need(opened.details, opened, "details").details(instance)
    return details_record(hypervisor, found)


def instance_disks(services: WithServices, who: Who, hypervisor: str, instance: str) -> DisksRecord:
    """With what it cannot boot without: NVRAM, kernel, initrd."""
    with opened_for(services, who, hypervisor) as opened:
        found = found_on(opened, instance)
    return DisksRecord(items=[disk_record(each) for each in found.disks])


def instance_metrics(
    services: WithServices, who: Who, hypervisor: str, instance: str
) -> MetricsRecord:
    """Counters; take the difference of two answers."""
    with opened_for(services, who, hypervisor) as opened:
        metrics = need(opened.metrics, opened, "metrics")
        name = found_on(opened, instance).name
        for each in metrics.metrics([name]):
            if each.name == name:
                return metrics_record(each)
    raise InstanceNotFound(f"no figures of '{instance}'", hint="It may have gone just now.")


def _place(found: tuple[str, Instance]) -> str:
    """Sorts by name, and tells two of one name apart."""
    hypervisor, instance = found
    return f"{instance.name}\n{hypervisor}\n{instance.id}"


def _tag(text: str) -> tuple[str, str | None]:
    name, equals, value = text.partition("=")
    if not name:
        raise InvalidInput("a tag needs a name", hint="Write tag=site or tag=site=lab.")
    return name, value if equals else None


HANDLERS = {
    "list_instances": list_instances,
    "create_instance": create_instance,
    "get_instance": get_instance,
    "delete_instance": delete_instance,
    "instance_details": instance_details,
    "instance_disks": instance_disks,
    "instance_metrics": instance_metrics,
    **power.HANDLERS,
    **snapshots.HANDLERS,
    **consoles.HANDLERS,
}
