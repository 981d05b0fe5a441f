"""A hypervisor whose calls are guarded. From the outside to the inside, and why in this order:

1. tracing: the span is what the caller waited for, refusals and retries included;
2. audit: one event for what the caller asked, not one for each attempt;
3. retry: each attempt passes all that follows;
4. circuit breaker: sees each attempt, and an attempt that it refuses costs nothing below;
5. rate limit: only what really goes out counts, and waiting for one's turn uses up no deadline;
6. deadline: around the driver alone, so that its end is what the breaker and retry see.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from hypersdk.drivers import registry
from hypersdk.drivers.calls import Call, Interceptor, intercepted, through
from hypersdk.drivers.ports import Hypervisor
from hypersdk.drivers.wrappers.audit import Audited, AuditSink
from hypersdk.drivers.wrappers.breaker import BREAKERS, BreakerRules, Breakers, BreakerStatus
from hypersdk.drivers.wrappers.deadline import Bounded, Deadlines
from hypersdk.drivers.wrappers.ratelimit import RateLimited
from hypersdk.drivers.wrappers.retry import Retries, Retrying
from hypersdk.drivers.wrappers.tracing import traced


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What guards the calls to a hypervisor. None leaves a guard out."""

    retries: Retries | None = field(default_factory=Retries)
    breaker: BreakerRules | None = field(default_factory=BreakerRules)
    #: Calls per second; None: as many as are made.
    rate: float | None = None
    #: Calls at once when there is a rate.
    burst: float = 10.0
    deadlines: Deadlines | None = field(default_factory=Deadlines)
    audit: bool = True
    #: Receives audit records besides the log.
    audit_sink: AuditSink | None = None
    #: Account in audit records; empty: that of this process.
    user: str = ""
    tracing: bool = True
    #: Where breakers are kept; one hypervisor has one, whoever speaks with it.
    breakers: Breakers = BREAKERS


def guarded(hypervisor: Hypervisor, policy: Policy | None = None) -> Hypervisor:
    """``hypervisor`` with retries, circuit breaker, rate limit, deadlines, audit and tracing.

    Capabilities are the same. What a call hands out (a view of disks, a stream) is not guarded.
    """
    return intercepted(hypervisor, *interceptors(hypervisor.url, policy or Policy()))


def connect_guarded(
    url: str,
    policy: Policy | None = None,
    *,
    connect: Callable[[str], Hypervisor] = registry.connect,
) -> Hypervisor:
    """Connect under the guards too: a hypervisor that hangs when it is connected to is given up.

    ``url`` names the breaker, also where the driver writes the URL in another way. Raises what
    ``connect`` raises, CircuitOpen and NoAnswer.
    """
    guards = interceptors(url, policy or Policy())
    call = Call(url, "hypervisor", "connect")
    opened = cast("Hypervisor", through(guards, call, lambda: connect(url)))
    return intercepted(opened, *guards)


def interceptors(url: str, policy: Policy) -> tuple[Interceptor, ...]:
    """The guards of one hypervisor in their order, outermost first."""
    found: list[Any] = []
    if policy.tracing:
        found.append(traced)
    if policy.audit:
        found.append(Audited(policy.audit_sink, user=policy.user))
    if policy.retries is not None:
        found.append(Retrying(policy.retries))
    if policy.breaker is not None:
        found.append(policy.breakers.of(url, policy.breaker))
    if policy.rate is not None:
        found.append(RateLimited(policy.rate, policy.burst))
    if policy.deadlines is not None:
        found.append(Bounded(policy.deadlines))
    return tuple(found)


def breaker_status(url: str, policy: Policy | None = None) -> BreakerStatus:
    """The state of a hypervisor's circuit breaker in this process."""
    return (policy or Policy()).breakers.status(url)
