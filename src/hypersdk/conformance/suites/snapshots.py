"""Points in time that the hypervisor keeps, with real content on the disk."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hypersdk.conformance import expect
from hypersdk.conformance.case import case
from hypersdk.conformance.lab import Lab
from hypersdk.conformance.reading import AREA, held, pattern, same
from hypersdk.model.errors import AlreadyExists, GuestAgentMissing, InvalidState, NotFound
from hypersdk.model.instances import InstanceState
from hypersdk.model.machines import Snapshot

STOPPED, RUNNING = InstanceState.STOPPED, InstanceState.RUNNING


def _names(lab: Lab, name: str) -> list[str]:
    return [kept.name for kept in lab.snapshots.snapshots(name)]


def _one(lab: Lab, name: str, snapshot: str) -> Snapshot:
    for kept in lab.snapshots.snapshots(name):
        if kept.name == snapshot:
            return kept
    raise expect.Unmet(f"snapshot '{snapshot}' is not listed, only {_names(lab, name)}")


def _write(lab: Lab, name: str, word: str) -> None:
    """The area that the cases compare, and one that only this word has."""
    lab.guest.write(name, AREA, pattern(word, AREA))


def _holds(lab: Lab, name: str, word: str) -> None:
    same(lab.guest.read(name, AREA, AREA), pattern(word, AREA), f"the disk, which should be {word}")


def _in_order(listed: Sequence[Snapshot]) -> None:
    """Parents come before children, and each parent is there."""
    seen: set[str] = set()
    for kept in listed:
        if kept.parent:
            expect.contains(seen, kept.parent, f"snapshots listed before '{kept.name}'")
        seen.add(kept.name)


@case("snapshots")
def create_lists_it(lab: Lab) -> None:
    """A snapshot is listed as it was made: name, description, state, time, current."""
    name = lab.create().name
    expect.equal(list(lab.snapshots.snapshots(name)), [], "snapshots of a fresh instance")
    made = lab.snapshots.create(name, "first", description="before the update")
    listed = _one(lab, name, "first")
    expect.equal(listed, made, "the listed snapshot")
    expect.equal((listed.description, listed.state), ("before the update", STOPPED), "it")
    expect.equal((listed.memory, listed.current, listed.parent), (False, True, ""), "it")
    age = datetime.now(UTC) - listed.created
    expect.true(abs(age) < timedelta(hours=1), f"it was made {age} ago, it says")


@case("snapshots")
def a_chain_is_listed_in_order(lab: Lab) -> None:
    """Snapshots one after another are each the child of the one before, listed in that order."""
    name = lab.create().name
    words = ["zulu", "alpha", "mike", "bravo"]
    for word in words:
        lab.snapshots.create(name, word)
    listed = lab.snapshots.snapshots(name)
    expect.equal([kept.name for kept in listed], words, "their order")
    expect.equal([kept.parent for kept in listed], ["", *words[:-1]], "their parents")
    expect.equal([kept.name for kept in listed if kept.current], ["bravo"], "the current one")


@case("snapshots")
def a_taken_name_is_refused(lab: Lab) -> None:
    """A second snapshot of one name raises AlreadyExists; other instances may use the name."""
    name = lab.create().name
    lab.snapshots.create(name, "first")
    before = list(lab.snapshots.snapshots(name))
    expect.raises(AlreadyExists, lambda: lab.snapshots.create(name, "first"), "a second 'first'")
    expect.equal(list(lab.snapshots.snapshots(name)), before, "snapshots")
    other = lab.create().name
    lab.snapshots.create(other, "first")
    expect.equal(_names(lab, other), ["first"], "snapshots of the other")


@case("snapshots")
def a_missing_one_is_not_found(lab: Lab) -> None:
    """Deleting a snapshot that is not there raises NotFound naming it, and changes nothing."""
    name = lab.create().name
    lab.snapshots.create(name, "first")
    before = list(lab.snapshots.snapshots(name))
    error = expect.raises(
        NotFound, lambda: lab.snapshots.delete(name, "no-such"), "deleting a missing snapshot"
    )
    expect.contains(error.message, "no-such", "the message of the error")
    expect.equal(list(lab.snapshots.snapshots(name)), before, "snapshots")


@case("snapshots.revert")
def reverting_to_a_missing_one_is_not_found(lab: Lab) -> None:
    """Reverting to a snapshot that is not there raises NotFound, and changes nothing."""
    name = lab.create().name
    with lab.unchanged(name):
        expect.raises(NotFound, lambda: lab.snapshots.revert(name, "no-such"), "reverting to it")


@case("snapshots.revert", needs=("guest",))
def revert_brings_back_the_disk(lab: Lab) -> None:
    """Reverting brings back the content that the disk had, and what was written since is lost."""
    name = lab.create().name
    _write(lab, name, "before")
    lab.snapshots.create(name, "first")
    _write(lab, name, "after")
    lab.guest.write(name, 3 * AREA, pattern("elsewhere", 4096))
    lab.snapshots.revert(name, "first")
    _holds(lab, name, "before")
    same(lab.guest.read(name, 3 * AREA, 4096), bytes(4096), "an area that was empty then")


@case("snapshots.revert", needs=("guest",))
def revert_brings_back_zeroes(lab: Lab) -> None:
    """What was zeroed since the snapshot is back after reverting, and the other way round."""
    name = lab.create().name
    _write(lab, name, "before")
    lab.guest.zero(name, AREA, AREA // 2)
    lab.snapshots.create(name, "first")
    _write(lab, name, "after")
    lab.snapshots.revert(name, "first")
    wanted = bytes(AREA // 2) + pattern("before", AREA)[AREA // 2 :]
    same(lab.guest.read(name, AREA, AREA), wanted, "the disk")


@case("snapshots.revert", needs=("guest",))
def revert_works_again_and_again(lab: Lab) -> None:
    """One snapshot can be reverted to several times, and is still there."""
    name = lab.create().name
    _write(lab, name, "before")
    lab.snapshots.create(name, "first")
    for word in ("one", "two"):
        _write(lab, name, word)
        lab.snapshots.revert(name, "first")
        _holds(lab, name, "before")
    expect.equal(_names(lab, name), ["first"], "snapshots")


@case("snapshots.revert", needs=("guest",))
def reverting_keeps_later_ones(lab: Lab) -> None:
    """Reverting to an earlier snapshot keeps the later ones, which can be reverted to as well."""
    name = lab.create().name
    for word in ("one", "two", "three"):
        _write(lab, name, word)
        lab.snapshots.create(name, word)
    lab.snapshots.revert(name, "one")
    _holds(lab, name, "one")
    expect.equal(sorted(_names(lab, name)), ["one", "three", "two"], "snapshots")
    expect.true(_one(lab, name, "one").current, "'one' is not the current one")
    for word in ("three", "two"):
        lab.snapshots.revert(name, word)
        _holds(lab, name, word)


@case("snapshots.tree", needs=("guest", "snapshots.revert"))
def snapshots_branch(lab: Lab) -> None:
    """A snapshot made after reverting is a child of the one that was reverted to."""
    name = lab.create().name
    for word in ("root", "left"):
        _write(lab, name, word)
        lab.snapshots.create(name, word)
    lab.snapshots.revert(name, "root")
    _write(lab, name, "right")
    lab.snapshots.create(name, "right")
    listed = lab.snapshots.snapshots(name)
    _in_order(listed)
    parents = {kept.name: kept.parent for kept in listed}
    expect.equal(parents, {"root": "", "left": "root", "right": "root"}, "the tree")
    expect.equal([kept.name for kept in listed if kept.current], ["right"], "the current one")
    for word in ("left", "right", "root"):
        lab.snapshots.revert(name, word)
        _holds(lab, name, word)


@case("snapshots", needs=("guest",))
def delete_keeps_the_content(lab: Lab) -> None:
    """Deleting a snapshot changes nothing of what the disk holds now."""
    name = lab.create().name
    _write(lab, name, "before")
    lab.snapshots.create(name, "first")
    _write(lab, name, "after")
    lab.snapshots.delete(name, "first")
    expect.equal(_names(lab, name), [], "snapshots")
    _holds(lab, name, "after")
    lab.lifecycle.start(name)
    expect.equal(lab.state(name), RUNNING, "its state after a start")


@case("snapshots", needs=("guest", "snapshots.revert"))
def deleting_a_middle_one_keeps_its_neighbours(lab: Lab) -> None:
    """Deleting a snapshot in the middle leaves those before and behind it whole, and joins them."""
    name = lab.create().name
    for number, word in enumerate(("one", "two", "three")):
        _write(lab, name, word)
        lab.guest.write(name, (3 + number) * AREA, pattern(word, 4096))
        lab.snapshots.create(name, word)
    _write(lab, name, "now")
    lab.snapshots.delete(name, "two")
    parents = {kept.name: kept.parent for kept in lab.snapshots.snapshots(name)}
    expect.equal(parents, {"one": "", "three": "one"}, "the tree")
    _holds(lab, name, "now")
    for word in ("three", "one"):
        lab.snapshots.revert(name, word)
        _holds(lab, name, word)
        there = pattern("two", 4096) if word == "three" else bytes(4096)
        same(lab.guest.read(name, 4 * AREA, 4096), there, f"what 'two' added, seen in '{word}'")


@case("snapshots")
def delete_with_children_takes_all_below(lab: Lab) -> None:
    """Deleting a snapshot with its children takes all that descend from it, and no others."""
    name = lab.create().name
    for word in ("one", "two", "three"):
        lab.snapshots.create(name, word)
    lab.snapshots.delete(name, "two", children=True)
    expect.equal(_names(lab, name), ["one"], "snapshots")


@case("snapshots", needs=("observer",))
def they_go_with_the_instance(lab: Lab) -> None:
    """Deleting an instance takes its snapshots along; a new one of its name has none."""
    with lab.nothing_left():
        name = lab.create().name
        lab.snapshots.create(name, "first")
        lab.lifecycle.delete(name, disks=True)
    lab.create(lab.spec(name=name))
    expect.equal(_names(lab, name), [], "snapshots of a new instance of its name")


@case("snapshots")
def a_new_connection_sees_them(lab: Lab) -> None:
    """Snapshots are the same for another connection, with their tree."""
    name = lab.create().name
    for word in ("one", "two"):
        lab.snapshots.create(name, word, description=word)
    other = lab.connect()
    expect.equal(
        list(other.snapshots.snapshots(name)), list(lab.snapshots.snapshots(name)), "snapshots"
    )


@case("snapshots")
def a_snapshot_changes_nothing(lab: Lab) -> None:
    """Making and deleting a snapshot leaves id, state and figures of the instance as they are."""
    made = lab.create()
    lab.snapshots.create(made.name, "first")
    seen = lab.look(made.name)
    expect.equal((seen.id, seen.state, seen.owned), (made.id, made.state, made.owned), "with it")
    expect.equal(
        {d.name: d.size for d in seen.disks}, {d.name: d.size for d in made.disks}, "disks"
    )
    lab.snapshots.delete(made.name, "first")
    seen = lab.look(made.name)
    expect.equal((seen.id, seen.state, seen.owned), (made.id, made.state, made.owned), "without it")


@case("snapshots.running")
def a_running_one_runs_on(lab: Lab) -> None:
    """A snapshot of a running instance says so, and the instance runs on."""
    name = lab.running().name
    made = lab.snapshots.create(name, "first")
    expect.equal((made.state, made.memory), (RUNNING, False), "state and memory of the snapshot")
    expect.equal(lab.state(name), RUNNING, "its state")


@case("snapshots.running", needs=("guest", "snapshots.revert"))
def a_running_one_has_its_moment(lab: Lab) -> None:
    """A snapshot of a running instance holds what was written before it, and nothing later."""
    name = lab.running().name
    _write(lab, name, "before")
    lab.snapshots.create(name, "first")
    _write(lab, name, "after")
    lab.lifecycle.stop(name, force=True)
    lab.snapshots.revert(name, "first")
    if lab.state(name) is not STOPPED:
        lab.lifecycle.stop(name, force=True)
    _holds(lab, name, "before")


@case("snapshots.memory", needs=("guest", "snapshots.revert"))
def memory_resumes_where_it_was(lab: Lab) -> None:
    """Reverting to a snapshot with memory leads back to running, with the disk of that moment."""
    name = lab.running().name
    _write(lab, name, "before")
    made = lab.snapshots.create(name, "first", memory=True)
    expect.equal((made.state, made.memory), (RUNNING, True), "state and memory of the snapshot")
    expect.equal(lab.state(name), RUNNING, "its state after the snapshot")
    _write(lab, name, "after")
    lab.lifecycle.stop(name, force=True)
    lab.snapshots.revert(name, "first")
    expect.equal(lab.state(name), RUNNING, "its state after reverting")
    _holds(lab, name, "before")


@case("snapshots.memory")
def a_stopped_one_has_no_memory(lab: Lab) -> None:
    """A snapshot with memory of a stopped instance raises InvalidState, and is not there."""
    name = lab.create().name
    with lab.unchanged(name):
        expect.raises(
            InvalidState,
            lambda: lab.snapshots.create(name, "first", memory=True),
            "a snapshot with memory of a stopped instance",
        )
    expect.equal(_names(lab, name), [], "snapshots")


@case("snapshots.quiesce", needs=("snapshots.running",))
def quiesce_freezes_or_fails(lab: Lab) -> None:
    """A snapshot with frozen filesystems is made with an agent, and fails without one."""
    name = lab.running().name
    try:
        lab.snapshots.create(name, "first", quiesce=True)
    except GuestAgentMissing:
        expect.equal(_names(lab, name), [], "snapshots after a failure")
        return
    expect.true(lab.offers("guest_agent"), "it says it froze filesystems, with no agent to ask")
    lab.guest_agent.ping(name)


@case("snapshots", needs=("guest", "disks"))
def disks_are_read_with_snapshots(lab: Lab) -> None:
    """A disk with snapshots is read as it is now."""
    name = lab.create().name
    _write(lab, name, "before")
    lab.snapshots.create(name, "first")
    _write(lab, name, "after")
    with lab.disks.view(name, {}) as view:
        same(held(view, lab.guest, AREA, AREA), pattern("after", AREA), "the disk in a view")
