from __future__ import annotations

from pathlib import Path

import pytest

from hypersdk.datapath.cancel import CancelToken
from hypersdk.drivers.wrappers.retry import Retries, Retrying
from hypersdk.model.errors import (
    AlreadyExists,
    CircuitOpen,
    HypervisorBusy,
    HypervisorUnreachable,
    Interrupted,
    InvalidState,
    LimitExceeded,
)
from hypersdk.model.instances import InstanceState
from hypersdk.model.specs import InstanceSpec
from tests.drivers.wrappers.failing import Clock, Failing, lab, lost, parts


@pytest.fixture
def clock() -> Clock:
    return Clock()


def retrying(clock: Clock, **retries: float) -> Retrying:
    return Retrying(Retries(**retries), sleep=clock.sleep, dice=lambda: 0.5)  # type: ignore[arg-type]


def test_what_works_is_not_repeated(tmp_path: Path, clock: Clock) -> None:
    inner = Failing()
    inventory, _ = parts(lab(tmp_path, "web"), retrying(clock), inner)
    assert inventory.instance("web").name == "web"
    assert inner.calls == ["inventory.instance"]
    assert clock.slept == []


def test_reading_is_repeated_with_longer_and_longer_waits(tmp_path: Path, clock: Clock) -> None:
    inner = Failing(*lost(4))
    retry = retrying(clock, attempts=5, wait_first=1, wait_longest=3, jitter=0.5)
    inventory, _ = parts(lab(tmp_path, "web"), retry, inner)
    assert [instance.name for instance in inventory.instances()] == ["web"]
    assert clock.slept == [1.25, 2.5, 3.75, 3.75]  # 1, 2, 3, 3 and half of the jitter
    assert len(inner.calls) == 5


def test_the_jitter_is_random(tmp_path: Path) -> None:
    slept: list[float] = []
    for number in range(5):
        retry = Retrying(Retries(wait_first=1, jitter=1), sleep=slept.append)
        inventory, _ = parts(lab(tmp_path / str(number), "web"), retry, Failing(*lost()))
        inventory.instance("web")
    assert len(set(slept)) > 1
    assert all(1 <= seconds <= 2 for seconds in slept)


def test_after_a_lost_reply_the_repetition_finds_it_done(tmp_path: Path, clock: Clock) -> None:
    inner = Failing(*lost(), after=True, only="lifecycle.start")
    inventory, lifecycle = parts(lab(tmp_path, "web"), retrying(clock), inner)
    lifecycle.start("web")
    assert inventory.instance("web").state is InstanceState.RUNNING
    assert inner.calls == ["lifecycle.start"] * 2


def test_what_must_happen_once_is_not_repeated_after_a_lost_reply(
    tmp_path: Path, clock: Clock
) -> None:
    inner = Failing(*lost(), after=True)
    inventory, lifecycle = parts(lab(tmp_path), retrying(clock), inner)
    with pytest.raises(HypervisorUnreachable):
        lifecycle.create(InstanceSpec(name="web"))
    assert inner.calls == ["lifecycle.create"]
    assert inventory.instance("web").name == "web"


def test_it_is_repeated_when_it_was_refused_before_anything_was_begun(
    tmp_path: Path, clock: Clock
) -> None:
    inner = Failing(HypervisorBusy("another one first"), HypervisorBusy("and another"))
    _, lifecycle = parts(lab(tmp_path), retrying(clock), inner)
    assert lifecycle.create(InstanceSpec(name="web")).name == "web"
    assert len(inner.calls) == 3


@pytest.mark.parametrize(
    "error",
    [
        InvalidState("is paused"),
        AlreadyExists("is taken"),
        LimitExceeded("no room"),
        CircuitOpen("left alone"),
        ValueError("a fault of the driver"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_does_not_pass_by_itself_is_not_repeated(
    tmp_path: Path, clock: Clock, error: Exception
) -> None:
    inner = Failing(error, error)
    inventory, _ = parts(lab(tmp_path, "web"), retrying(clock), inner)
    with pytest.raises(type(error)) as caught:
        inventory.instance("web")
    assert caught.value is error
    assert len(inner.calls) == 1


def test_an_error_of_another_kind_ends_the_repeating(tmp_path: Path, clock: Clock) -> None:
    inner = Failing(*lost(), InvalidState("is paused"))
    _, lifecycle = parts(lab(tmp_path, "web"), retrying(clock), inner)
    with pytest.raises(InvalidState) as caught:
        lifecycle.start("web")
    assert caught.value.hint == ""
    assert len(inner.calls) == 2


def test_when_patience_ends_the_last_error_says_how_often(tmp_path: Path, clock: Clock) -> None:
    inner = Failing(*lost(9))
    inventory, _ = parts(lab(tmp_path, "web"), retrying(clock, attempts=3), inner)
    with pytest.raises(HypervisorUnreachable, match="Tried 3 times"):
        inventory.instance("web")
    assert len(inner.calls) == 3
    assert len(clock.slept) == 2


def test_no_call_is_begun_after_the_timeout(tmp_path: Path, clock: Clock) -> None:
    inner = Failing(*lost(9))
    retry = retrying(clock, attempts=9, timeout=0.5, wait_first=1)
    inventory, _ = parts(lab(tmp_path, "web"), retry, inner)
    with pytest.raises(HypervisorUnreachable):
        inventory.instance("web")
    assert len(inner.calls) == 1


def test_a_cancelled_caller_does_not_wait(tmp_path: Path) -> None:
    token = CancelToken()
    inner = Failing(*lost(9))
    inventory, _ = parts(lab(tmp_path, "web"), Retrying(Retries(wait_first=600)), inner)
    token.cancel()
    with token.scope(), pytest.raises(Interrupted):
        inventory.instance("web")
    assert len(inner.calls) == 1
