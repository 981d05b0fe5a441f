"""Which hypervisor and which repository a request is about, and the part of it that it needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, TypeVar
from urllib.parse import urlsplit

from fastapi import Query

from hypersdk.api.parts import need
from hypersdk.api.services import Services
from hypersdk.drivers.ports import (
    Clones,
    Console,
    Hotplug,
    Hypervisor,
    Inventory,
    Lifecycle,
    Metrics,
    Networks,
    Snapshots,
    Storage,
)
from hypersdk.model.accounts import Principal
from hypersdk.model.errors import InvalidInput, NotFound
from hypersdk.model.estate import HypervisorRecord, RepositoryRecord

T = TypeVar("T")
R = TypeVar("R", HypervisorRecord, RepositoryRecord)

#: One of several that is used when nobody says which.
DEFAULT = "default"

#: Parameters of handlers.
Which = Annotated[
    str, Query(alias="hypervisor", max_length=128, description="Name; empty: the default one")
]
InstanceName = Annotated[str, Query(alias="name", min_length=1, max_length=255)]


def record(services: Services, who: Principal, name: str, scheme: str = "") -> HypervisorRecord:
    """The hypervisor of this name; without a name the one called ``default``, else the only one
    (of a ``scheme``: ``libvirt``, ``vsphere``).

    Raises NotFound, InvalidInput when there are several.
    """
    if name:
        return services.hypervisors.get(name, tenant=who.tenant or None)
    known = services.hypervisors.list(tenant=who.tenant or None)
    fitting = [each for each in known if not scheme or scheme_of(each.url) == scheme]
    word = f"{scheme} hypervisor" if scheme else "hypervisor"
    return _only(fitting, word, "?hypervisor=NAME", "hyperctl hypervisor add")


def repository(services: Services, who: Principal, name: str = "") -> RepositoryRecord:
    """As `record`."""
    if name:
        return services.repositories.get(name, tenant=who.tenant or None)
    known = services.repositories.list(tenant=who.tenant or None)
    return _only(known, "repository", "?repository=NAME", "hyperctl repo add")


def _only(known: Sequence[R], word: str, how: str, adding: str) -> R:
    for each in known:
        if each.name == DEFAULT or len(known) == 1:
            return each
    if not known:
        raise NotFound(f"the daemon knows no {word}", hint=f"Add one: {adding}")
    names = ", ".join(each.name for each in known)
    raise InvalidInput(
        f"the daemon knows several, and none of them is called '{DEFAULT}': {names}",
        hint=f"Say which {word}: {how}",
    )


@dataclass(frozen=True, slots=True)
class Reached:
    """A hypervisor that is open, and its name here."""

    name: str
    hypervisor: Hypervisor


@contextmanager
def opened(services: Services, who: Principal, name: str, scheme: str = "") -> Iterator[Reached]:
    """Connected, and open until the block is left. Raises NotFound, InvalidInput, and what
    connecting raises."""
    found = record(services, who, name, scheme)
    with services.connections.using_hypervisor(found.name) as hypervisor:
        yield Reached(found.name, hypervisor)


def libvirt(services: Services, who: Principal, name: str) -> AbstractContextManager[Reached]:
    """That of a ``/libvirt`` route: any that is named, else the default one of libvirt."""
    return opened(services, who, name, "libvirt")


def vsphere(services: Services, who: Principal, name: str) -> AbstractContextManager[Reached]:
    """That of a ``/vsphere`` route."""
    return opened(services, who, name, "vsphere")


def scheme_of(url: str) -> str:
    """``libvirt`` of ``libvirt+qemu:///system``."""
    return urlsplit(url).scheme.partition("+")[0]


def matching(services: Services, who: Principal, server: str, name: str = "") -> HypervisorRecord:
    """The hypervisor whose URL leads to ``server``: ``vc.example.org``, with a port, or as a URL.
    Raises NotFound with the nearest, InvalidInput for several."""
    host, port = _place(server)
    known = services.hypervisors.list(tenant=who.tenant or None)
    found = [each for each in known if _leads(each.url, host, port)]
    if name:
        found = [each for each in found if each.name == name]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(each.name for each in found)
        raise InvalidInput(
            f"several hypervisors are at {server}: {names}", hint="Say which: ?hypervisor=NAME"
        )
    places = [urlsplit(each.url).hostname or "" for each in known]
    near = get_close_matches(host, [place for place in places if place], n=1)
    meant = f"Did you mean {near[0]}? " if near else ""
    raise NotFound(
        f"the daemon knows no hypervisor at {server}",
        hint=f"{meant}Add it with a reference to its password: hyperctl hypervisor add NAME "
        f"'vsphere://USER@{host}/?password-from=env:NAME'",
    )


def _place(server: str) -> tuple[str, int | None]:
    try:
        parts = urlsplit(server if "://" in server else f"//{server}")
        return (parts.hostname or "").lower(), parts.port
    except ValueError as error:
        raise InvalidInput(
            f"'{server[:200]}' is no server", hint="Write vc.example.org, or vc.example.org:443."
        ) from error


def _leads(url: str, host: str, port: int | None) -> bool:
    parts = urlsplit(url)
    here = (parts.hostname or "").lower()
    return here == host and port in (None, parts.port or 443)


def there(part: T | None, word: str, hypervisor: Hypervisor) -> T:
    """The part. Raises NotSupported, HTTP 501, when there is none."""
    return need(part, hypervisor, word)


def inventory(hypervisor: Hypervisor) -> Inventory:
    return there(hypervisor.inventory, "inventory", hypervisor)


def lifecycle(hypervisor: Hypervisor) -> Lifecycle:
    return there(hypervisor.lifecycle, "lifecycle", hypervisor)


def snapshots(hypervisor: Hypervisor) -> Snapshots:
    return there(hypervisor.snapshots, "snapshots", hypervisor)


def clones(hypervisor: Hypervisor) -> Clones:
    return there(hypervisor.clones, "clones", hypervisor)


def storage(hypervisor: Hypervisor) -> Storage:
    return there(hypervisor.storage, "storage", hypervisor)


def networks(hypervisor: Hypervisor) -> Networks:
    return there(hypervisor.networks, "networks", hypervisor)


def hotplug(hypervisor: Hypervisor) -> Hotplug:
    return there(hypervisor.hotplug, "hotplug", hypervisor)


def console(hypervisor: Hypervisor) -> Console:
    return there(hypervisor.console, "console", hypervisor)


def metrics(hypervisor: Hypervisor) -> Metrics:
    return there(hypervisor.metrics, "metrics", hypervisor)
