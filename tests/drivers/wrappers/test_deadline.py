from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Self

import pytest

from hypersdk.datapath.cancel import WAIT_SLICE, CancelToken, token_in_force
from hypersdk.drivers.calls import Call
from hypersdk.drivers.wrappers.deadline import Bounded, Deadlines
from hypersdk.model.errors import (
    HypervisorUnreachable,
    InstanceNotFound,
    Interrupted,
    NoAnswer,
    OperationTimeout,
)
from hypersdk.model.instances import InstanceState
from tests.drivers.wrappers.failing import lab, parts

#: Nothing in these tests takes that long unless it hangs.
PATIENCE = 30.0
SHORT = Deadlines(read=0.4, change=0.4, undo=0.3, hanging=3)


class Hanging:
    """Calls that begin and do not come back until they are let go."""

    def __init__(self, *, obeys: bool = False, answer: object = "late") -> None:
        self.begun = threading.Semaphore(0)
        self.leave = threading.Event()
        self.ended = threading.Semaphore(0)
        self.tokens: list[CancelToken] = []
        self._obeys = obeys
        self._answer = answer

    def __call__(self, call: Call, go: Callable[[], Any]) -> Any:
        self.tokens.append(token_in_force())
        self.begun.release()
        try:
            if self._obeys:
                token_in_force().wait(PATIENCE)
            assert self.leave.wait(PATIENCE)
            return self._answer
        finally:
            self.ended.release()


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    found = Hanging()
    yield found
    found.leave.set()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_answers_and_errors_come_through(tmp_path: Path) -> None:
    inventory, lifecycle = parts(lab(tmp_path, "web"), Bounded())
    lifecycle.start("web")
    assert inventory.instance("web").state is InstanceState.RUNNING
    with pytest.raises(InstanceNotFound) as caught:
        inventory.instance("wep")
    assert any(entry.name == "instance" for entry in caught.traceback), "where it came from"


def test_a_read_that_is_not_answered(tmp_path: Path, hanging: Hanging) -> None:
    bounded = Bounded(SHORT)
    inventory, _ = parts(lab(tmp_path), bounded, hanging)
    with pytest.raises(NoAnswer) as caught:
        inventory.instance("web")
    assert caught.value.message == (
        f"inventory.instance of 'web' on mock://{tmp_path}/lab was not answered within 0.4 s"
    )
    assert caught.value.hint == "It changes nothing."
    assert isinstance(caught.value, OperationTimeout)
    assert hanging.tokens[0].cancelled, "a driver that still can ends it"
    assert bounded.hanging == 1
    hanging.leave.set()
    until(lambda: bounded.hanging == 0)


def test_a_change_that_is_not_answered_may_still_take_effect(
    tmp_path: Path, hanging: Hanging
) -> None:
    _, lifecycle = parts(lab(tmp_path), Bounded(SHORT), hanging)
    with pytest.raises(NoAnswer, match="It may still take effect"):
        lifecycle.start("web")


def test_a_caller_who_cancels_a_read_is_let_go_at_once(tmp_path: Path, hanging: Hanging) -> None:
    inventory, _ = parts(lab(tmp_path), Bounded(), hanging)
    token = CancelToken()
    cancelled: list[float] = []

    def cancel() -> None:
        assert hanging.begun.acquire(timeout=PATIENCE)
        cancelled.append(time.monotonic())
        token.cancel()

    threading.Thread(target=cancel).start()
    with token.scope(), pytest.raises(Interrupted, match=r"cancelled while waiting for inventory"):
        inventory.instance("web")
    # Twice for a machine that is busy; a call that is waited for would take 30 s.
    assert time.monotonic() - cancelled[0] < 2 * WAIT_SLICE + 1


def test_a_driver_that_obeys_undoes_what_it_began_before_the_caller_goes_on(
    tmp_path: Path,
) -> None:
    undone: list[str] = []

    def creating(_call: Call, _go: Callable[[], Any]) -> Any:
        try:
            token_in_force().wait(PATIENCE)
        except Interrupted:
            threading.Event().wait(WAIT_SLICE)  # longer than a read would be waited for
            undone.append("disk")
            raise Interrupted("cancelled; nothing is left") from None

    bounded = Bounded()
    _, lifecycle = parts(lab(tmp_path), bounded, creating)
    token = CancelToken()
    threading.Timer(0.05, token.cancel).start()
    with token.scope(), pytest.raises(Interrupted, match="nothing is left"):
        lifecycle.delete("web")
    assert undone == ["disk"]
    assert bounded.hanging == 0


def test_a_call_that_is_done_when_its_caller_cancels_is_done(tmp_path: Path) -> None:
    token = CancelToken()

    def finishing(_call: Call, go: Callable[[], Any]) -> Any:
        token.cancel()
        return go()

    inventory, lifecycle = parts(lab(tmp_path, "web"), Bounded(), finishing)
    with token.scope():
        lifecycle.start("web")
    assert inventory.instance("web").state is InstanceState.RUNNING


def test_nothing_is_begun_for_a_caller_who_has_cancelled(tmp_path: Path, hanging: Hanging) -> None:
    _, lifecycle = parts(lab(tmp_path), Bounded(), hanging)
    token = CancelToken()
    token.cancel()
    with token.scope(), pytest.raises(Interrupted):
        lifecycle.start("web")
    assert hanging.tokens == []


def test_a_hypervisor_that_hangs_does_not_cost_a_thread_for_each_call(
    tmp_path: Path, hanging: Hanging
) -> None:
    bounded = Bounded(SHORT)
    inventory, _ = parts(lab(tmp_path), bounded, hanging)
    for _ in range(SHORT.hanging):
        with pytest.raises(NoAnswer):
            inventory.instance("web")
    with pytest.raises(HypervisorUnreachable, match=r"3 calls to .* have not returned") as caught:
        inventory.instance("web")
    assert "so inventory.instance was not tried" in caught.value.message
    assert len(hanging.tokens) == 3
    hanging.leave.set()
    until(lambda: bounded.hanging == 0)
    assert inventory.instance("web") == "late"  # type: ignore[comparison-overlap]


def test_threads_of_hanging_calls_do_not_keep_the_process(tmp_path: Path, hanging: Hanging) -> None:
    inventory, _ = parts(lab(tmp_path), Bounded(SHORT), hanging)
    with pytest.raises(NoAnswer):
        inventory.instance("web")
    (thread,) = [each for each in threading.enumerate() if each.name == "inventory.instance"]
    assert thread.daemon


class Stream:
    """What a call hands out."""

    def __init__(self) -> None:
        self.closed = threading.Event()

    def close(self) -> None:
        self.closed.set()


class View:
    def __init__(self) -> None:
        self.closed = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.closed.set()


@pytest.mark.parametrize("kind", [Stream, View])
def test_what_comes_too_late_is_closed(tmp_path: Path, kind: type[Stream | View]) -> None:
    late = kind()
    hanging = Hanging(answer=late)
    inventory, _ = parts(lab(tmp_path), Bounded(SHORT), hanging)
    with pytest.raises(NoAnswer):
        inventory.instance("web")
    assert not late.closed.is_set()
    hanging.leave.set()
    assert late.closed.wait(PATIENCE)


def test_a_late_view_that_has_not_begun_is_not_begun(tmp_path: Path) -> None:
    begun: list[str] = []

    @contextmanager
    def view() -> Iterator[None]:
        begun.append("a backup")
        yield

    hanging = Hanging(answer=view())
    bounded = Bounded(SHORT)
    inventory, _ = parts(lab(tmp_path), bounded, hanging)
    with pytest.raises(NoAnswer):
        inventory.instance("web")
    hanging.leave.set()
    until(lambda: bounded.hanging == 0)
    assert begun == []


def test_an_interrupt_of_the_waiting_thread_gives_the_call_up(
    tmp_path: Path, hanging: Hanging
) -> None:
    class Interrupting:
        """A clock that is interrupted as a main thread by Ctrl-C."""

        looks = 0

        def __call__(self) -> float:
            self.looks += 1
            if self.looks > 2:
                raise KeyboardInterrupt
            return 0.0

    bounded = Bounded(SHORT, clock=Interrupting())
    inventory, _ = parts(lab(tmp_path), bounded, hanging)
    with pytest.raises(KeyboardInterrupt):
        inventory.instance("web")
    assert bounded.hanging == 1
    assert hanging.tokens[0].cancelled


_job: ContextVar[str] = ContextVar("job", default="none")


def test_the_call_has_the_context_of_its_caller(tmp_path: Path) -> None:
    seen: list[str] = []

    def look(_call: Call, go: Callable[[], Any]) -> Any:
        seen.append(_job.get())
        return go()

    inventory, _ = parts(lab(tmp_path, "web"), Bounded(), look)
    token = _job.set("job 7")
    try:
        inventory.instance("web")
    finally:
        _job.reset(token)
    assert seen == ["job 7"]


@pytest.mark.parametrize(
    ("operation", "options", "seconds"),
    [
        ("inventory.instances", {}, 30),
        ("snapshots.snapshots", {}, 30),
        ("hypervisor.connect", {}, 30),
        ("lifecycle.start", {}, 120),
        ("lifecycle.stop", {}, 75),
        ("lifecycle.stop", {"timeout": 5}, 20),
        ("execution.run", {"timeout": 300.0}, 315),
        ("lifecycle.create", {}, 600),
        ("lifecycle.delete", {}, 600),
        ("snapshots.create", {}, 600),
        ("snapshots.revert", {}, 600),
        ("disks.view", {}, 600),
        ("clones.clone", {}, 3600),
        ("live_migration.migrate", {}, 86400),
        ("archives.export", {}, 86400),
    ],
)
def test_each_operation_has_its_deadline(
    operation: str, options: dict[str, Any], seconds: float
) -> None:
    part, _, method = operation.partition(".")
    assert Deadlines().of(Call("u", part, method, ("web",), options)) == seconds
