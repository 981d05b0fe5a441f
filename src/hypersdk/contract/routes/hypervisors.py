"""Hypervisors that the daemon knows."""

from __future__ import annotations

from hypersdk.contract.base import Page
from hypersdk.contract.estate import (
    HealthRecord,
    HypervisorChange,
    HypervisorUrl,
    KnownHypervisor,
    NewHypervisor,
)
from hypersdk.contract.routing import Route
from hypersdk.model.accounts import Role

ROUTES: tuple[Route, ...] = (
    Route(
        name="list_hypervisors",
        method="GET",
        path="/v1/hypervisors",
        role=Role.VIEWER,
        scope="hypervisors",
        summary="List hypervisors, by name",
        answer=Page[KnownHypervisor],
    ),
    Route(
        name="create_hypervisor",
        method="POST",
        path="/v1/hypervisors",
        role=Role.ADMIN,
        scope="hypervisors",
        summary="Have a hypervisor known by a name",
        body=NewHypervisor,
        answer=KnownHypervisor,
        status=201,
        also=(409,),
        action="hypervisor.create",
    ),
    Route(
        name="test_hypervisor",
        method="POST",
        path="/v1/hypervisors/test",
        role=Role.ADMIN,
        scope="hypervisors",
        summary="Try to reach a hypervisor by its URL; nothing is kept",
        body=HypervisorUrl,
        answer=HealthRecord,
        action="hypervisor.test",
    ),
    Route(
        name="get_hypervisor",
        method="GET",
        path="/v1/hypervisors/{name}",
        role=Role.VIEWER,
        scope="hypervisors",
        summary="A hypervisor",
        answer=KnownHypervisor,
        also=(304,),
    ),
    Route(
        name="replace_hypervisor",
        method="PUT",
        path="/v1/hypervisors/{name}",
        role=Role.ADMIN,
        scope="hypervisors",
        summary="Change a hypervisor as a whole",
        body=HypervisorChange,
        answer=KnownHypervisor,
        also=(409, 412),
        action="hypervisor.update",
    ),
    Route(
        name="delete_hypervisor",
        method="DELETE",
        path="/v1/hypervisors/{name}",
        role=Role.ADMIN,
        scope="hypervisors",
        summary="Forget a hypervisor; what runs on it is not touched",
        status=204,
        also=(409, 412),
        action="hypervisor.delete",
    ),
    Route(
        name="hypervisor_health",
        method="GET",
        path="/v1/hypervisors/{name}/health",
        role=Role.VIEWER,
        scope="hypervisors",
        summary="Whether it answers, what it can do, and its room",
        answer=HealthRecord,
    ),
)
