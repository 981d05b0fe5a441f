"""Defects in metrics, hotplug, console and events."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypersdk.drivers.calls import Call
from hypersdk.model.errors import InvalidState
from hypersdk.model.instances import EventKind, InstanceState
from tests.conformance.mutants import Go, Seat, mutant
from tests.conformance.mutants.disks import Over


def _measured(call: Call, go: Go, **figures: Any) -> Any:
    answer = go()
    if call.operation == "metrics.metrics":
        return [replace(found, **figures) for found in answer]
    return answer


@mutant("metrics")
def processor_time_is_constant(at: Seat, call: Call, go: Go) -> Any:
    """Processor time is always the same figure."""
    answer = go()
    if call.operation == "metrics.metrics":
        return [
            replace(found, cpu_nanoseconds=42 if found.state is InstanceState.RUNNING else 0)
            for found in answer
        ]
    return answer


@mutant("metrics")
def stopped_ones_use_memory(at: Seat, call: Call, go: Go) -> Any:
    """A stopped instance is said to use memory."""
    return _measured(call, go, memory_resident=4096)


@mutant("metrics")
def memory_in_use_is_unknown(at: Seat, call: Call, go: Go) -> Any:
    """Memory in use is always 0."""
    return _measured(call, go, memory_resident=0)


@mutant("metrics")
def stopped_ones_have_no_metrics(at: Seat, call: Call, go: Go) -> Any:
    """Stopped instances are missing in the metrics of all."""
    answer = go()
    if call.operation == "metrics.metrics":
        return [found for found in answer if found.state is not InstanceState.STOPPED]
    return answer


@mutant("metrics")
def metrics_are_always_of_all(at: Seat, call: Call, go: Go) -> Any:
    """Names are ignored: the metrics of all are given."""
    return at.mock.metrics.metrics() if call.operation == "metrics.metrics" else go()


@mutant("metrics")
def disks_are_not_counted(at: Seat, call: Call, go: Go) -> Any:
    """Disks are missing in the metrics."""
    return _measured(call, go, disks=())


@mutant("hotplug")
def hotplugged_disks_vanish(at: Seat, call: Call, go: Go) -> Any:
    """A disk that was attached is gone after the next start."""
    plugged = at.shared.setdefault("plugged", {})
    answer = go()
    if call.operation == "hotplug.attach_disk":
        plugged.setdefault(call.instance, []).append(answer.name)
    if call.operation == "lifecycle.start":
        for disk in plugged.pop(call.instance, ()):
            at.mock.hotplug.detach_disk(call.instance, disk)
    return answer


@mutant("hotplug")
def hotplugged_vcpus_are_for_the_moment(at: Seat, call: Call, go: Go) -> Any:
    """The number of processors is the old one again after a restart."""
    before = at.shared.setdefault("vcpus", {})
    if call.operation == "hotplug.set_vcpus":
        before.setdefault(call.instance, at.mock.inventory.instance(call.instance).vcpus)
    answer = go()
    if call.operation == "lifecycle.stop" and call.instance in before:
        at.mock.hotplug.set_vcpus(call.instance, before.pop(call.instance))
    return answer


@mutant("hotplug")
def memory_is_not_changed(at: Seat, call: Call, go: Go) -> Any:
    """Changing the memory returns and has done nothing."""
    return None if call.operation == "hotplug.set_memory" else go()


@mutant("hotplug")
def detached_disks_are_deleted(at: Seat, call: Call, go: Go) -> Any:
    """The content of a disk is deleted when it is detached."""
    answer = go()
    if call.operation == "hotplug.detach_disk":
        kept = Path(at.url.removeprefix("mock://").partition("?")[0], "kept")
        shutil.rmtree(kept)
    return answer


@mutant("console")
def screenshots_are_no_pictures(at: Seat, call: Call, go: Go) -> Any:
    """A screenshot is the begin of a PNG and then text."""
    if call.operation == "console.screenshot":
        go()
        return b"\x89PNG\r\n\x1a\nnothing to see here, and nothing behind it"
    return go()


@mutant("console")
def stopped_ones_have_screens(at: Seat, call: Call, go: Go) -> Any:
    """A stopped instance gives a screenshot."""
    try:
        return go()
    except InvalidState:
        if call.operation == "console.screenshot":
            return b""
        raise


@mutant("console")
def unknown_keys_are_dropped(at: Seat, call: Call, go: Go) -> Any:
    """Keys that do not exist are ignored."""
    if call.operation == "console.send_keys" and "nosuchkey" in call.arguments[1]:
        return None
    return go()


def _followed(call: Call, go: Go, change: Any) -> Any:
    answer = go()
    if call.operation != "events.follow":
        return answer
    return Over(answer, next=lambda timeout: change(answer, timeout))


@mutant("events")
def changes_of_state_are_not_told(at: Seat, call: Call, go: Go) -> Any:
    """Events tell of instances that come and go, and not of their states."""

    def change(following: Any, timeout: float) -> Any:
        event = following.next(timeout)
        return None if event is not None and event.kind is EventKind.STATE else event

    return _followed(call, go, change)


@mutant("events")
def deletes_are_not_told(at: Seat, call: Call, go: Go) -> Any:
    """Nobody is told that an instance was deleted."""

    def change(following: Any, timeout: float) -> Any:
        event = following.next(timeout)
        return None if event is not None and event.kind is EventKind.REMOVED else event

    return _followed(call, go, change)


@mutant("events")
def events_come_twice(at: Seat, call: Call, go: Go) -> Any:
    """Each event comes twice."""
    again: list[Any] = []

    def change(following: Any, timeout: float) -> Any:
        if again:
            return again.pop()
        event = following.next(timeout)
        if event is not None:
            again.append(event)
        return event

    return _followed(call, go, change)
