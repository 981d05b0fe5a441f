"""Defects in points in time, and in copies."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypersdk.drivers.calls import Call
from hypersdk.model.capabilities import Limit
from hypersdk.model.errors import AlreadyExists, InvalidState, NotFound
from tests.conformance.mutants import Go, Seat, mutant


def _snapshot(call: Call) -> str:
    return str(call.arguments[1])


@mutant("snapshots")
def revert_brings_nothing_back(at: Seat, call: Call, go: Go) -> Any:
    """Reverting returns, and the disk stays as it is."""
    if call.operation == "snapshots.revert":
        listed = [kept.name for kept in at.mock.snapshots.snapshots(call.instance)]
        if _snapshot(call) not in listed:
            return go()
        return None
    return go()


@mutant("snapshots")
def revert_loses_later_ones(at: Seat, call: Call, go: Go) -> Any:
    """Reverting deletes the snapshots that came later."""
    answer = go()
    if call.operation == "snapshots.revert":
        for kept in at.mock.snapshots.snapshots(call.instance):
            if kept.parent == _snapshot(call):
                at.mock.snapshots.delete(call.instance, kept.name, children=True)
    return answer


@mutant("snapshots")
def they_are_listed_by_name(at: Seat, call: Call, go: Go) -> Any:
    """Snapshots are listed by name, children before parents."""
    answer = go()
    if call.operation == "snapshots.snapshots":
        return sorted(answer, key=lambda kept: str(kept.name))
    return answer


@mutant("snapshots")
def the_tree_is_flat(at: Seat, call: Call, go: Go) -> Any:
    """Each snapshot is shown as the child of the one listed before it."""
    answer = go()
    if call.operation == "snapshots.snapshots":
        names = ["", *(kept.name for kept in answer)]
        return [replace(kept, parent=name) for kept, name in zip(answer, names, strict=False)]
    return answer


@mutant("snapshots")
def delete_takes_children_always(at: Seat, call: Call, go: Go) -> Any:
    """Deleting a snapshot deletes all that descend from it."""
    if call.operation == "snapshots.delete":
        return at.mock.snapshots.delete(call.instance, _snapshot(call), children=True)
    return go()


@mutant("snapshots")
def delete_of_missing_succeeds_for_snapshots(at: Seat, call: Call, go: Go) -> Any:
    """Deleting a snapshot that is not there succeeds."""
    try:
        return go()
    except NotFound:
        if call.operation == "snapshots.delete" and at.mock.inventory.instance(call.instance):
            return None
        raise


@mutant("snapshots")
def a_second_of_a_name_replaces_the_first(at: Seat, call: Call, go: Go) -> Any:
    """A snapshot under a name that is taken replaces the one that has it."""
    try:
        return go()
    except AlreadyExists:
        if call.operation != "snapshots.create":
            raise
    at.mock.snapshots.delete(call.instance, _snapshot(call))
    return at.mock.snapshots.create(*call.arguments, **call.options)


@mutant("snapshots")
def descriptions_are_lost(at: Seat, call: Call, go: Go) -> Any:
    """The description of a snapshot is forgotten."""
    answer = go()
    if call.operation == "snapshots.snapshots":
        return [replace(kept, description="") for kept in answer]
    return answer


@mutant("snapshots")
def memory_is_not_kept(at: Seat, call: Call, go: Go) -> Any:
    """A snapshot with memory is made without, and nothing says so."""
    if call.operation == "snapshots.create" and call.options.get("memory"):
        made = at.mock.snapshots.create(*call.arguments)
        return replace(made, memory=True)
    return go()


@mutant("snapshots")
def a_snapshot_stops_the_instance(at: Seat, call: Call, go: Go) -> Any:
    """Making a snapshot of a running instance stops it."""
    answer = go()
    if call.operation == "snapshots.create":
        at.mock.lifecycle.stop(call.instance, force=True)
    return answer


@mutant("refused", limits=(Limit("snapshots.memory", "the mutant says it cannot keep the memory"),))
def a_limit_is_quietly_ignored(at: Seat, call: Call, go: Go) -> Any:
    """Snapshots with memory are said to be impossible, and are made without it all the same."""
    if call.operation == "snapshots.create":
        options = {**call.options, "memory": False}
        return at.mock.snapshots.create(*call.arguments, **options)
    return go()


@mutant("refused", limits=(Limit("lifecycle.tags", "the mutant says it cannot keep tags"),))
def a_limit_of_a_spec_is_dropped(at: Seat, call: Call, go: Go) -> Any:
    """Tags are said to be impossible, and specs with tags are made without them."""
    if call.operation == "lifecycle.create":
        return at.mock.lifecycle.create(replace(call.arguments[0], tags={}))
    return go()


@mutant("core", limits=(Limit("snapshots.speed", "the mutant made this aspect up"),))
def a_limit_is_made_up(at: Seat, call: Call, go: Go) -> Any:
    """A limit names an aspect that there is not."""
    return go()


@mutant("core", lacks=("hotplug.set_memory",))
def a_part_lacks_a_method(at: Seat, call: Call, go: Go) -> Any:
    """A part lacks a method of its port."""
    return go()


@mutant("clones")
def running_ones_are_cloned(at: Seat, call: Call, go: Go) -> Any:
    """Cloning a running instance stops it first."""
    if call.operation == "clones.clone":
        at.mock.lifecycle.stop(call.instance, force=True)
    return go()


@mutant("clones")
def clones_are_empty(at: Seat, call: Call, go: Go) -> Any:
    """A clone has disks of the right size, with nothing on them."""
    answer = go()
    if call.operation == "clones.clone":
        for disk in answer.disks:
            with at.mock.guest(answer.name, disk.name) as guest:
                guest.zero(0, disk.size)
    return answer


@mutant("clones")
def templates_start(at: Seat, call: Call, go: Go) -> Any:
    """A template can be started."""
    try:
        return go()
    except InvalidState:
        if call.operation != "lifecycle.start":
            raise
    at.mock.clones.unmake_template(call.instance)
    return at.mock.lifecycle.start(call.instance)
