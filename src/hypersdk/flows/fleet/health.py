"""How each hypervisor of a fleet is."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from hypersdk.datapath.cancel import CancelToken
from hypersdk.drivers.ports import Hypervisor, capabilities
from hypersdk.drivers.wrappers.breaker import BreakerStatus
from hypersdk.flows.fleet.inventory import ASKED_AT_ONCE
from hypersdk.flows.fleet.members import Fleet, failure
from hypersdk.flows.fleet.parallel import run_each
from hypersdk.model.capabilities import Capability
from hypersdk.model.errors import HyperSDKError, Interrupted
from hypersdk.model.hosts import HostInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class HypervisorHealth:
    """One member at one moment."""

    #: Name of the member.
    hypervisor: str
    url: str
    #: It answered a question just now.
    reachable: bool
    #: Seconds that the answer took, without connecting.
    latency: float | None
    breaker: BreakerStatus
    #: Product, version and room; None where it cannot say.
    host: HostInfo | None = None
    capabilities: tuple[Capability, ...] = ()
    #: Why it did not answer.
    error: HyperSDKError | None = None


def fleet_health(
    fleet: Fleet,
    *,
    cancel: CancelToken | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[HypervisorHealth, ...]:
    """Ask all members at once; in their order. Raises Interrupted."""
    token = cancel or CancelToken()

    def ask(name: str) -> HypervisorHealth:
        try:
            hypervisor = fleet.hypervisor(name)
            began = clock()
            host = _answer(hypervisor)
            latency = clock() - began
        except Exception as error:  # noqa: BLE001 - it is this one's health
            return _failed(fleet, name, failure(error))
        return HypervisorHealth(
            hypervisor=name,
            url=fleet.urls[name],
            reachable=True,
            latency=latency,
            breaker=fleet.breaker(name),
            host=host,
            capabilities=capabilities(hypervisor),
        )

    found = run_each(
        fleet.names,
        ask,
        skip=lambda name: _failed(fleet, name, Interrupted("cancelled")),
        key=lambda name: name,
        workers=ASKED_AT_ONCE,
        per_key=1,
        cancel=token,
    )
    token.check()
    return tuple(found)


def _answer(hypervisor: Hypervisor) -> HostInfo | None:
    """The cheapest question that only a living hypervisor answers."""
    if hypervisor.host is not None:
        return hypervisor.host.info()
    if hypervisor.inventory is not None:
        next(hypervisor.inventory.instances(), None)
    return None


def _failed(fleet: Fleet, name: str, error: HyperSDKError) -> HypervisorHealth:
    return HypervisorHealth(
        hypervisor=name,
        url=fleet.urls[name],
        reachable=False,
        latency=None,
        breaker=fleet.breaker(name),
        error=error,
    )
