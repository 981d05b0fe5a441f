"""What a failure plan does to calls: before their effect, after it, instead of it, around it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hypersdk.datapath.cancel import CancelToken
from hypersdk.drivers.mock.clock import FakeClock
from hypersdk.drivers.mock.config import Config, Kind, Rule
from hypersdk.drivers.mock.driver import MockHypervisor
from hypersdk.model.errors import (
    HyperSDKError,
    HypervisorBusy,
    HypervisorError,
    HypervisorUnreachable,
    Interrupted,
)
from hypersdk.model.instances import InstanceState

Make = Callable[..., MockHypervisor]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A hypervisor with stopped instances ``web`` and ``db``, and failures by these rules."""

    def made(*rules: Rule, clock: FakeClock | None = None, seed: int = 0) -> MockHypervisor:
        config = Config(failures=rules, seed=seed)
        mock = MockHypervisor(tmp_path / "lab", config=config, clock=clock or FakeClock())
        for name in ("web", "db"):
            if not any(each.name == name for each in looked(mock).inventory.instances()):
                mock.create_instance(name, {})
        return mock

    return made


def looked(mock: MockHypervisor) -> MockHypervisor:
    """The same folder, seen without failures."""
    (mock._path).mkdir(exist_ok=True)
    return MockHypervisor(mock._path, config=Config())


def state(mock: MockHypervisor, name: str = "web") -> InstanceState:
    return looked(mock).inventory.instance(name).state


def test_before_the_effect_nothing_is_done(make: Make) -> None:
    mock = make(Rule(operation="lifecycle.start", error="HypervisorBusy", message="not now"))
    with pytest.raises(HypervisorBusy, match="not now"):
        mock.lifecycle.start("web")
    assert state(mock) is InstanceState.STOPPED


@pytest.mark.parametrize(
    ("kind", "error"),
    [(Kind.AFTER_EFFECT, HypervisorError), (Kind.LOST_REPLY, HypervisorUnreachable)],
)
def test_after_the_effect_it_is_done_all_the_same(
    make: Make, kind: Kind, error: type[HyperSDKError]
) -> None:
    mock = make(Rule(operation="lifecycle.start", kind=kind))
    with pytest.raises(error) as caught:
        mock.lifecycle.start("web")
    assert type(caught.value) is error
    assert state(mock) is InstanceState.RUNNING


def test_only_the_nth_call_that_matches(make: Make) -> None:
    mock = make(Rule(operation="lifecycle.*", instance="we?", nth=2))
    mock.lifecycle.start("db")
    mock.lifecycle.start("web")
    with pytest.raises(HypervisorError):
        mock.lifecycle.pause("web")
    mock.lifecycle.pause("web")
    mock.lifecycle.pause("db")


def test_only_so_many_times(make: Make) -> None:
    mock = make(Rule(operation="lifecycle.start", times=2))
    for _ in range(2):
        with pytest.raises(HypervisorError):
            mock.lifecycle.start("web")
    mock.lifecycle.start("web")


def test_listings_fail_as_well(make: Make) -> None:
    mock = make(Rule(operation="inventory.instances", error="HypervisorUnreachable"))
    with pytest.raises(HypervisorUnreachable):
        mock.inventory.instances()


def outcome(mock: MockHypervisor, name: str) -> list[bool]:
    """Which of forty calls failed."""
    found = []
    for _ in range(40):
        try:
            mock.inventory.instance(name)
            found.append(False)
        except HypervisorError:
            found.append(True)
    return found


def test_a_rate_hits_the_same_calls_for_the_same_seed_whatever_threads_do(make: Make) -> None:
    rule = Rule(operation="inventory.instance", rate=0.3)
    one = make(rule, seed=7)
    expected = {name: outcome(one, name) for name in ("web", "db")}
    hits = sum(map(sum, expected.values()))
    assert 10 < hits < 40
    again = make(rule, seed=7)
    with ThreadPoolExecutor(2) as pool:
        found = dict(
            zip(("web", "db"), pool.map(outcome, (again, again), ("web", "db")), strict=True)
        )
    assert found == expected
    assert {name: outcome(make(rule, seed=8), name) for name in ("web", "db")} != expected


def test_a_slow_call_takes_longer_and_succeeds(make: Make) -> None:
    clock = FakeClock()
    mock = make(Rule(operation="lifecycle.start", kind=Kind.SLOW, seconds=30), clock=clock)
    mock.lifecycle.start("web")
    assert clock.sleeps == [30]
    assert state(mock) is InstanceState.RUNNING


def test_a_hang_ends_when_it_is_cancelled_and_nothing_was_done(make: Make) -> None:
    clock = FakeClock(waiting=True)
    mock = make(Rule(operation="lifecycle.start", kind=Kind.HANG), clock=clock)
    token = CancelToken()
    threading.Timer(0.05, token.cancel).start()
    with token.scope(), pytest.raises(Interrupted):
        mock.lifecycle.start("web")
    assert state(mock) is InstanceState.STOPPED


def test_a_hang_ends_by_the_clock_as_a_lost_connection(make: Make) -> None:
    clock = FakeClock(waiting=True)
    rule = Rule(operation="lifecycle.start", kind=Kind.HANG, seconds=100)
    mock = make(rule, clock=clock)
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(mock.lifecycle.start, "web")
        while not clock.sleeps:
            time.sleep(0.001)
        clock.advance(100)
        assert isinstance(call.exception(timeout=30), HypervisorUnreachable)
    assert state(mock) is InstanceState.STOPPED


def test_a_stubborn_hang_ignores_cancellation(make: Make) -> None:
    clock = FakeClock()
    rule = Rule(operation="lifecycle.start", kind=Kind.STUBBORN, seconds=1e6)
    mock = make(rule, clock=clock)
    token = CancelToken()
    token.cancel()
    with token.scope(), pytest.raises(HypervisorUnreachable):
        mock.lifecycle.start("web")
    assert clock.sleeps == [60], "no thread may be lost for good"


def test_a_state_drifts_behind_the_callers_back(make: Make) -> None:
    rule = Rule(
        operation="lifecycle.start", kind=Kind.STATE_DRIFT, state=InstanceState.PAUSED, nth=1
    )
    mock = make(rule)
    mock.lifecycle.start("web")
    assert state(mock) is InstanceState.PAUSED


def test_a_crash_takes_all_that_runs_along_and_is_over_after_some_calls(make: Make) -> None:
    mock = make(Rule(operation="lifecycle.pause", kind=Kind.CRASH, nth=1, calls=2))
    mock.lifecycle.start("web")
    with pytest.raises(HypervisorUnreachable):
        mock.lifecycle.pause("web")
    assert (state(mock), state(mock, "db")) == (InstanceState.CRASHED, InstanceState.STOPPED)
    for _ in range(2):
        with pytest.raises(HypervisorUnreachable, match="is down"):
            mock.host.info()
    assert mock.host.info().active_instances == 1


def test_a_crash_is_over_after_some_time_also_for_others(make: Make) -> None:
    clock = FakeClock()
    rule = Rule(
        operation="host.info",
        kind=Kind.CRASH,
        seconds=10,
        nth=1,
        state=InstanceState.STOPPED,
    )
    mock, other = make(rule, clock=clock), make(rule, clock=clock)
    mock.lifecycle.start("web")
    with pytest.raises(HypervisorUnreachable):
        mock.host.info()
    assert state(mock) is InstanceState.STOPPED
    with pytest.raises(HypervisorUnreachable, match="is down"):
        list(other.inventory.instances())
    clock.advance(10)
    assert [each.name for each in other.inventory.instances()] == ["db", "web"]
    mock.lifecycle.start("web")
