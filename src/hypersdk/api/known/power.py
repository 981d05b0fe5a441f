"""Steps of an instance's life, told of and written into the audit log like those of ``/v1``."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import Request

from hypersdk.accounts.quotas import Quotas
from hypersdk.api.known import reach
from hypersdk.api.known.reach import Reached
from hypersdk.api.parts import changed, subject_of
from hypersdk.api.security import note_change
from hypersdk.api.services import Services
from hypersdk.drivers.ports import Lifecycle
from hypersdk.model.accounts import Principal
from hypersdk.model.instances import Instance

#: Seconds of a request's time that are kept for answering.
_RESERVE = 10.0


#: What became of an instance → how many more there are now.
_COUNTED = {"cloned": 1, "deployed": 1, "deleted": -1}


def room_for(services: Services, who: Principal, instances: int = 1) -> None:
    """Before so many are made. Raises QuotaExceeded."""
    Quotas(services.database).check(who.tenant, instances=instances)


def patience(services: Services, wanted: float) -> float:
    """Seconds that may be waited for a guest: the request must be answered in its time."""
    return max(1.0, min(wanted, services.settings.limits.request_seconds - _RESERVE))


def stepped(
    services: Services,
    who: Principal,
    request: Request,
    here: Reached,
    name: str,
    act: Callable[[Lifecycle, str], None],
    word: str,
) -> Instance:
    """The instance as it is afterwards. ``word``: what became of it: ``started``."""
    lifecycle = reach.lifecycle(here.hypervisor)
    inventory = reach.inventory(here.hypervisor)
    before = inventory.instance(name)
    act(lifecycle, before.id)  # another instance may get the name meanwhile
    after = inventory.instance(before.id)
    note(services, who, request, here, after.name, word)
    note_change(
        request,
        subject_of(here.name, after.name),
        {"state": before.state.value},
        {"state": after.state.value},
    )
    return after


def note(
    services: Services, who: Principal, request: Request, here: Reached, name: str, word: str
) -> None:
    """Tell that an instance was ``cloned``, have it listed anew, and count it for its tenant."""
    changed(services, who, request, here.name, name, word)
    if more := _COUNTED.get(word):
        Quotas(services.database).grew(who.tenant, instances=more)
    note_change(request, subject_of(here.name, name), None, {"event": word})
