"""Many at once: nothing is lost, nobody wins twice, and errors are those of one at a time."""

from __future__ import annotations

from collections.abc import Sequence

from hypersdk.conformance import expect
from hypersdk.conformance.case import case
from hypersdk.conformance.lab import Lab
from hypersdk.model.errors import AlreadyExists, HyperSDKError, InstanceNotFound
from hypersdk.model.instances import Instance, InstanceState

#: Threads that race for one thing.
RACERS = 8


def _no_errors(answers: Sequence[object], what: str) -> None:
    wrong = [answer for answer in answers if isinstance(answer, HyperSDKError)]
    expect.equal([f"{type(e).__name__}: {e}" for e in wrong], [], f"errors of {what}")


def _one_winner(answers: Sequence[object], kind: type[HyperSDKError], what: str) -> None:
    """One has succeeded, all others have failed with errors of this class."""
    lost = [answer for answer in answers if isinstance(answer, HyperSDKError)]
    for error in lost:
        expect.true(isinstance(error, kind), f"{what}: {type(error).__name__}: {error}")
    expect.equal(len(answers) - len(lost), 1, f"how many won the {what}")


@case("lifecycle")
def many_instances_at_once(lab: Lab) -> None:
    """A hundred instances made at once from many threads are all there, each as it was asked for,
    and all gone when they were deleted at once."""
    many = lab.expectations.many
    tagged = lab.offers("lifecycle", "tags")
    specs = [lab.spec(**({"tags": {"kit": str(n)}} if tagged else {})) for n in range(many)]
    made = lab.at_once(*(lambda spec=spec: lab.create(spec) for spec in specs))
    _no_errors(made, "creating many")
    ids = {answer.id for answer in made if isinstance(answer, Instance)}
    expect.equal(len(ids), many, "how many different ids there are")
    listed = {found.name: found for found in lab.inventory.instances()}
    missing = [spec.name for spec in specs if spec.name not in listed]
    expect.equal(missing, [], "instances that were made and are not listed")
    if tagged:
        tags = [dict(lab.look(spec.name).tags) for spec in specs]
        expect.equal(tags, [dict(spec.tags) for spec in specs], "their tags")
    gone = lab.at_once(*(lambda s=spec: lab.lifecycle.delete(s.name, disks=True) for spec in specs))
    _no_errors(gone, "deleting many")
    left = {*lab.names()} & {spec.name for spec in specs}
    expect.equal(left, set(), "instances that were deleted and are listed")


@case("lifecycle")
def many_connections_at_once(lab: Lab) -> None:
    """Instances made over many connections at once are all there for all of them."""
    connections = [lab.connect() for _ in range(RACERS)]
    specs = [lab.spec() for _ in connections]
    made = lab.at_once(
        *(
            lambda parts=parts, spec=spec: parts.lifecycle.create(spec)
            for parts, spec in zip(connections, specs, strict=True)
        )
    )
    _no_errors(made, "creating over many connections")
    wanted = {spec.name for spec in specs}
    for parts in connections:
        names = {found.name for found in parts.inventory.instances()}
        expect.equal(wanted - names, set(), "instances that one connection does not list")


@case("lifecycle")
def one_name_has_one_winner(lab: Lab) -> None:
    """Of many who create one name at once one wins, and the others get AlreadyExists."""
    for _ in range(3):
        name = lab.name()
        connections = [lab.connect() for _ in range(RACERS)]
        specs = [lab.spec(name=name) for _ in connections]
        answers = lab.at_once(
            *(
                lambda parts=parts, spec=spec: parts.lifecycle.create(spec)
                for parts, spec in zip(connections, specs, strict=True)
            )
        )
        _one_winner(answers, AlreadyExists, "race for a name")
        won = [answer for answer in answers if isinstance(answer, Instance)]
        expect.equal(lab.look(name).id, won[0].id, "id of the winner")


@case("lifecycle")
def one_delete_wins(lab: Lab) -> None:
    """Of many who delete one instance at once one succeeds, and the others do not find it."""
    name = lab.create().name
    answers = lab.at_once(*(lambda: lab.lifecycle.delete(name, disks=True),) * RACERS)
    _one_winner(answers, InstanceNotFound, "race to delete")
    expect.lacks(lab.names(), name, "the list")


@case("lifecycle")
def starting_at_once_starts_once(lab: Lab) -> None:
    """Many who start one instance at once all succeed, and it runs; stopping it likewise."""
    name = lab.create().name
    _no_errors(lab.at_once(*(lambda: lab.lifecycle.start(name),) * RACERS), "starting at once")
    expect.equal(lab.state(name), InstanceState.RUNNING, "its state")
    stops = lab.at_once(*(lambda: lab.lifecycle.stop(name, force=True),) * RACERS)
    _no_errors(stops, "stopping at once")
    expect.equal(lab.state(name), InstanceState.STOPPED, "its state")


@case("lifecycle")
def some_run_at_once(lab: Lab) -> None:
    """Several instances run at once, started and stopped from many threads."""
    if not lab.expectations.running:
        expect.skip("the target does not want several to run at once")
    names = [lab.create().name for _ in range(lab.expectations.running)]
    _no_errors(lab.at_once(*(lambda n=name: lab.lifecycle.start(n) for name in names)), "starting")
    expect.equal({lab.state(name) for name in names}, {InstanceState.RUNNING}, "their states")
    stops = lab.at_once(*(lambda n=name: lab.lifecycle.stop(n, force=True) for name in names))
    _no_errors(stops, "stopping")
    expect.equal({lab.state(name) for name in names}, {InstanceState.STOPPED}, "their states")


@case("lifecycle")
def lists_hold_while_others_come_and_go(lab: Lab) -> None:
    """While instances come and go, lists succeed, and always show those that stay."""
    stays = lab.create()

    def come_and_go() -> None:
        for _ in range(5):
            made = lab.create()
            lab.lifecycle.delete(made.name, disks=True)

    def look() -> None:
        for _ in range(10):
            listed = {found.name: found for found in lab.inventory.instances()}
            expect.contains(listed, stays.name, "the list, while others come and go")
            for found in listed.values():
                half = not found.id or not found.name or found.state is InstanceState.UNKNOWN
                expect.true(not half, f"something half made is listed: {found}")

    _no_errors(lab.at_once(*(come_and_go, look) * (RACERS // 2)), "coming, going and listing")


@case("snapshots")
def snapshots_at_once_are_all_there(lab: Lab) -> None:
    """Snapshots of one instance made at once are all listed, or refused as busy."""
    name = lab.create().name
    words = [f"kit{number}" for number in range(RACERS)]
    answers = lab.at_once(*(lambda w=word: lab.snapshots.create(name, w) for word in words))
    won = [
        word
        for word, answer in zip(words, answers, strict=True)
        if not isinstance(answer, HyperSDKError)
    ]
    for answer in answers:
        busy = not isinstance(answer, HyperSDKError) or answer.retryable
        expect.true(busy, f"an error that is not retryable: {answer}")
    expect.true(bool(won), "none was made")
    listed = [kept.name for kept in lab.snapshots.snapshots(name)]
    expect.equal(sorted(listed), sorted(won), "snapshots")


@case("hotplug.disk")
def disks_attached_at_once_are_all_there(lab: Lab) -> None:
    """Disks attached to one instance at once are all there: no update is lost."""
    name = lab.create().name
    before = len(lab.look(name).disks)
    disks = [lab.target.disk(name) for _ in range(4)]
    if None in disks:
        expect.skip("the target has no disk to plug in")
    answers = lab.at_once(
        *(lambda disk=disk: lab.hotplug.attach_disk(name, disk) for disk in disks if disk)
    )
    won = [answer for answer in answers if not isinstance(answer, HyperSDKError)]
    for answer in answers:
        fine = not isinstance(answer, HyperSDKError) or answer.retryable
        expect.true(fine, f"an error that is not retryable: {answer}")
    now = lab.look(name).disks
    expect.equal(len(now), before + len(won), "how many disks it has")
    expect.equal(len({disk.name for disk in now}), len(now), "how many different names they have")


@case("metrics")
def metrics_hold_while_instances_change(lab: Lab) -> None:
    """Metrics of all are given while instances come and go."""

    def come_and_go() -> None:
        for _ in range(3):
            lab.lifecycle.delete(lab.create().name, disks=True)

    def look() -> None:
        for _ in range(5):
            lab.metrics.metrics()

    _no_errors(lab.at_once(*(come_and_go, look) * 3), "metrics, while others come and go")
