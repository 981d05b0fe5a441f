from __future__ import annotations

import logging
import threading
from pathlib import Path

import pytest

from hypersdk.drivers.wrappers.breaker import (
    Breaker,
    BreakerRules,
    Breakers,
    BreakerState,
    BreakerStatus,
)
from hypersdk.model.errors import (
    CircuitOpen,
    HypervisorBusy,
    HypervisorError,
    HypervisorUnreachable,
    InstanceNotFound,
    Interrupted,
    InvalidState,
    NoAnswer,
    OperationTimeout,
)
from tests.drivers.wrappers.failing import Clock, Failing, lab, lost, parts

RULES = BreakerRules(failures=3, rest=30)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(RULES, clock=clock)


def test_it_opens_after_failures_in_a_row(
    tmp_path: Path, breaker: Breaker, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    inner = Failing(*lost(2), NoAnswer("30 s"))
    inventory, _ = parts(lab(tmp_path, "web"), breaker, inner)
    for kind in (HypervisorUnreachable, HypervisorUnreachable, NoAnswer):
        with pytest.raises(kind):
            inventory.instance("web")
    assert breaker.status() == BreakerStatus(BreakerState.OPEN, 3, 30.0)
    clock.now += 10
    with pytest.raises(CircuitOpen) as caught:
        inventory.instance("web")
    assert caught.value.message == (
        f"mock://{tmp_path}/lab failed 3 times in a row and is left alone, "
        "so inventory.instance was not tried"
    )
    assert caught.value.hint == "It is tried again in 20 s."
    assert len(inner.calls) == 3, "the hypervisor was left alone"
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "is open" in caplog.text


def test_a_success_between_them_begins_anew(tmp_path: Path, breaker: Breaker) -> None:
    inner = Failing(*lost(2), None, *lost(2), None)
    inventory, _ = parts(lab(tmp_path, "web"), breaker, inner)
    for number in range(6):
        if number in (2, 5):
            inventory.instance("web")
        else:
            with pytest.raises(HypervisorUnreachable):
                inventory.instance("web")
    assert breaker.status() == BreakerStatus()


@pytest.mark.parametrize(
    "error",
    [
        InstanceNotFound("no such instance"),
        InvalidState("is paused"),
        HypervisorBusy("not now"),
        OperationTimeout("the guest does not power down"),
        HypervisorError("refused"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_answers_are_a_sign_of_health(tmp_path: Path, breaker: Breaker, error: Exception) -> None:
    inventory, _ = parts(lab(tmp_path, "web"), breaker, Failing(*lost(2), error, *lost(2)))
    for _ in range(5):
        with pytest.raises(type(error) if _ == 2 else HypervisorUnreachable):
            inventory.instance("web")
    assert breaker.status() == BreakerStatus(BreakerState.CLOSED, 2, 0.0)


@pytest.mark.parametrize("error", [Interrupted("cancelled"), ValueError("a fault of the driver")])
def test_what_says_nothing_about_it_is_not_counted(
    tmp_path: Path, breaker: Breaker, error: Exception
) -> None:
    inventory, _ = parts(lab(tmp_path, "web"), breaker, Failing(*lost(2), error, *lost()))
    for kind in (HypervisorUnreachable, HypervisorUnreachable, type(error), HypervisorUnreachable):
        with pytest.raises(kind):
            inventory.instance("web")
    assert breaker.status().state is BreakerState.OPEN


def opened(tmp_path: Path, breaker: Breaker, inner: Failing) -> None:
    inventory, _ = parts(lab(tmp_path, "web"), breaker, inner)
    for _ in range(3):
        with pytest.raises(HypervisorUnreachable):
            inventory.instance("web")


def test_after_its_rest_one_call_tries_and_closes_it(
    tmp_path: Path, breaker: Breaker, clock: Clock
) -> None:
    inner = Failing(*lost(3))
    opened(tmp_path, breaker, inner)
    clock.now += 30
    inventory, _ = parts(lab(tmp_path), breaker, inner)
    assert inventory.instance("web").name == "web"
    assert breaker.status() == BreakerStatus()


def test_when_that_call_fails_it_rests_again(
    tmp_path: Path, breaker: Breaker, clock: Clock
) -> None:
    inner = Failing(*lost(4))
    opened(tmp_path, breaker, inner)
    clock.now += 31
    inventory, _ = parts(lab(tmp_path), breaker, inner)
    with pytest.raises(HypervisorUnreachable):
        inventory.instance("web")
    assert breaker.status() == BreakerStatus(BreakerState.OPEN, 4, 30.0)
    with pytest.raises(CircuitOpen):
        inventory.instance("web")
    assert len(inner.calls) == 4


def test_when_that_call_is_cancelled_the_next_one_tries(
    tmp_path: Path, breaker: Breaker, clock: Clock
) -> None:
    inner = Failing(*lost(3), Interrupted("cancelled"))
    opened(tmp_path, breaker, inner)
    clock.now += 31
    inventory, _ = parts(lab(tmp_path), breaker, inner)
    with pytest.raises(Interrupted):
        inventory.instance("web")
    assert breaker.status().state is BreakerState.HALF_OPEN
    assert inventory.instance("web").name == "web"
    assert breaker.status() == BreakerStatus()


def test_only_one_call_tries_at_a_time(tmp_path: Path, breaker: Breaker, clock: Clock) -> None:
    opened(tmp_path, breaker, Failing(*lost(3)))
    clock.now += 31
    entered, leave = threading.Event(), threading.Event()

    def slow(_call: object, go: object) -> object:
        entered.set()
        assert leave.wait(30)
        return go()  # type: ignore[operator]

    inventory, _ = parts(lab(tmp_path), breaker, slow)
    trial = threading.Thread(target=inventory.instance, args=("web",))
    trial.start()
    assert entered.wait(30)
    with pytest.raises(CircuitOpen, match="just being tried again"):
        inventory.instance("web")
    leave.set()
    trial.join(30)
    assert breaker.status() == BreakerStatus()


def test_calls_run_beside_each_other(tmp_path: Path, breaker: Breaker) -> None:
    meeting = threading.Barrier(4, timeout=30)

    def meet(_call: object, go: object) -> object:
        meeting.wait()
        return go()  # type: ignore[operator]

    inventory, _ = parts(lab(tmp_path, "web"), breaker, meet)
    threads = [threading.Thread(target=inventory.instance, args=("web",)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not meeting.broken


def test_a_call_from_before_it_opened_changes_nothing(
    tmp_path: Path, breaker: Breaker, clock: Clock
) -> None:
    entered, leave = threading.Event(), threading.Event()
    late: list[str] = []

    def slow(_call: object, go: object) -> object:
        entered.set()
        assert leave.wait(30)
        return go()  # type: ignore[operator]

    hypervisor = lab(tmp_path, "web")
    slowly, _ = parts(hypervisor, breaker, slow)
    straggler = threading.Thread(target=lambda: late.append(slowly.instance("web").name))
    straggler.start()
    assert entered.wait(30)
    inventory, _ = parts(hypervisor, breaker, Failing(*lost(3)))
    for _ in range(3):
        with pytest.raises(HypervisorUnreachable):
            inventory.instance("web")
    clock.now += 31
    leave.set()
    straggler.join(30)
    assert late == ["web"]
    assert breaker.status().state is BreakerState.OPEN


def test_each_hypervisor_has_one(clock: Clock) -> None:
    breakers = Breakers()
    one = breakers.of("mock:///a", RULES, clock=clock)
    assert breakers.of("mock:///a") is one
    assert breakers.of("mock:///b") is not one
    assert breakers.status("mock:///c") == BreakerStatus()
    assert breakers.status("mock:///a") == one.status()
