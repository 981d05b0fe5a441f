"""Samples are those of real calls; warm-up is dropped; a failure leaves nothing behind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from hypersdk.conformance.benchmark import READS, measure
from hypersdk.conformance.registry import load_target
from hypersdk.conformance.target import Site
from hypersdk.datapath.cancel import CancelToken
from hypersdk.drivers.calls import Call, intercepted
from hypersdk.drivers.ports import Hypervisor
from hypersdk.model.errors import HypervisorError, Interrupted
from tests.conformance.meddled import Lacking, Meddled


def ticking() -> Callable[[], float]:
    """A clock that shows one second more each time that it is looked at."""
    seconds = count()
    return lambda: float(next(seconds))


def test_each_operation_has_its_samples(tmp_path: Path) -> None:
    target = load_target(f"mock://{tmp_path}", Site())
    found = list(measure(target, samples=3, warm_up=2))
    counted = Counter(sample.operation for sample in found)
    single = ("create", "start", "stop", "delete", "snapshot", "snapshot delete")
    assert counted == {**dict.fromkeys(single, 3), "status": 3 * READS, "list": 3 * READS}
    assert all(sample.seconds > 0 for sample in found)
    for operation, number in counted.items():
        indexes = [sample.index for sample in found if sample.operation == operation]
        assert indexes == list(range(number))
    assert target.observer is not None
    assert not any("bench" in each for each in target.observer.resources())


def test_the_time_is_that_of_the_call_alone(tmp_path: Path) -> None:
    target = load_target(f"mock://{tmp_path}", Site())
    found = list(measure(target, samples=1, warm_up=0, clock=ticking()))
    assert {sample.seconds for sample in found} == {1.0}


def test_guests_that_do_not_obey_are_cut_off(tmp_path: Path) -> None:
    target = load_target(f"mock://{tmp_path}?obeys_stop=false", Site())
    operations = {sample.operation for sample in measure(target, samples=1, warm_up=0)}
    assert "force stop" in operations
    assert "stop" not in operations


def test_a_hypervisor_without_snapshots(tmp_path: Path) -> None:
    target = load_target(f"mock://{tmp_path}?without=snapshots", Site())
    operations = {sample.operation for sample in measure(target, samples=1, warm_up=0)}
    assert not {each for each in operations if "snapshot" in each}


def test_snapshots_of_stopped_instances_where_running_ones_have_none(tmp_path: Path) -> None:
    order: list[str] = []

    def watch(call: Call, go: Callable[[], Any]) -> Any:
        order.append(call.operation)
        return go()

    def limited(hypervisor: Hypervisor) -> Hypervisor:
        made = intercepted(hypervisor, watch)
        setattr(made, "snapshots", Lacking(made.snapshots, "snapshots.running"))  # noqa: B010 - of the port
        return made

    target = Meddled(load_target(f"mock://{tmp_path}", Site()), limited)
    list(measure(target, samples=1, warm_up=0))
    assert order.index("snapshots.create") > order.index("lifecycle.stop")


@pytest.mark.parametrize(
    "operation", ["lifecycle.start", "inventory.instance", "snapshots.create", "lifecycle.delete"]
)
def test_a_failure_is_told_and_nothing_stays(tmp_path: Path, operation: str) -> None:
    failed: list[str] = []

    def fail_once(call: Call, go: Callable[[], Any]) -> Any:
        if call.operation == operation and not failed:
            failed.append(operation)
            raise HypervisorError("no")
        return go()

    target = Meddled(
        load_target(f"mock://{tmp_path}", Site()), lambda each: intercepted(each, fail_once)
    )
    before = target.observer.resources() if target.observer else frozenset()
    with pytest.raises(HypervisorError, match="no"):
        list(measure(target, samples=1, warm_up=0))
    assert target.observer is not None
    assert target.observer.resources() == before


def test_it_can_be_stopped(tmp_path: Path) -> None:
    target = load_target(f"mock://{tmp_path}", Site())
    token = CancelToken()

    def rounds() -> Iterator[None]:
        for _ in measure(target, samples=1000, warm_up=0):
            token.cancel()
            yield

    with token.scope(), pytest.raises(Interrupted):
        list(rounds())
