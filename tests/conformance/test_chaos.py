"""Chaos holds on a sound hypervisor, is the same for the same seed, and notices what is broken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, cast

import pytest

from hypersdk.conformance.chaos import ChaosReport, chaos
from hypersdk.conformance.chaos.plan import FAULTS, Act, steps
from hypersdk.conformance.registry import load_target
from hypersdk.conformance.target import Site, Target
from hypersdk.datapath.cancel import CancelToken
from hypersdk.drivers.calls import Call, intercepted
from hypersdk.model.errors import AlreadyExists, HypervisorError, InvalidInput
from hypersdk.model.instances import Instance, InstanceState
from tests.conformance.meddled import Meddled

#: Enough for every act to have happened in each state that it can happen in.
STEPS = 600

FAULTY = """
seed = 5
[[failures]]
operation = "lifecycle.*"
kind = "before_effect"
rate = 0.04
[[failures]]
operation = "lifecycle.*"
kind = "after_effect"
rate = 0.04
[[failures]]
operation = "snapshots.*"
kind = "lost_reply"
rate = 0.10
[[failures]]
operation = "lifecycle.start"
kind = "state_drift"
state = "crashed"
rate = 0.05
[[failures]]
operation = "inventory.*"
kind = "before_effect"
rate = 0.02
[[failures]]
operation = "lifecycle.stop"
kind = "crash"
calls = 3
rate = 0.02
"""


def mock(folder: Path, query: str = "") -> Target:
    return load_target(f"mock://{folder}{query}", Site())


def run(target: Target, *, seed: int = 1, faults: bool = False, limit: int = STEPS) -> ChaosReport:
    # Time is no bound here: a slow machine does the same steps.
    return chaos(target, seed=seed, seconds=3600, limit=limit, faults=faults)


def problems(report: ChaosReport) -> list[str]:
    return [f"{each.step} {each.act}: {each.problem}" for each in report.violations]


@pytest.mark.parametrize("seed", [1, 2])
def test_all_holds_on_a_sound_hypervisor(tmp_path: Path, seed: int) -> None:
    target = mock(tmp_path)
    before = target.observer.resources() if target.observer else None
    report = run(target, seed=seed)
    assert problems(report) == []
    assert report.steps == STEPS
    assert set(report.tally) == {act.value for act in set(Act) - FAULTS}
    assert all(outcomes.get("done") for outcomes in report.tally.values())
    assert report.drifts == 0
    assert target.observer is not None
    assert target.observer.resources() == before


def test_all_holds_while_connections_are_cut_and_instances_crash(tmp_path: Path) -> None:
    report = run(mock(tmp_path), faults=True)
    assert problems(report) == []
    assert all(report.tally[act.value].get("done") for act in FAULTS)


@pytest.mark.parametrize("seed", [1, 3])
def test_all_holds_on_a_hypervisor_that_fails(tmp_path: Path, seed: int) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(FAULTY)
    folder = tmp_path / "lab"
    folder.mkdir()
    report = run(mock(folder, f"?config={plan}"), seed=seed, faults=True)
    assert problems(report) == []
    assert sum(outcomes.get("uncertain", 0) for outcomes in report.tally.values()) > 10


def test_without_faults_expected_a_failing_hypervisor_is_noticed(tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(FAULTY)
    folder = tmp_path / "lab"
    folder.mkdir()
    assert problems(run(mock(folder, f"?config={plan}")))


def test_the_same_seed_does_the_same(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()
    first, second = (run(mock(folder), seed=9, faults=True, limit=300) for folder in folders)
    assert first.journal == second.journal
    assert len(first.journal) == 300


def test_steps_follow_from_the_seed_alone() -> None:
    def some(seed: int) -> list[object]:
        return list(islice(steps(seed, set(Act), 5), 200))

    assert some(1) == some(1)
    assert some(1) != some(2)
    longer = list(islice(steps(1, set(Act), 5), 400))
    assert longer[:200] == some(1)


def test_instances_of_the_same_names_are_left_alone(tmp_path: Path) -> None:
    target = mock(tmp_path)
    hypervisor = target.connect()
    assert hypervisor.lifecycle is not None
    assert hypervisor.inventory is not None
    hypervisor.lifecycle.create(target.spec("chaos-1-0"))
    with pytest.raises(AlreadyExists, match="chaos-1-0"):
        run(target, seed=1)
    assert hypervisor.inventory.instance("chaos-1-0")


def test_others_are_left_alone(tmp_path: Path) -> None:
    target = mock(tmp_path)
    hypervisor = target.connect()
    assert hypervisor.lifecycle is not None
    assert hypervisor.inventory is not None
    made = hypervisor.lifecycle.create(target.spec("mine"))
    assert problems(run(target, limit=200)) == []
    assert hypervisor.inventory.instance("mine") == made


def test_a_cancelled_run_tidies_up(tmp_path: Path) -> None:
    target = mock(tmp_path)
    token = CancelToken()
    seen: list[str] = []

    def watch(line: str) -> None:
        seen.append(line)
        if len(seen) == 50:
            token.cancel()

    report = chaos(target, seed=1, seconds=3600, cancel=token, watch=watch)
    assert report.steps == 50
    assert problems(report) == []
    hypervisor = target.connect()
    assert hypervisor.inventory is not None
    assert list(hypervisor.inventory.instances()) == []


def test_it_ends_when_its_time_is_over(tmp_path: Path) -> None:
    report = chaos(mock(tmp_path), seed=1, seconds=0.2)
    assert report.steps > 0
    assert report.seconds < 30


def test_a_hypervisor_without_lifecycle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="lifecycle"):
        run(mock(tmp_path, "?without=lifecycle"))


# What is broken below must be noticed. Each gets the calls of one kind wrong.


def ignored(operation: str) -> Callable[[Call, Callable[[], Any]], Any]:
    """Succeeds, and nothing is done."""

    def meddle(call: Call, go: Callable[[], Any]) -> Any:
        return None if call.operation == operation else go()

    return meddle


def forgets_one(call: Call, go: Callable[[], Any]) -> Any:
    """The listing lacks its last instance."""
    answer = go()
    return iter(list(answer)[:-1]) if call.operation == "inventory.instances" else answer


def lies_about_state(call: Call, go: Callable[[], Any]) -> Any:
    """Paused is told as running."""
    answer = go()
    if call.operation == "inventory.instance":
        seen = cast("Instance", answer)
        if seen.state is InstanceState.PAUSED:
            return replace(seen, state=InstanceState.RUNNING)
    return answer


def changes_ids() -> Callable[[Call, Callable[[], Any]], Any]:
    numbers = iter(range(10**9))

    def meddle(call: Call, go: Callable[[], Any]) -> Any:
        answer = go()
        if call.operation == "inventory.instance":
            return replace(cast("Instance", answer), id=f"id-{next(numbers)}")
        return answer

    return meddle


def fails_after_all(call: Call, go: Callable[[], Any]) -> Any:
    """Starting works and is told as a failure."""
    answer = go()
    if call.operation == "lifecycle.start":
        raise HypervisorError("it did not work")
    return answer


def wrong_class(call: Call, go: Callable[[], Any]) -> Any:
    """Refusals are told as any failure."""
    try:
        return go()
    except Exception as error:
        if call.operation == "lifecycle.pause":
            raise HypervisorError(str(error)) from error
        raise


BROKEN: dict[str, Callable[[Call, Callable[[], Any]], Any]] = {
    "start does nothing": ignored("lifecycle.start"),
    "stop does nothing": ignored("lifecycle.stop"),
    "pause does nothing": ignored("lifecycle.pause"),
    "delete does nothing": ignored("lifecycle.delete"),
    "revert does nothing": ignored("snapshots.revert"),
    "snapshots are not taken": ignored("snapshots.create"),
    "snapshots stay": ignored("snapshots.delete"),
    "the listing is not whole": forgets_one,
    "the state is not observed": lies_about_state,
    "ids change": changes_ids(),
    "effects are told as failures": fails_after_all,
    "errors have the wrong class": wrong_class,
}


@pytest.mark.parametrize("defect", sorted(BROKEN))
def test_a_broken_driver_is_noticed(tmp_path: Path, defect: str) -> None:
    target = Meddled(mock(tmp_path), lambda each: intercepted(each, BROKEN[defect]))
    assert problems(run(cast("Target", target), limit=3 * STEPS))


def test_a_disk_that_changes_by_itself_is_noticed(tmp_path: Path) -> None:
    target = mock(tmp_path)
    guest = target.guest
    assert guest is not None

    def scribbling(call: Call, go: Callable[[], Any]) -> Any:
        answer = go()
        if call.operation == "lifecycle.resume":
            guest.write(call.instance, 0, b"scribble")
        return answer

    found = problems(run(cast("Target", Meddled(target, lambda e: intercepted(e, scribbling)))))
    assert any("does not hold what was written" in each for each in found)


def test_what_is_left_behind_is_noticed(tmp_path: Path) -> None:
    target = mock(tmp_path)

    def littering(call: Call, go: Callable[[], Any]) -> Any:
        answer = go()
        if call.operation == "lifecycle.delete":
            (tmp_path / "kept").mkdir(exist_ok=True)
            (tmp_path / "kept" / "rest.raw").touch()
        return answer

    at_once = replace(target.expectations, settle=0.0)
    meddled = Meddled(target, lambda e: intercepted(e, littering), expectations=at_once)
    found = problems(run(cast("Target", meddled), limit=200))
    assert any("left behind" in each for each in found)


def test_a_violation_is_told_with_its_step(tmp_path: Path) -> None:
    target = Meddled(mock(tmp_path), lambda each: intercepted(each, ignored("lifecycle.pause")))
    report = run(cast("Target", target))
    first = report.violations[0]
    assert first.act == "pause"
    assert first.problem == "it must end with InstanceNotFound and succeeded"
    assert report.journal[first.step].endswith(f"VIOLATION: {first.problem}")


def test_a_failing_guest_of_the_target_is_told_as_what_it_is(tmp_path: Path) -> None:
    class Deaf:
        disk = "vda"

        def write(self, name: str, offset: int, data: bytes) -> None:
            raise OSError("no such device")

        zero = read = write

    target = Meddled(mock(tmp_path), lambda each: each, guest=Deaf())
    found = problems(run(cast("Target", target), limit=100))
    assert any("the target itself failed: no such device" in each for each in found)
