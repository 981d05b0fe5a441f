"""The runner keeps what happened, ends what does not end, and makes nothing up."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from hypersdk.conformance.events import CaseEnded, Connected, Event, Planned
from hypersdk.conformance.results import HypervisorResult, Verdict
from hypersdk.conformance.runner import Plan, run
from hypersdk.conformance.summary import failure, nothing_ran
from hypersdk.datapath.cancel import CancelToken
from hypersdk.model.errors import Interrupted, InvalidInput, PartialFailure
from tests.conformance.strange import HOSTILE, PROGRAM, variables


def one(
    *cases: str, url: str = "strange://lab", timeout: float = 60, **more: str
) -> HypervisorResult:
    plan = Plan(hypervisors=(url,), suites=cases, timeout=timeout, case_timeout=30)
    (found,) = run(plan, program=PROGRAM, variables=variables(**more)).hypervisors
    return found


def verdicts(found: HypervisorResult) -> list[str]:
    return [case.verdict.value for case in found.cases]


def test_results_are_those_of_the_cases() -> None:
    found = one("passes", "fails", "skips")
    assert verdicts(found) == ["passed", "failed", "skipped"]
    assert found.problem == ""
    passed, failed, skipped = found.cases
    assert passed.reason == passed.trace == ""
    assert "AssertionError" in failed.reason
    assert "<script>alert('1')</script>" in failed.reason
    assert "_fails" in failed.trace
    assert skipped.reason == "not here"
    assert found.driver == "strange"


def test_a_killed_case_is_a_failure_and_the_rest_is_not_made_up(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    began = time.monotonic()
    found = one("passes", "hangs", "passes", timeout=4, STRANGE_MARK=str(mark))
    assert time.monotonic() - began < 30
    assert verdicts(found) == ["passed", "failed"]
    assert found.cases[1].case == "strange.hangs-1"
    assert "time limit" in found.cases[1].reason
    assert found.cases[1].seconds > 0
    assert "1 case did not run: strange.passes-2" in found.problem
    assert mark.read_text() == "closed", "the child had its time to clean up"


def test_a_process_that_dies_fails_its_case() -> None:
    found = one("passes", "dies", "passes", "skips")
    assert verdicts(found) == ["passed", "failed"]
    assert "SIGSEGV" in found.cases[1].reason
    assert "dying now" in found.cases[1].trace
    assert "2 cases did not run: strange.passes-2, strange.skips-3" in found.problem


def test_nothing_outlives_the_run(tmp_path: Path) -> None:
    """Not even a process that a case has left behind, whatever it holds."""
    pid = tmp_path / "pid"
    began = time.monotonic()
    found = one("leaves", STRANGE_PID=str(pid))
    assert time.monotonic() - began < 60
    assert verdicts(found) == ["passed"]
    assert not _lives(int(pid.read_text()))


def test_an_unreachable_hypervisor_is_a_problem_without_results() -> None:
    plan = Plan(hypervisors=("strange://refuses",), suites=("passes",))
    found = run(plan, program=PROGRAM, variables=variables())
    (hypervisor,) = found.hypervisors
    assert hypervisor.cases == ()
    assert hypervisor.problem == "cannot be reached: nobody listens. Start it."
    assert nothing_ran(found)
    error = failure(found)
    assert isinstance(error, PartialFailure)
    assert error.exit_code == 3


def test_a_child_that_cannot_begin_says_why() -> None:
    plan = Plan(hypervisors=("strange://lab",))
    program = (PROGRAM[0], "-c", "raise SystemExit('no such thing here')")
    found = run(plan, program=program, variables=variables())
    assert "status 1" in found.hypervisors[0].problem
    assert "no such thing here" in found.hypervisors[0].problem
    assert nothing_ran(found)


def test_one_bad_hypervisor_does_not_touch_the_others() -> None:
    plan = Plan(
        hypervisors=("strange://a", "strange://refuses", "strange://b"),
        suites=("passes",),
        parallel=2,
    )
    found = run(plan, program=PROGRAM, variables=variables())
    assert [each.url for each in found.hypervisors] == list(plan.hypervisors)
    assert [len(each.cases) for each in found.hypervisors] == [1, 0, 1]
    assert not nothing_ran(found)
    error = failure(found)
    assert error is not None
    assert error.exit_code == 1


def test_what_happens_is_told_as_it_happens() -> None:
    told: list[Event] = []
    plan = Plan(hypervisors=("strange://lab",), suites=("passes", "skips"))
    run(plan, watch=lambda url, event: told.append(event), program=PROGRAM, variables=variables())
    assert isinstance(told[0], Connected)
    assert isinstance(told[1], Planned)
    assert [case.case for case in told[1].cases] == ["strange.passes-0", "strange.skips-1"]
    ended = [event.result.verdict for event in told if isinstance(event, CaseEnded)]
    assert ended == [Verdict.PASSED, Verdict.SKIPPED]


def test_a_cancelled_run_ends_soon_and_leaves_nothing() -> None:
    token = CancelToken()

    def stop(url: str, event: Event) -> None:
        if isinstance(event, Planned):
            token.cancel()

    plan = Plan(hypervisors=("strange://lab",), suites=("hangs",))
    began = time.monotonic()
    with token.scope(), pytest.raises(Interrupted):
        run(plan, watch=stop, program=PROGRAM, variables=variables())
    assert time.monotonic() - began < 30


def test_facts_about_the_machine_are_in_the_run() -> None:
    plan = Plan(hypervisors=("strange://lab",), suites=("passes",))
    found = run(plan, program=PROGRAM, variables=variables())
    assert found.environment["hypersdk"]
    assert int(found.environment["processors"]) >= 1
    assert HOSTILE not in found.environment.values()


@pytest.mark.parametrize("url", ["lab", "strange://user:hunter2@lab"])
def test_a_url_without_scheme_or_with_a_secret_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        run(Plan(hypervisors=(url,)), program=PROGRAM, variables=variables())
    assert "hunter2" not in str(caught.value)


def _lives(pid: int) -> bool:
    """A zombie does not."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
        except FileNotFoundError:
            return False
        if state == "Z":
            return False
        time.sleep(0.05)
    os.kill(pid, 9)
    return True
