"""The daemon itself."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import HTMLResponse, Response

from hypersdk.api import openapi
from hypersdk.api.counting import counted
from hypersdk.api.metrics import Metrics
from hypersdk.api.security import note_change
from hypersdk.api.services import Who, WithServices
from hypersdk.contract.system import (
    ReloadedRecord,
    StatusRecord,
    VersionRecord,
    WorkerRecord,
    WorkersRecord,
)
from hypersdk.jobs.workforce import workforce
from hypersdk.model.errors import NotAllowed

#: The page has no scripts, and loads nothing.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"


async def get_status(services: WithServices, who: Who, request: Request) -> StatusRecord:
    """Counts are a second old at most."""
    counts = await counted(services, who, request)
    now = services.database.now()
    return StatusRecord.model_construct(
        version=openapi.version(),
        started=services.started,
        uptime=(now - services.started).total_seconds(),
        jobs={state.value: number for state, number in counts.items()},
        user=who.user,
        role=who.role.value,
        tenant=who.tenant,
        time=now,
    )


async def get_version() -> VersionRecord:
    """Needs no credentials."""
    return VersionRecord(version=openapi.version())


def list_workers(services: WithServices, who: Who) -> WorkersRecord:
    """Also those that were stopped, for a while."""
    if who.tenant:
        raise _not_of_tenants("workers")
    found = workforce(services.database)
    return WorkersRecord(items=[WorkerRecord.model_validate(each) for each in found])


def reload(services: WithServices, who: Who, request: Request) -> ReloadedRecord:
    """As SIGHUP does: what needs a restart is refused."""
    if who.tenant:
        raise _not_of_tenants("settings")
    changed = services.reload()
    note_change(request, "daemon", None, {"changed": list(changed)})
    return ReloadedRecord(changed=list(changed))


def get_metrics(who: Who, request: Request) -> Response:
    """In Prometheus' text format; docs/api.md has their names."""
    if who.tenant:
        raise _not_of_tenants("figures")
    metrics = request.app.state.metrics
    assert isinstance(metrics, Metrics)
    return Response(metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")


async def get_openapi(request: Request) -> Response:
    """OpenAPI 3.1."""
    return Response(openapi.as_json(request.app), media_type="application/json")


async def get_docs(request: Request) -> Response:
    """A page without scripts, and without anything of other hosts."""
    headers = {"Content-Security-Policy": _POLICY}
    return HTMLResponse(openapi.page(request.app.openapi()), headers=headers)


def _not_of_tenants(what: str) -> NotAllowed:
    return NotAllowed(
        f"{what} of the daemon are not for tenants", hint="Ask with a token of no tenant."
    )


HANDLERS = {
    "get_status": get_status,
    "get_version": get_version,
    "list_workers": list_workers,
    "reload": reload,
    "get_metrics": get_metrics,
    "get_openapi": get_openapi,
    "get_docs": get_docs,
}
