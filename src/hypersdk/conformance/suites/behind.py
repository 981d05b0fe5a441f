"""What others do to an instance behind the driver's back: seen, and answered by class."""

from __future__ import annotations

from collections.abc import Callable

from hypersdk.conformance import expect
from hypersdk.conformance.case import case
from hypersdk.conformance.lab import Lab
from hypersdk.conformance.target import Removes
from hypersdk.model.errors import AlreadyExists, InstanceNotFound
from hypersdk.model.instances import InstanceState


def _gone(lab: Lab, name: str) -> None:
    """Everything asked of an instance that vanished says so."""
    for what, ask in (
        ("a look", lambda: lab.look(name)),
        ("a start", lambda: lab.lifecycle.start(name)),
        ("a stop", lambda: lab.lifecycle.stop(name, force=True)),
        ("a delete", lambda: lab.lifecycle.delete(name)),
    ):
        expect.raises(InstanceNotFound, ask, f"{what} at what another removed")
    expect.lacks(lab.names(), name, "the list")


@case("lifecycle")
def removed_by_another_connection(lab: Lab) -> None:
    """An instance that another connection deleted is not found, and its name is free."""
    name = lab.create().name
    lab.look(name)
    lab.connect().lifecycle.delete(name, disks=True)
    _gone(lab, name)
    lab.create(lab.spec(name=name))


@case("lifecycle")
def removed_past_the_driver(lab: Lab) -> None:
    """An instance that was removed with the backend's own means is not found, and nothing is
    left of it."""
    if not isinstance(lab.target, Removes):
        expect.skip("the target cannot remove instances past the driver")
    with lab.nothing_left():
        name = lab.create().name
        lab.look(name)
        lab.target.remove(name)
        _gone(lab, name)
    lab.create(lab.spec(name=name))


@case("lifecycle")
def started_and_stopped_by_another(lab: Lab) -> None:
    """States that another connection brought about are seen at once."""
    name = lab.create().name
    other = lab.connect()
    other.lifecycle.start(name)
    expect.equal(lab.state(name), InstanceState.RUNNING, "state after another started it")
    lab.lifecycle.start(name)
    other.lifecycle.stop(name, force=True)
    expect.equal(lab.state(name), InstanceState.STOPPED, "state after another stopped it")
    lab.lifecycle.stop(name, force=True)


@case("lifecycle")
def listed_though_made_by_another(lab: Lab) -> None:
    """The list shows what another connection made since the last list, and not what it deleted."""
    mine = lab.create().name
    lab.names()
    other = lab.connect()
    theirs = other.lifecycle.create(lab.spec()).name
    other.lifecycle.delete(mine, disks=True)
    names = lab.names()
    expect.contains(names, theirs, "the list")
    expect.lacks(names, mine, "the list")


@case("lifecycle")
def replaced_by_another(lab: Lab) -> None:
    """An instance that was deleted and made anew by another is seen as the new one."""
    made = lab.create()
    other = lab.connect()
    other.lifecycle.delete(made.name, disks=True)
    anew = other.lifecycle.create(lab.spec(name=made.name, vcpus=2))
    expect.equal(lab.look(made.name), anew, "what is seen under the name")
    expect.raises(AlreadyExists, lambda: lab.create(lab.spec(name=made.name)), "making it too")


@case("lifecycle", needs=("observer",))
def nothing_drifts(lab: Lab) -> None:
    """After a life of many steps the driver and the backend still agree on every figure."""
    made = lab.create(vcpus=2)
    steps: tuple[Callable[[], None], ...] = (
        lambda: lab.lifecycle.start(made.name),
        lambda: lab.lifecycle.stop(made.name, force=True),
        lambda: lab.lifecycle.start(made.name),
    )
    for step in steps:
        step()
        shown, seen = lab.look(made.name), lab.observer.look(made.name)
        if seen is None:
            expect.fail("the backend does not know the instance")
        for field in ("id", "state", "vcpus", "memory"):
            value = getattr(seen, field)
            if value not in (None, ""):
                expect.equal(getattr(shown, field), value, f"{field}, compared with the backend")


@case("snapshots")
def snapshots_of_another_connection_are_seen(lab: Lab) -> None:
    """Snapshots that another connection made or deleted are seen, or not, at once."""
    name = lab.create().name
    other = lab.connect()
    other.snapshots.create(name, "theirs")
    expect.equal([s.name for s in lab.snapshots.snapshots(name)], ["theirs"], "snapshots")
    other.snapshots.delete(name, "theirs")
    expect.equal(list(lab.snapshots.snapshots(name)), [], "snapshots")
