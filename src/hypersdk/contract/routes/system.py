"""The daemon itself."""

from __future__ import annotations

from hypersdk.contract.base import JsonObject
from hypersdk.contract.routing import Route
from hypersdk.contract.system import (
    ReloadedRecord,
    StatusRecord,
    VersionRecord,
    WorkersRecord,
)
from hypersdk.model.accounts import Role

ROUTES: tuple[Route, ...] = (
    Route(
        name="get_status",
        method="GET",
        path="/v1/status",
        role=Role.VIEWER,
        scope="system",
        summary="The daemon at a glance, and who asks",
        answer=StatusRecord,
    ),
    Route(
        name="get_version",
        method="GET",
        path="/v1/version",
        role=None,
        scope="system",
        summary="Its version",
        answer=VersionRecord,
    ),
    Route(
        name="list_workers",
        method="GET",
        path="/v1/workers",
        role=Role.VIEWER,
        scope="system",
        summary="Processes that run jobs",
        answer=WorkersRecord,
    ),
    Route(
        name="reload",
        method="POST",
        path="/v1/reload",
        role=Role.ADMIN,
        scope="system",
        summary="Read the settings again",
        answer=ReloadedRecord,
        action="daemon.reload",
    ),
    Route(
        name="get_metrics",
        method="GET",
        path="/metrics",
        role=Role.VIEWER,
        scope="system",
        summary="Figures for Prometheus",
        media="text/plain",
    ),
    Route(
        name="get_openapi",
        method="GET",
        path="/v1/openapi.json",
        role=None,
        scope="system",
        summary="This interface as OpenAPI",
        answer=JsonObject,
    ),
    Route(
        name="get_docs",
        method="GET",
        path="/v1/docs",
        role=None,
        scope="system",
        summary="This interface, for people",
        media="text/html",
    ),
)
