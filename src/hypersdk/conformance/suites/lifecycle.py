"""Make, run and stop instances; every state answers every operation as the table says."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hypersdk.conformance import expect
from hypersdk.conformance.case import add, case
from hypersdk.conformance.lab import Lab
from hypersdk.conformance.target import Crashes
from hypersdk.drivers.ports import Lifecycle
from hypersdk.model.errors import InstanceNotFound, InvalidState
from hypersdk.model.instances import InstanceState
from hypersdk.model.operations import OUTCOMES, Gone, Operation

RUNNING, PAUSED = InstanceState.RUNNING, InstanceState.PAUSED
STOPPED, CRASHED = InstanceState.STOPPED, InstanceState.CRASHED

#: Operation → how it is asked for.
CALLS: Mapping[Operation, Callable[[Lifecycle, str], None]] = {
    Operation.START: lambda part, name: part.start(name),
    Operation.STOP: lambda part, name: part.stop(name),
    Operation.FORCE_STOP: lambda part, name: part.stop(name, force=True),
    Operation.PAUSE: lambda part, name: part.pause(name),
    Operation.RESUME: lambda part, name: part.resume(name),
    Operation.RESET: lambda part, name: part.reset(name),
    Operation.DELETE: lambda part, name: part.delete(name, disks=True),
}

#: Operation → the aspect that offers it.
ASPECTS = {
    Operation.STOP: "lifecycle.graceful_stop",
    Operation.PAUSE: "lifecycle.pause",
    Operation.RESUME: "lifecycle.pause",
    Operation.RESET: "lifecycle.reset",
}


def _answers(operation: Operation, state: InstanceState) -> Callable[[Lab], None]:
    outcome = OUTCOMES[operation].get(state)

    def run(lab: Lab) -> None:
        if operation is Operation.STOP and state is RUNNING:
            _graceful(lab)
            return
        name = _in_state(lab, state)
        if outcome is None:
            with lab.unchanged(name):
                expect.raises(
                    InvalidState,
                    lambda: CALLS[operation](lab.lifecycle, name),
                    f"{operation.value} of a {state.value} instance",
                )
            return
        CALLS[operation](lab.lifecycle, name)
        if outcome is Gone.GONE:
            expect.lacks(lab.names(), name, "the list after a delete")
        else:
            expect.equal(lab.state(name), outcome, f"state after {operation.value}")

    return run


def _in_state(lab: Lab, state: InstanceState) -> str:
    """Name of a fresh instance that is observed in this state."""
    if state is CRASHED:
        if not isinstance(lab.target, Crashes):
            expect.skip("the target cannot make instances crash")
        name = lab.running().name
        lab.target.crash(name)
    else:
        name = lab.create().name
        lab.bring(name, state)
    expect.equal(lab.state(name), state, "the state to begin with")
    return name


def _graceful(lab: Lab) -> None:
    if not lab.expectations.obeys_stop:
        expect.skip("the guests of this target do not power down when they are asked to")
    name = lab.booted().name
    lab.lifecycle.stop(name, timeout=lab.expectations.stop)
    expect.equal(lab.state(name), STOPPED, "state after stop")


def _generate() -> None:
    for operation in Operation:
        for state in (STOPPED, RUNNING, PAUSED, CRASHED):
            outcome = OUTCOMES[operation].get(state)
            words = f"{operation.value} of a {state.value} instance"
            result = "is refused" if outcome is None else f"makes it {outcome.value}"
            add(
                "lifecycle",
                words.replace("of a ", "of_").replace(" instance", "").replace(" ", "_"),
                ASPECTS.get(operation, "lifecycle"),
                f"{words[0].upper()}{words[1:]} {result}.",
                _answers(operation, state),
                needs=("lifecycle.pause",) if state is PAUSED else (),
            )


_generate()


@case("lifecycle")
def create_makes_it_stopped(lab: Lab) -> None:
    """A new instance is there at once, stopped, with an id and the figures of its spec."""
    spec = lab.spec()
    made = lab.create(spec)
    expect.true(bool(made.id), "it has no id")
    expect.equal(made.name, spec.name, "its name")
    expect.equal(made.state, STOPPED, "its state")
    expect.equal(made.memory, spec.memory, "its memory")
    expect.equal(lab.look(spec.name), made, "what the inventory shows")
    expect.contains(lab.names(), spec.name, "the list")


@case("lifecycle.start_paused")
def start_paused_halts_it(lab: Lab) -> None:
    """An instance that is started paused is paused, and runs once it is resumed."""
    name = lab.create().name
    lab.lifecycle.start(name, paused=True)
    expect.equal(lab.state(name), PAUSED, "state after a paused start")
    lab.lifecycle.resume(name)
    expect.equal(lab.state(name), RUNNING, "state after resume")


@case("lifecycle")
def runs_again_after_each_stop(lab: Lab) -> None:
    """An instance is started and stopped over and over, and stays what it is."""
    made = lab.create()
    for round_ in range(3):
        lab.lifecycle.start(made.name)
        expect.equal(lab.state(made.name), RUNNING, f"state after start {round_ + 1}")
        lab.lifecycle.stop(made.name, force=True)
        expect.equal(lab.state(made.name), STOPPED, f"state after stop {round_ + 1}")
    again = lab.look(made.name)
    expect.equal((again.id, again.vcpus, again.memory), (made.id, made.vcpus, made.memory), "it")


@case("lifecycle")
def keeps_running(lab: Lab) -> None:
    """An instance that was started still runs some time later: it has not just ended by itself."""
    name = lab.running().name
    other = lab.running().name
    lab.lifecycle.stop(other, force=True)
    expect.equal(lab.state(name), RUNNING, "state while another was started and stopped")


@case("lifecycle")
def operations_touch_one_instance_only(lab: Lab) -> None:
    """What is done to one instance does nothing to its neighbour."""
    quiet, busy = lab.create(), lab.create().name
    lab.lifecycle.start(busy)
    expect.equal(lab.look(quiet.name), quiet, "the neighbour after a start")
    lab.lifecycle.stop(busy, force=True)
    expect.equal(lab.look(quiet.name), quiet, "the neighbour after a stop")
    lab.lifecycle.delete(busy, disks=True)
    expect.equal(lab.look(quiet.name), quiet, "the neighbour after a delete")
    lab.lifecycle.start(quiet.name)
    expect.equal(lab.state(quiet.name), RUNNING, "state of the neighbour after a start")


@case("lifecycle", needs=("observer",))
def delete_leaves_nothing(lab: Lab) -> None:
    """Deleting an instance with its disks removes all that it had in the backend."""
    with lab.nothing_left():
        name = lab.running().name
        lab.lifecycle.stop(name, force=True)
        lab.lifecycle.delete(name, disks=True)
    expect.equal(lab.observer.look(name), None, "what the backend shows of it")


@case("lifecycle.disks", needs=("observer",))
def delete_keeps_disks_unless_told(lab: Lab) -> None:
    """Deleting an instance alone keeps its disks in the backend."""
    before = lab.observer.resources()
    made = lab.create()
    if not made.disks:
        expect.skip("instances of this target have no disks")
    lab.lifecycle.delete(made.name)
    expect.raises(InstanceNotFound, lambda: lab.look(made.name), "a look at it")
    left = lab.observer.resources() - before
    lab.keep_by_contract(left)
    expect.true(
        len(left) >= len(made.disks), f"{len(made.disks)} disks should stay; left is {sorted(left)}"
    )


@case("lifecycle", needs=("observer",))
def states_are_observed(lab: Lab) -> None:
    """The state that the driver reports is that of the backend, in every state."""
    name = lab.create().name
    _compare(lab, name)
    lab.lifecycle.start(name)
    _compare(lab, name)
    if lab.offers("lifecycle", "pause"):
        lab.lifecycle.pause(name)
        _compare(lab, name)
        lab.lifecycle.resume(name)
        _compare(lab, name)
    lab.lifecycle.stop(name, force=True)
    _compare(lab, name)


def _compare(lab: Lab, name: str) -> None:
    seen = lab.observer.look(name)
    if seen is None:
        expect.fail(f"the backend has no instance '{name}'")
    if seen.state is not None:
        expect.equal(lab.state(name), seen.state, "state, compared with that of the backend")
    listed = {found.name: found.state for found in lab.inventory.instances()}
    expect.equal(listed.get(name), lab.state(name), "state in the list")


@case("lifecycle.pause", needs=("observer",))
def pause_is_real(lab: Lab) -> None:
    """A paused instance is paused in the backend, and runs there again after resume."""
    name = lab.running().name
    for operation, state in ((lab.lifecycle.pause, PAUSED), (lab.lifecycle.resume, RUNNING)):
        operation(name)
        seen = lab.observer.look(name)
        expect.equal(seen and seen.state, state, "state in the backend")


@case("lifecycle.reset")
def reset_keeps_it(lab: Lab) -> None:
    """A reset instance runs on under the same id."""
    made = lab.running()
    lab.lifecycle.reset(made.name)
    again = lab.look(made.name)
    expect.equal((again.id, again.state), (made.id, RUNNING), "id and state after a reset")


@case("lifecycle")
def takes_names_and_ids(lab: Lab) -> None:
    """Every operation takes the id of an instance as well as its name."""
    made = lab.create()
    for operation in (Operation.START, Operation.FORCE_STOP, Operation.DELETE):
        CALLS[operation](lab.lifecycle, made.id)
    expect.lacks(lab.names(), made.name, "the list after a delete by id")
