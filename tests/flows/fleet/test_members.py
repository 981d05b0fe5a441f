from __future__ import annotations

import threading

import pytest

from hypersdk.drivers.ports import Hypervisor
from hypersdk.drivers.registry import connect
from hypersdk.drivers.wrappers.breaker import BreakerRules, Breakers, BreakerState
from hypersdk.drivers.wrappers.guarded import Policy
from hypersdk.flows.fleet.members import Fleet, failure
from hypersdk.model.errors import (
    CircuitOpen,
    HypervisorError,
    HypervisorUnreachable,
    InvalidInput,
    NotFound,
)
from tests.flows.fleet.labs import Labs


def test_members_are_connected_to_once_when_they_are_needed(labs: Labs) -> None:
    labs.add("a", "web")
    opened: list[str] = []
    meeting = threading.Barrier(4, timeout=30)

    def counting(url: str) -> Hypervisor:
        opened.append(url)
        return connect(url)

    with Fleet({"a": labs.url("a"), "b": labs.url("b")}, connect=counting) as fleet:
        assert opened == []

        def use() -> None:
            meeting.wait()
            fleet.hypervisor("a")

        threads = [threading.Thread(target=use) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert opened == [labs.url("a")]


def test_a_member_that_was_away_is_connected_to_anew(labs: Labs) -> None:
    labs.add("a")
    away = [True]

    def sometimes(url: str) -> Hypervisor:
        if away[0]:
            raise HypervisorUnreachable(f"nothing answers at {url}")
        return connect(url)

    guards = Policy(retries=None, breakers=Breakers())
    fleet = Fleet({"a": labs.url("a")}, policy=guards, connect=sometimes)
    with pytest.raises(HypervisorUnreachable):
        fleet.hypervisor("a")
    away[0] = False
    assert fleet.hypervisor("a").url == labs.url("a")


def test_its_circuit_breaker_can_be_seen(labs: Labs) -> None:
    def refuse(url: str) -> Hypervisor:
        raise HypervisorUnreachable(f"nothing answers at {url}")

    guards = Policy(retries=None, breakers=Breakers(), breaker=BreakerRules(failures=2))
    fleet = Fleet({"a": labs.url("a")}, policy=guards, connect=refuse)
    assert fleet.breaker("a").state is BreakerState.CLOSED
    for kind in (HypervisorUnreachable, HypervisorUnreachable, CircuitOpen):
        with pytest.raises(kind):
            fleet.hypervisor("a")
    assert fleet.breaker("a").state is BreakerState.OPEN


def test_names_and_urls() -> None:
    known = {"lab": "mock:///srv/lab", "edge": "mock:///srv/edge"}
    assert Fleet.of([], known).urls == known
    assert Fleet.of(["edge", "mock:///x"], known).urls == {
        "edge": "mock:///srv/edge",
        "mock:///x": "mock:///x",
    }
    with pytest.raises(InvalidInput, match="no hypervisor is called 'labb'") as caught:
        Fleet.of(["labb"], known)
    assert caught.value.hint == "Did you mean lab? Known are lab, edge. A URL will do as well."
    with pytest.raises(InvalidInput, match="no hypervisor is called 'x'"):
        Fleet.of(["lab"], known).hypervisor("x")
    with pytest.raises(InvalidInput, match="there is no hypervisor to work with"):
        Fleet.of([])


def test_a_url_with_a_secret_is_refused_before_it_is_shown() -> None:
    for url in ("mock://me:hunter2@host/x", "mock:///x?token=hunter2"):
        with pytest.raises(InvalidInput, match="contains a password or token") as caught:
            Fleet.of(["mock:///a", url])
        assert "hunter2" not in str(caught.value)


def test_a_fault_of_a_driver_is_an_error_as_others(caplog: pytest.LogCaptureFixture) -> None:
    ours = NotFound("no such thing")
    assert failure(ours) is ours
    made = failure(KeyError("uuid"))
    assert isinstance(made, HypervisorError)
    assert made.message == "unexpected KeyError: 'uuid'"
    assert "a driver failed unexpectedly" in caplog.text
