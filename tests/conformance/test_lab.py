"""Where cases work."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from hypersdk.conformance import expect
from hypersdk.conformance.lab import Lab, forget
from hypersdk.conformance.parts import Parts
from hypersdk.conformance.target import Site
from hypersdk.conformance.targets.mock import MockTarget
from hypersdk.datapath.cancel import CancelToken, token_in_force
from hypersdk.model.errors import InvalidState
from hypersdk.model.instances import InstanceState


@pytest.fixture
def lab() -> Iterator[Lab]:
    target = MockTarget("mock://", Site())
    target.expectations = replace(target.expectations, settle=0.1)
    lab = Lab(target, target.connect())
    yield lab
    lab.clean_up(Parts(target.connect()))
    target.close()


def test_names_differ_between_labs_and_within_one(lab: Lab) -> None:
    other = Lab(lab.target, lab.hypervisor)
    assert len({lab.name(), lab.name(), other.name(), other.name()}) == 4


def test_a_spec_can_be_changed_and_makes_room_for_what_is_changed(lab: Lab) -> None:
    usual = lab.target.spec("x")
    assert lab.spec(vcpus=1).vcpus_maximum == usual.vcpus_maximum
    spec = lab.spec(vcpus=1000, tags={"a": "b"})
    assert (spec.vcpus, spec.vcpus_maximum, spec.tags) == (1000, 0, {"a": "b"})


@pytest.mark.parametrize(
    "state", [InstanceState.STOPPED, InstanceState.RUNNING, InstanceState.PAUSED]
)
def test_instances_are_brought_into_states(lab: Lab, state: InstanceState) -> None:
    name = lab.create().name
    lab.bring(name, state)
    assert lab.state(name) is state


def test_unchanged_notices_changes_and_new_instances(lab: Lab) -> None:
    name = lab.create().name
    with lab.unchanged(name):
        pass
    with pytest.raises(expect.Unmet, match="after it"), lab.unchanged(name):
        lab.lifecycle.start(name)
    with pytest.raises(expect.Unmet, match="after it"), lab.unchanged():
        lab.create()


def test_instances_of_others_may_come_and_go(lab: Lab) -> None:
    other = Lab(lab.target, lab.hypervisor)
    name = lab.create().name
    with lab.unchanged(name):
        other.create()
    assert other.clean_up(other) == []


def test_nothing_left_notices_what_stays(lab: Lab) -> None:
    with lab.nothing_left():
        lab.lifecycle.delete(lab.create().name, disks=True)
    with pytest.raises(expect.Unmet, match="what it left"), lab.nothing_left():
        lab.create()


def test_at_once_gives_answers_and_errors_in_order(lab: Lab) -> None:
    name = lab.create().name
    first, second = lab.at_once(lambda: lab.state(name), lambda: lab.state("nobody"))
    assert first is InstanceState.STOPPED
    assert "nobody" in str(second)


def test_at_once_hands_on_the_token_in_force(lab: Lab) -> None:
    token = CancelToken()
    with token.scope():
        assert lab.at_once(token_in_force, token_in_force) == [token, token]


def test_an_unmet_expectation_in_a_thread_is_not_an_answer(lab: Lab) -> None:
    with pytest.raises(expect.Unmet, match="in a thread"):
        lab.at_once(lambda: expect.fail("in a thread"))


@pytest.mark.parametrize(
    "state", [InstanceState.STOPPED, InstanceState.RUNNING, InstanceState.PAUSED]
)
def test_forget_removes_it_in_whatever_state(lab: Lab, state: InstanceState) -> None:
    name = lab.create().name
    lab.bring(name, state)
    forget(lab, name)
    assert lab.names() == []


def test_forget_removes_templates_and_what_is_gone_already(lab: Lab) -> None:
    name = lab.create().name
    lab.clones.make_template(name)
    for _ in range(2):
        forget(lab, name)
    assert lab.names() == []


def test_forget_says_what_it_could_not_remove(lab: Lab) -> None:
    name = lab.create().name
    with lab.disks.view(name, {}), pytest.raises(InvalidState):
        forget(lab, name)


def test_contexts_are_left_at_the_end(lab: Lab) -> None:
    name = lab.create().name
    lab.enter(lab.disks.view(name, {}))
    assert lab.clean_up(lab) == []
    assert lab.names() == []


def test_offers_and_limits(lab: Lab) -> None:
    assert lab.offers("lifecycle")
    assert lab.offers("lifecycle", "pause")
    assert not lab.offers("lifecycle", "ports")
    assert not lab.offers("execution")
    assert not lab.offers("execution", "timeout")


def test_a_part_without_any_aspect_offers_nothing(lab: Lab) -> None:
    assert lab.offers_something("console")
    assert not lab.offers_something("logs")
