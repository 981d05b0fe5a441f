"""What routes need to speak with a hypervisor for somebody."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from starlette.requests import HTTPConnection

from hypersdk.api.inventory import inventory_of
from hypersdk.api.services import Services
from hypersdk.drivers.ports import Hypervisor
from hypersdk.model.accounts import Principal
from hypersdk.model.errors import NotSupported
from hypersdk.model.instances import Instance

P = TypeVar("P")


@contextmanager
def opened_for(services: Services, who: Principal, name: str) -> Iterator[Hypervisor]:
    """A hypervisor that the caller may see. Raises NotFound, and what connecting raises."""
    services.hypervisors.get(name, tenant=who.tenant or None)
    with services.connections.using_hypervisor(name) as opened:
        yield opened


def need(part: P | None, hypervisor: Hypervisor, name: str) -> P:
    """Raises NotSupported when the hypervisor has no such part."""
    if part is None:
        raise NotSupported(
            f"{hypervisor.url} has no {name}", hint="Its health says what it can do."
        )
    return part


def found_on(hypervisor: Hypervisor, instance: str) -> Instance:
    """By name or id. Raises InstanceNotFound."""
    return need(hypervisor.inventory, hypervisor, "inventory").instance(instance)


def subject_of(hypervisor: str, instance: str) -> str:
    """For events and the audit log."""
    return f"hypervisors/{hypervisor}/instances/{instance}"


def changed(
    services: Services,
    who: Principal,
    connection: HTTPConnection,
    hypervisor: str,
    instance: str,
    word: str,
) -> None:
    """Tell that an instance was ``started``, and have the next list asked for anew."""
    inventory_of(connection).forget(hypervisor)
    services.events.tell(f"vm.{word}", subject_of(hypervisor, instance), who.tenant, by=who.user)
