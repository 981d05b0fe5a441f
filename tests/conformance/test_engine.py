"""The engine: what ends how, what is undone, and what is reported."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from hypersdk.conformance import expect
from hypersdk.conformance.case import Case
from hypersdk.conformance.engine import missing, run_case, run_cases
from hypersdk.conformance.lab import Lab
from hypersdk.conformance.results import CaseResult, Verdict
from hypersdk.conformance.target import Site
from hypersdk.conformance.targets.mock import MockTarget
from hypersdk.datapath.cancel import token_in_force
from hypersdk.drivers.ports import Hypervisor
from hypersdk.model.errors import HypervisorUnreachable, InstanceNotFound


class Watched(MockTarget):
    """A mock that counts connections, and can be made to refuse them."""

    def __init__(self, query: str = "") -> None:
        super().__init__(f"mock://{query}", Site())
        self.expectations = replace(self.expectations, settle=0.1)
        self.connections: list[Hypervisor] = []
        self.refuses = False

    def connect(self) -> Hypervisor:
        if self.refuses:
            raise HypervisorUnreachable("nobody answers", hint="Start it.")
        self.connections.append(super().connect())
        return self.connections[-1]


@pytest.fixture
def target() -> Iterator[Watched]:
    target = Watched()
    yield target
    target.close()


def a_case(run: Callable[[Lab], None], *needs: str, requirement: str = "core") -> Case:
    return Case(
        id="core.example",
        requirement=requirement,
        title="An example.",
        suite="core",
        run=run,
        needs=needs,
    )


def ended(target: Watched, run: Callable[[Lab], None], *, timeout: float = 30.0) -> CaseResult:
    return run_case(target, a_case(run), timeout=timeout)


def names(target: Watched) -> list[str]:
    found = target.connect().inventory
    assert found is not None
    return [instance.name for instance in found.instances()]


def test_a_case_that_returns_has_passed(target: Watched) -> None:
    result = ended(target, lambda lab: None)
    assert (result.verdict, result.reason, result.trace) == (Verdict.PASSED, "", "")
    assert (result.case, result.requirement, result.title) == (
        "core.example",
        "core",
        "An example.",
    )
    assert result.seconds >= 0
    assert result.began.tzinfo is not None


def test_an_unmet_expectation_has_failed_with_its_words_and_stack(target: Watched) -> None:
    result = ended(target, lambda lab: expect.equal(1, 2, "processors"))
    assert result.verdict is Verdict.FAILED
    assert result.reason == "processors: expected 2, found 1"
    assert "expect.equal" in result.trace


def test_an_error_has_failed_with_its_class(target: Watched) -> None:
    result = ended(target, lambda lab: lab.lifecycle.start("nobody"))
    assert result.verdict is Verdict.FAILED
    assert result.reason.startswith("InstanceNotFound: ")


def test_even_the_end_of_the_interpreter_is_only_a_failure(target: Watched) -> None:
    def run(lab: Lab) -> None:
        raise SystemExit(3)

    assert ended(target, run).reason == "SystemExit: 3"


def test_a_skip_says_why(target: Watched) -> None:
    result = ended(target, lambda lab: expect.skip("no moon"))
    assert (result.verdict, result.reason, result.trace) == (Verdict.SKIPPED, "no moon", "")


def test_what_was_made_is_removed_after_success_failure_and_skip(target: Watched) -> None:
    def run(lab: Lab, end: Callable[[], None]) -> None:
        lab.running()
        lab.create()
        end()

    ends: tuple[Callable[[], None], ...] = (
        lambda: None,
        lambda: expect.fail("x"),
        lambda: expect.skip("x"),
    )
    for end in ends:
        result = ended(target, partial(run, end=end))
        assert result.leaks == ()
        assert names(target) == []


def test_things_are_undone_in_reverse_order_over_a_fresh_connection(target: Watched) -> None:
    undone: list[object] = []

    def run(lab: Lab) -> None:
        lab.later("one", lambda parts: undone.append(("one", parts.hypervisor)))
        lab.later("two", lambda parts: undone.append(("two", parts.hypervisor)))

    ended(target, run)
    first, second = target.connections
    assert undone == [("two", second), ("one", second)]
    assert first is not second


def test_what_cannot_be_undone_fails_the_case_and_the_rest_is_undone(target: Watched) -> None:
    def run(lab: Lab) -> None:
        lab.create()
        lab.later("open the door", lambda parts: expect.fail("it is locked"))

    result = ended(target, run)
    assert result.verdict is Verdict.FAILED
    assert result.reason == "could not open the door: Unmet: it is locked"
    assert names(target) == []


def test_a_leak_fails_a_case_that_passed(target: Watched) -> None:
    root = Path(target.url.removeprefix("mock://").partition("?")[0])

    def run(lab: Lab) -> None:
        (root / "scratch").mkdir()

    result = ended(target, run)
    assert result.verdict is Verdict.FAILED
    assert result.leaks == ("folder scratch",)
    assert result.reason == "it left in the backend: folder scratch"
    assert ended(target, lambda lab: None).verdict is Verdict.PASSED, "it is charged once"


def test_a_leak_fails_a_case_that_was_skipped(target: Watched) -> None:
    root = Path(target.url.removeprefix("mock://").partition("?")[0])

    def run(lab: Lab) -> None:
        (root / "scratch").mkdir()
        expect.skip("no moon")

    assert ended(target, run).verdict is Verdict.FAILED


def test_what_is_kept_by_contract_is_no_leak(target: Watched) -> None:
    def run(lab: Lab) -> None:
        name = lab.create().name
        before = lab.observer.resources()
        lab.lifecycle.delete(name)
        lab.keep_by_contract(lab.observer.resources() - before)

    assert ended(target, run).verdict is Verdict.PASSED


def test_a_case_that_hangs_has_failed_with_its_stack_and_is_cleaned_up(target: Watched) -> None:
    released = threading.Event()

    def hang_here(lab: Lab) -> None:
        lab.running()
        released.wait(60)

    try:
        result = ended(target, hang_here, timeout=1.0)
    finally:
        released.set()
    assert result.verdict is Verdict.FAILED
    assert result.reason == "did not end within 1 s"
    assert "hang_here" in result.trace
    assert names(target) == []


def test_a_case_that_hangs_is_told_to_stop(target: Watched) -> None:
    obeyed = threading.Event()

    def run(lab: Lab) -> None:
        try:
            token_in_force().wait(60)
        finally:
            obeyed.set()

    assert ended(target, run, timeout=0.3).verdict is Verdict.FAILED
    assert obeyed.wait(10)


def test_an_interrupt_cleans_up_and_is_handed_on(target: Watched) -> None:
    running = threading.Event()

    def run(lab: Lab) -> None:
        lab.running()
        running.set()
        token_in_force().wait(60)

    def interrupt() -> None:
        running.wait(30)
        os.kill(os.getpid(), signal.SIGINT)

    presser = threading.Thread(target=interrupt)
    presser.start()
    with pytest.raises(KeyboardInterrupt):
        ended(target, run, timeout=60)
    presser.join()
    assert names(target) == []


def test_a_hypervisor_that_refuses_is_a_failure(target: Watched) -> None:
    target.refuses = True
    result = ended(target, lambda lab: None)
    assert result.verdict is Verdict.FAILED
    assert "nobody answers" in result.reason


def test_all_connections_are_closed() -> None:
    closed: list[int] = []

    class Closing(Watched):
        def connect(self) -> Hypervisor:
            hypervisor = super().connect()
            number = len(self.connections)
            hypervisor.close = lambda: closed.append(number)  # type: ignore[method-assign]
            return hypervisor

    def open_another(lab: Lab) -> None:
        lab.connect()

    target = Closing()
    try:
        ended(target, open_another)
    finally:
        target.close()
    assert sorted(closed) == [1, 2, 3], "its own, another, and that of the cleanup"


def test_results_come_as_cases_end(target: Watched) -> None:
    ran: list[str] = []
    chosen = [a_case(lambda lab: ran.append("one")), a_case(lambda lab: ran.append("two"))]
    results = run_cases(target, chosen)
    assert ran == []
    next(results)
    assert ran == ["one"]
    next(results)
    assert ran == ["one", "two"]


def test_a_missing_part_skips() -> None:
    target = Watched("?without=snapshots")
    try:
        result = run_case(target, a_case(lambda lab: None, requirement="snapshots"))
        needing = run_case(target, a_case(lambda lab: None, "snapshots.memory"))
    finally:
        target.close()
    assert (result.verdict, result.reason) == (Verdict.SKIPPED, "no snapshots part")
    assert (needing.verdict, needing.reason) == (Verdict.SKIPPED, "no snapshots part")


def test_a_limit_skips_with_the_words_of_the_driver(target: Watched) -> None:
    case = a_case(lambda lab: None, requirement="lifecycle.ports")
    reason = missing(case, target.connect(), target)
    assert reason == "lifecycle.ports: no process stands behind a mock instance"


def test_a_missing_observer_or_guest_skips(target: Watched) -> None:
    target.observer = None  # type: ignore[assignment]
    result = run_case(target, a_case(lambda lab: None, "observer"))
    assert (result.verdict, result.reason) == (Verdict.SKIPPED, "the target has no observer")
    target.guest = None  # type: ignore[assignment]
    result = run_case(target, a_case(lambda lab: None, "guest"))
    assert (result.verdict, result.reason) == (Verdict.SKIPPED, "the target has no guest")
    assert ended(target, lambda lab: None).verdict is Verdict.PASSED, "others run without them"


def test_what_is_removed_behind_its_back_is_no_problem(target: Watched) -> None:
    def run(lab: Lab) -> None:
        name = lab.create().name
        lab.connect().lifecycle.delete(name, disks=True)
        expect.raises(InstanceNotFound, lambda: lab.look(name), "a look")

    assert ended(target, run).verdict is Verdict.PASSED
