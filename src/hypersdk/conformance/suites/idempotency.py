"""Asking again for what is done already."""

from __future__ import annotations

from hypersdk.conformance import expect
from hypersdk.conformance.case import case
from hypersdk.conformance.lab import Lab
from hypersdk.model.errors import AlreadyExists, InstanceNotFound
from hypersdk.model.instances import InstanceState

#: How often each is asked again.
TIMES = 10


@case("lifecycle")
def start_ten_times(lab: Lab) -> None:
    """Starting a running instance succeeds each time and starts nothing anew."""
    made = lab.running()
    for _ in range(TIMES):
        lab.lifecycle.start(made.name)
    expect.equal(lab.look(made.name), made, "the instance")


@case("lifecycle")
def stop_ten_times(lab: Lab) -> None:
    """Stopping a stopped instance by force succeeds each time."""
    made = lab.create()
    for _ in range(TIMES):
        lab.lifecycle.stop(made.name, force=True)
    expect.equal(lab.look(made.name), made, "the instance")


@case("lifecycle.graceful_stop")
def stop_of_stopped_needs_no_guest(lab: Lab) -> None:
    """Stopping a stopped instance without force succeeds at once, though no guest answers."""
    made = lab.create()
    for _ in range(TIMES):
        expect.at_most(
            lab.expectations.stop, lambda: lab.lifecycle.stop(made.name), "stop of a stopped one"
        )
    expect.equal(lab.state(made.name), InstanceState.STOPPED, "its state")


@case("lifecycle.pause")
def pause_and_resume_ten_times(lab: Lab) -> None:
    """Pausing a paused instance and resuming a running one succeed each time."""
    made = lab.running()
    for _ in range(TIMES):
        lab.lifecycle.resume(made.name)
    expect.equal(lab.state(made.name), InstanceState.RUNNING, "state after resumes")
    for _ in range(TIMES):
        lab.lifecycle.pause(made.name)
    expect.equal(lab.state(made.name), InstanceState.PAUSED, "state after pauses")


@case("lifecycle")
def delete_again_says_it_is_gone(lab: Lab) -> None:
    """Deleting a deleted instance raises InstanceNotFound each time."""
    name = lab.create().name
    lab.lifecycle.delete(name, disks=True)
    for _ in range(TIMES):
        expect.raises(
            InstanceNotFound, lambda: lab.lifecycle.delete(name), "deleting what is deleted"
        )


@case("lifecycle")
def create_again_refuses_and_harms_nothing(lab: Lab) -> None:
    """Creating under a name that is taken raises AlreadyExists; the first stays as it is."""
    spec = lab.spec(tags={"kit": "first"}) if _tags(lab) else lab.spec()
    made = lab.create(spec)
    with lab.unchanged(made.name), lab.nothing_left():
        for _ in range(TIMES):
            expect.raises(AlreadyExists, lambda: lab.create(spec), "creating it once more")
            expect.raises(
                AlreadyExists,
                lambda: lab.create(lab.spec(name=made.name, vcpus=2)),
                "creating another of its name",
            )


@case("lifecycle")
def create_over_a_running_one_refuses(lab: Lab) -> None:
    """The name of a running instance is taken as well, and it runs on."""
    made = lab.running()
    with lab.unchanged(made.name):
        expect.raises(
            AlreadyExists, lambda: lab.create(lab.spec(name=made.name)), "creating another"
        )


@case("lifecycle")
def name_is_free_after_delete(lab: Lab) -> None:
    """A deleted instance's name can be used again, over and over."""
    name = lab.name()
    for _ in range(TIMES):
        lab.create(lab.spec(name=name))
        lab.lifecycle.delete(name, disks=True)
    expect.lacks(lab.names(), name, "the list")


@case("inventory")
def listing_again_shows_the_same(lab: Lab) -> None:
    """Looking twice without a change in between shows the same."""
    name = lab.create().name if lab.offers("lifecycle") else ""
    first = [found for found in lab.inventory.instances() if found.name == name]
    for _ in range(TIMES):
        again = [found for found in lab.inventory.instances() if found.name == name]
        expect.equal(again, first, "the listed instance")


def _tags(lab: Lab) -> bool:
    return lab.offers("lifecycle", "tags")
