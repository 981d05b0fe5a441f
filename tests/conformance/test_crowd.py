"""A thousand instances at once on the mock: nothing is lost, and questions are answered soon.

The figure is for a machine of two processors that does nothing else; the bound here leaves room for
tests that run beside this one.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from hypersdk.conformance.crowd import crowd
from hypersdk.conformance.figures import figures
from hypersdk.conformance.registry import load_target
from hypersdk.conformance.target import Site, Target
from hypersdk.drivers.calls import Call, intercepted
from hypersdk.model.errors import HypervisorError
from tests.conformance.meddled import Meddled

#: Seconds; the figure that is promised on a quiet machine.
PROMISED = 0.050
#: What a busy machine gets on top.
BUSY = 10


def test_a_thousand_instances_two_hundred_at_a_time(tmp_path: Path) -> None:
    target = load_target(f"mock://{tmp_path}", Site())
    found = crowd(target, instances=1000, workers=200)
    assert found.lost == ()
    by_operation = {each.operation: each for each in figures(found.samples)}
    assert by_operation["crowd create"].count == 1000
    assert by_operation["crowd delete"].count == 1000
    assert by_operation["crowd status"].p99 < PROMISED * BUSY, os.getloadavg()
    assert target.observer is not None
    assert not any("crowd" in each for each in target.observer.resources())


def lost(folder: Path, meddle: Callable[[Call, Callable[[], Any]], Any]) -> tuple[str, ...]:
    target = Meddled(load_target(f"mock://{folder}", Site()), lambda e: intercepted(e, meddle))
    return crowd(cast("Target", target), instances=12, workers=6).lost


def test_a_lost_update_is_noticed(tmp_path: Path) -> None:
    def forgets(call: Call, go: Callable[[], Any]) -> Any:
        return None if call.operation == "lifecycle.pause" else go()

    assert any("was left paused and reads running" in each for each in lost(tmp_path, forgets))


def test_a_lost_snapshot_is_noticed(tmp_path: Path) -> None:
    def forgets(call: Call, go: Callable[[], Any]) -> Any:
        if call.operation == "snapshots.create" and call.arguments[1] == "at-once-3":
            return None
        return go()

    assert lost(tmp_path, forgets) == ("snapshot at-once-3 was taken and is not listed",)


def test_an_instance_that_stays_is_noticed(tmp_path: Path) -> None:
    def keeps(call: Call, go: Callable[[], Any]) -> Any:
        if call.operation == "lifecycle.delete" and call.instance.endswith("-3"):
            return None
        return go()

    (said,) = lost(tmp_path, keeps)
    assert said.endswith("was deleted and is still there")


def test_a_failure_is_told(tmp_path: Path) -> None:
    def fails(call: Call, go: Callable[[], Any]) -> Any:
        if call.operation == "lifecycle.start" and call.instance.endswith("-3"):
            raise HypervisorError("out of order")
        return go()

    assert any(each.endswith("out of order") for each in lost(tmp_path, fails))
