"""A connection that is lost: a typed error at most, no wrong answer, and then a new connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from hypersdk.conformance import expect
from hypersdk.conformance.case import case
from hypersdk.conformance.lab import Lab
from hypersdk.model.errors import HypervisorUnreachable
from hypersdk.model.instances import InstanceState

T = TypeVar("T")


def _cut(lab: Lab) -> None:
    if not lab.target.disconnect(lab.hypervisor):
        expect.skip("there is no connection to cut")


def _after_a_cut(lab: Lab, ask: Callable[[], T], what: str) -> T:
    """The answer of the first call, or of the second where the first said it is unreachable."""
    _cut(lab)
    try:
        return expect.at_most(30.0, ask, what)
    except HypervisorUnreachable as error:
        expect.true(error.retryable, "the loss of a connection is not retryable")
    try:
        return expect.at_most(30.0, ask, what)
    except HypervisorUnreachable as error:
        expect.fail(f"{what}: it does not connect anew: {error}")


@case("lifecycle")
def a_lost_list_is_not_empty(lab: Lab) -> None:
    """After a cut the list raises HypervisorUnreachable or is whole; then it works again."""
    name = lab.create().name
    for _ in range(3):
        found = _after_a_cut(lab, lab.names, "the list")
        expect.contains(found, name, "the list after a cut")


@case("lifecycle")
def a_lost_look_finds_it(lab: Lab) -> None:
    """After a cut an instance is found again as it was; it is never reported as missing."""
    made = lab.running()
    found = _after_a_cut(lab, lambda: lab.look(made.name), "a look")
    expect.equal(found, made, "the instance after a cut")


@case("lifecycle")
def a_lost_start_can_be_asked_again(lab: Lab) -> None:
    """After a cut start and stop work, at once or asked again."""
    name = lab.create().name
    _after_a_cut(lab, lambda: lab.lifecycle.start(name), "a start")
    expect.equal(lab.state(name), InstanceState.RUNNING, "state after start")
    _after_a_cut(lab, lambda: lab.lifecycle.stop(name, force=True), "a stop")
    expect.equal(lab.state(name), InstanceState.STOPPED, "state after stop")


@case("lifecycle")
def instances_outlive_the_connection(lab: Lab) -> None:
    """A running instance runs on when the connection that started it is closed."""
    other = lab.target.connect()
    try:
        spec = lab.spec()
        if other.lifecycle is None:
            expect.skip("no lifecycle part")
        other.lifecycle.create(spec)
        other.lifecycle.start(spec.name)
    finally:
        other.close()
    expect.equal(lab.state(spec.name), InstanceState.RUNNING, "its state")


@case("inventory")
def a_refused_connection_is_an_error(lab: Lab) -> None:
    """Asking over a closed connection answers rightly or raises, and does not answer wrongly."""
    name = lab.create().name if lab.offers("lifecycle") else ""
    lab.hypervisor.close()
    try:
        found = lab.names()
    except HypervisorUnreachable:
        return
    expect.true(not name or name in found, "a closed connection lists nothing")
