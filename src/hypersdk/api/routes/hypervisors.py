"""Hypervisors that the daemon knows."""

from __future__ import annotations

import time
from typing import Any

from fastapi import Request

from hypersdk.api.etags import Answered, IfMatch, tagged
from hypersdk.api.inventory import inventory_of
from hypersdk.api.paging import Cursor, Limit, part
from hypersdk.api.records.estate import (
    breaker_record,
    budget_of,
    capability_record,
    host_record,
    hypervisor_record,
)
from hypersdk.api.security import note_change
from hypersdk.api.services import Services, Who, WithServices
from hypersdk.contract.base import Page
from hypersdk.contract.estate import (
    HealthRecord,
    HypervisorChange,
    HypervisorUrl,
    KnownHypervisor,
    NewHypervisor,
)
from hypersdk.drivers.ports import Hypervisor, capabilities
from hypersdk.drivers.registry import refuse_secrets
from hypersdk.drivers.wrappers.guarded import connect_guarded
from hypersdk.flows.fleet.members import failure
from hypersdk.model.accounts import Principal
from hypersdk.model.errors import NotAllowed
from hypersdk.model.estate import HypervisorRecord
from hypersdk.model.hosts import HostInfo
from hypersdk.observe.redact import redact_text


def list_hypervisors(
    services: WithServices, who: Who, limit: Limit = 50, cursor: Cursor = ""
) -> Page[KnownHypervisor]:
    """Whether they answer, see their health."""
    found = services.hypervisors.list(tenant=who.tenant or None)
    items, following = part(
        found, lambda each: each.name, of="hypervisors", limit=limit, after=cursor
    )
    return Page[KnownHypervisor](items=[hypervisor_record(each) for each in items], next=following)


def create_hypervisor(
    services: WithServices, who: Who, request: Request, body: NewHypervisor
) -> Answered:
    """It is not asked anything yet: see its health."""
    made = services.hypervisors.create(
        body.name, tenant=who.tenant, trusted=not who.tenant, **_fields(body)
    )
    note_change(request, f"hypervisors/{made.name}", None, _seen(made))
    return tagged(hypervisor_record(made), made.revision, at=f"/v1/hypervisors/{made.name}")


def test_hypervisor(who: Who, body: HypervisorUrl) -> HealthRecord:
    """Connects, asks, and closes again."""
    if who.tenant:
        raise NotAllowed(
            "only an administrator of the daemon itself may try any URL",
            hint="Have it known by a name, and look at its health.",
        )
    refuse_secrets(body.url)
    try:
        hypervisor = connect_guarded(body.url)
        try:
            return _health("", body.url, hypervisor)
        finally:
            hypervisor.close()
    except Exception as error:  # noqa: BLE001 - it is the answer
        return _unhealthy("", body.url, error)


def get_hypervisor(services: WithServices, who: Who, name: str) -> Answered:
    """As it was defined."""
    found = _hypervisor(services, who, name)
    return tagged(hypervisor_record(found), found.revision)


def replace_hypervisor(
    services: WithServices,
    who: Who,
    request: Request,
    name: str,
    body: HypervisorChange,
    seen: IfMatch,
) -> Answered:
    """What is left out becomes what it is by default. Running jobs go on with what it was."""
    before = _hypervisor(services, who, name)
    after = services.hypervisors.change(
        name, revision=seen, trusted=not who.tenant, **_fields(body)
    )
    note_change(request, f"hypervisors/{name}", _seen(before), _seen(after))
    return tagged(hypervisor_record(after), after.revision)


def delete_hypervisor(
    services: WithServices, who: Who, request: Request, name: str, seen: IfMatch
) -> None:
    """Refused while jobs use it."""
    before = _hypervisor(services, who, name)
    services.hypervisors.delete(name, revision=seen)
    inventory_of(request).forget(name)
    note_change(request, f"hypervisors/{name}", _seen(before), None)


def hypervisor_health(services: WithServices, who: Who, name: str) -> HealthRecord:
    """Asked now. One that does not answer is an answer, not an error."""
    found = _hypervisor(services, who, name)
    try:
        with services.connections.using_hypervisor(name) as hypervisor:
            record = _health(name, found.url, hypervisor)
    except Exception as error:  # noqa: BLE001 - it is the answer
        record = _unhealthy(name, found.url, error)
    breaker = breaker_record(services.connections.breaker(name))
    return record.model_copy(update={"breaker": breaker})


def _hypervisor(services: Services, who: Principal, name: str) -> HypervisorRecord:
    return services.hypervisors.get(name, tenant=who.tenant or None)


def _fields(body: HypervisorChange) -> dict[str, Any]:
    return {
        "url": body.url,
        "description": body.description,
        "queue": body.queue,
        "budget": budget_of(body.budget),
        "host_budget": budget_of(body.host_budget),
        "datastore_budget": budget_of(body.datastore_budget),
        "tags": body.tags,
    }


def _seen(found: HypervisorRecord) -> dict[str, object]:
    """For the audit log."""
    return hypervisor_record(found).model_dump(mode="json", include=set(NewHypervisor.model_fields))


def _health(name: str, url: str, hypervisor: Hypervisor) -> HealthRecord:
    began = time.perf_counter()
    host = _host(hypervisor)
    return HealthRecord(
        hypervisor=name,
        url=redact_text(url),
        reachable=True,
        latency=time.perf_counter() - began,
        host=None if host is None else host_record(host),
        capabilities=[capability_record(each) for each in capabilities(hypervisor)],
    )


def _host(hypervisor: Hypervisor) -> HostInfo | None:
    """The cheapest question that only a living hypervisor answers."""
    if hypervisor.host is not None:
        return hypervisor.host.info()
    if hypervisor.inventory is not None:
        next(iter(hypervisor.inventory.instances()), None)
    return None


def _unhealthy(name: str, url: str, raised: Exception) -> HealthRecord:
    error = failure(raised)
    return HealthRecord(
        hypervisor=name,
        url=redact_text(url),
        reachable=False,
        error=redact_text(error.message),
        hint=redact_text(error.hint),
    )


HANDLERS = {
    "list_hypervisors": list_hypervisors,
    "create_hypervisor": create_hypervisor,
    "test_hypervisor": test_hypervisor,
    "get_hypervisor": get_hypervisor,
    "replace_hypervisor": replace_hypervisor,
    "delete_hypervisor": delete_hypervisor,
    "hypervisor_health": hypervisor_health,
}
