"""Be told what happens: everything once, nothing made up."""

from __future__ import annotations

import time
from collections.abc import Callable

from hypersdk.conformance import expect
from hypersdk.conformance.case import case
from hypersdk.conformance.lab import Lab
from hypersdk.drivers.ports import Following
from hypersdk.model.instances import EventKind, InstanceEvent, InstanceState

#: Seconds without an event after which no more is expected.
SILENCE = 0.5


def _until(
    lab: Lab, following: Following, name: str, wanted: Callable[[InstanceEvent], bool], what: str
) -> InstanceEvent:
    """The event about this instance; others may come before it."""
    heard = []
    deadline = time.monotonic() + lab.expectations.patience
    while (left := deadline - time.monotonic()) > 0:
        event = following.next(min(left, 1.0))
        if event is None or event.name != name:
            continue
        if wanted(event):
            return event
        heard.append(f"{event.kind.value} {event.state.value}")
    raise expect.Unmet(f"no event of {what} in time; heard of it: {heard or 'nothing'}")


def _changed_to(state: InstanceState) -> Callable[[InstanceEvent], bool]:
    return lambda event: event.kind is EventKind.STATE and event.state is state


def _drained(following: Following, name: str) -> list[InstanceEvent]:
    """What is still to be heard about an instance."""
    events = []
    while (event := following.next(SILENCE)) is not None:
        if event.name == name:
            events.append(event)
    return events


@case("events", needs=("lifecycle",))
def following_begins_with_all(lab: Lab) -> None:
    """Whoever begins to follow knows all instances at once, as they are."""
    stopped, running = lab.create(), lab.running()
    with lab.events.follow() as following:
        known = following.instances()
        for made in (stopped, running):
            expect.contains(known, made.name, "instances at the beginning")
            found = known[made.name]
            expect.equal((found.id, found.state), (made.id, made.state), f"{made.name}")


@case("events", needs=("lifecycle",))
def coming_and_going_is_told(lab: Lab) -> None:
    """A new instance and a deleted one are told, and known or not known afterwards."""
    with lab.events.follow() as following:
        made = lab.create()
        event = _until(lab, following, made.name, lambda e: e.kind is EventKind.DEFINED, "a create")
        expect.equal(event.id, made.id, "id in the event")
        expect.contains(following.instances(), made.name, "instances after a create")
        lab.lifecycle.delete(made.name, disks=True)
        _until(lab, following, made.name, lambda e: e.kind is EventKind.REMOVED, "a delete")
        expect.lacks(following.instances(), made.name, "instances after a delete")


@case("events.state", needs=("lifecycle",))
def changes_of_state_are_told(lab: Lab) -> None:
    """Start and stop are told with the state after them, and the followed instances show it."""
    name = lab.create().name
    with lab.events.follow() as following:
        for operation, state in (
            (lab.lifecycle.start, InstanceState.RUNNING),
            (lambda known: lab.lifecycle.stop(known, force=True), InstanceState.STOPPED),
        ):
            operation(name)
            _until(lab, following, name, _changed_to(state), f"the state {state.value}")
            expect.equal(following.instances()[name].state, state, "state as it is followed")


@case("events.state", needs=("lifecycle", "lifecycle.pause"))
def pauses_are_told(lab: Lab) -> None:
    """Pause and resume are told."""
    name = lab.running().name
    with lab.events.follow() as following:
        for operation, state in (
            (lab.lifecycle.pause, InstanceState.PAUSED),
            (lab.lifecycle.resume, InstanceState.RUNNING),
        ):
            operation(name)
            _until(lab, following, name, _changed_to(state), state.value)


@case("events.state", needs=("lifecycle",))
def what_others_do_is_told(lab: Lab) -> None:
    """What another connection does is told as well."""
    name = lab.create().name
    other = lab.connect()
    with lab.events.follow() as following:
        other.lifecycle.start(name)
        _until(
            lab, following, name, lambda e: e.state is InstanceState.RUNNING, "a start by another"
        )


@case("events.state", needs=("lifecycle",))
def each_comes_once(lab: Lab) -> None:
    """An event comes once; operations that change nothing tell nothing."""
    name = lab.create().name
    with lab.events.follow() as following:
        lab.lifecycle.start(name)
        _until(lab, following, name, lambda e: e.state is InstanceState.RUNNING, "a start")
        lab.lifecycle.start(name)
        again = [e for e in _drained(following, name) if e.kind is EventKind.STATE]
        expect.equal([e.state for e in again], [], "states told after the start was told")


@case("events", needs=("lifecycle",))
def followers_do_not_disturb_each_other(lab: Lab) -> None:
    """Two followers each hear everything."""
    with lab.events.follow() as first, lab.events.follow() as second:
        name = lab.create().name
        for following in (first, second):
            _until(lab, following, name, lambda e: e.kind is EventKind.DEFINED, "a create")


@case("events")
def silence_is_none(lab: Lab) -> None:
    """Without an event ``next`` returns None after its timeout, and does not wait longer."""
    with lab.events.follow() as following:
        began = time.monotonic()
        for _ in range(3):
            following.next(0.1)
        expect.true(time.monotonic() - began < 10, "three times 0.1 s took more than 10 s")
