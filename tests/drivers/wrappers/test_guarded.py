from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hypersdk.drivers.calls import Call, intercepted
from hypersdk.drivers.ports import Hypervisor, capabilities
from hypersdk.drivers.registry import connect
from hypersdk.drivers.wrappers.audit import AuditRecord
from hypersdk.drivers.wrappers.breaker import BreakerRules, Breakers, BreakerState
from hypersdk.drivers.wrappers.deadline import Deadlines
from hypersdk.drivers.wrappers.guarded import (
    Policy,
    breaker_status,
    connect_guarded,
    guarded,
    interceptors,
)
from hypersdk.drivers.wrappers.retry import Retries
from hypersdk.model.errors import (
    CircuitOpen,
    HypervisorUnreachable,
    InstanceNotFound,
    InvalidInput,
    NoAnswer,
)
from tests.drivers.wrappers.failing import Failing, lab, lost

URL = "mock:///nowhere"
FAST = Retries(attempts=3, wait_first=0.001, jitter=0)


def policy(**other: Any) -> Policy:
    """With breakers of its own."""
    return Policy(**{"breakers": Breakers(), "retries": FAST, **other})


def test_the_order_of_the_guards() -> None:
    names = [
        type(each).__name__ if not callable(getattr(each, "__name__", None)) else ""
        for each in interceptors(URL, policy(rate=5))
    ]
    assert [getattr(interceptors(URL, policy(rate=5))[0], "__name__", "")] == ["traced"]
    assert names[1:] == ["Audited", "Retrying", "Breaker", "RateLimited", "Bounded"]


def test_guards_can_be_left_out(tmp_path: Path) -> None:
    bare = Policy(retries=None, breaker=None, deadlines=None, audit=False, tracing=False)
    hypervisor = lab(tmp_path)
    assert interceptors(URL, bare) == ()
    assert guarded(hypervisor, bare) is hypervisor
    assert len(interceptors(URL, replace(bare, rate=1))) == 1


def test_capabilities_are_the_same(tmp_path: Path) -> None:
    hypervisor = lab(tmp_path)
    assert capabilities(guarded(hypervisor, policy())) == capabilities(hypervisor)


def test_an_audit_record_for_what_the_caller_asked_not_for_each_attempt(tmp_path: Path) -> None:
    records: list[AuditRecord] = []
    inner = Failing(*lost(2), only="lifecycle.start")
    hypervisor = guarded(
        intercepted(lab(tmp_path, "web"), inner),
        policy(audit_sink=records.append, user="alice"),
    )
    assert hypervisor.lifecycle is not None
    hypervisor.lifecycle.start("web")
    assert len(inner.calls) == 3
    assert [(record.operation, record.user, record.error) for record in records] == [
        ("lifecycle.start", "alice", "")
    ]


def test_each_attempt_counts_for_the_breaker_and_an_open_one_is_not_waited_for(
    tmp_path: Path,
) -> None:
    inner = Failing(*lost(9))
    guards = policy(breaker=BreakerRules(failures=2))
    hypervisor = guarded(intercepted(lab(tmp_path, "web"), inner), guards)
    assert hypervisor.inventory is not None
    with pytest.raises(CircuitOpen):
        hypervisor.inventory.instance("web")
    assert len(inner.calls) == 2
    assert breaker_status(hypervisor.url, guards).state is BreakerState.OPEN
    other = guarded(lab(tmp_path), guards)
    assert other.inventory is not None
    with pytest.raises(CircuitOpen):  # one hypervisor, one breaker
        other.inventory.instance("web")


def test_a_call_without_an_answer_counts_for_the_breaker(tmp_path: Path) -> None:
    leave = threading.Event()

    def hang(_call: Call, go: Callable[[], Any]) -> Any:
        leave.wait(30)
        return go()

    guards = policy(breaker=BreakerRules(failures=1), deadlines=Deadlines(read=0.05))
    hypervisor = guarded(intercepted(lab(tmp_path, "web"), hang), guards)
    assert hypervisor.inventory is not None
    with pytest.raises(NoAnswer):
        hypervisor.inventory.instance("web")
    assert breaker_status(hypervisor.url, guards).state is BreakerState.OPEN
    leave.set()


@pytest.fixture
def unreachable() -> Iterator[Callable[[str], Hypervisor]]:
    def refuse(url: str) -> Hypervisor:
        raise HypervisorUnreachable(f"nothing answers at {url}")

    return refuse  # type: ignore[return-value]


def test_connecting_is_guarded_too(
    tmp_path: Path, unreachable: Callable[[str], Hypervisor]
) -> None:
    guards = policy(breaker=BreakerRules(failures=3))
    url = f"mock://{tmp_path}/lab"
    with pytest.raises(HypervisorUnreachable, match="Tried 3 times"):
        connect_guarded(url, guards, connect=unreachable)
    with pytest.raises(CircuitOpen):
        connect_guarded(url, guards)

    lab(tmp_path)
    hypervisor = connect_guarded(url, policy())
    assert hypervisor.inventory is not None
    with pytest.raises(InstanceNotFound):
        hypervisor.inventory.instance("web")
    with pytest.raises(InvalidInput):
        connect_guarded("nonsense", policy(), connect=connect)
