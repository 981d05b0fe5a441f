from __future__ import annotations

import threading
from pathlib import Path

import pytest

from hypersdk.datapath.cancel import CancelToken
from hypersdk.flows.fleet.create import create_instance
from hypersdk.flows.fleet.placement import PlacementPolicy, PlacementRules
from hypersdk.model.errors import (
    AlreadyExists,
    HypervisorError,
    HypervisorUnreachable,
    Interrupted,
    InvalidInput,
    LimitExceeded,
)
from hypersdk.model.specs import DiskSpec, InstanceSpec
from tests.flows.fleet.labs import RUNNING, STOPPED, Labs

ORDERED = PlacementRules(policy=PlacementPolicy.ORDERED)
WEB = InstanceSpec(name="web", disks=(DiskSpec(size=1 << 20),))


def failing(operation: str, kind: str = "before_effect", error: str = "", nth: int = 1) -> str:
    lines = [f'operation = "{operation}"', f'kind = "{kind}"', f"nth = {nth}"]
    return "\n".join(["[[failures]]", *lines, *([f'error = "{error}"'] if error else [])]) + "\n"


def disks(labs: Labs, name: str) -> list[Path]:
    return list((labs._folder / name).rglob("*.raw"))


def test_made_on_the_best_one_and_started(labs: Labs) -> None:
    labs.add("a")
    labs.add("b", config='[limits]\nmemory = "256GiB"')
    with labs.fleet("a", "b") as fleet:
        made = create_instance(fleet, WEB)
        assert made.placed.label == "b/web"
        assert made.placed.instance.state is STOPPED
        assert made.failed == ()
        other = create_instance(fleet, InstanceSpec(name="db"), start=True)
        assert other.placed.instance.state is RUNNING
    assert labs.states("b") == {"db": RUNNING, "web": STOPPED}


@pytest.mark.parametrize("error", ["HypervisorUnreachable", "LimitExceeded", "HypervisorDenied"])
def test_when_it_fails_another_one_is_tried(labs: Labs, error: str) -> None:
    labs.add("a", config=failing("lifecycle.create", error=error))
    labs.add("b")
    with labs.fleet("a", "b") as fleet:
        made = create_instance(fleet, WEB, ORDERED)
    assert made.placed.label == "b/web"
    ((failed),) = made.failed
    assert (failed.hypervisor, type(failed.error).__name__, failed.left) == ("a", error, "")
    assert labs.states("a") == {}


def test_what_a_lost_reply_left_is_removed_first(labs: Labs) -> None:
    labs.add("a", config=failing("lifecycle.create", "lost_reply"))
    labs.add("b")
    with labs.fleet("a", "b") as fleet:
        made = create_instance(fleet, WEB, ORDERED)
    assert made.placed.label == "b/web"
    assert made.failed[0].left == ""
    assert labs.states("a") == {}
    assert disks(labs, "a") == []


def test_what_does_not_start_is_removed_first(labs: Labs) -> None:
    labs.add("a", config=failing("lifecycle.start", error="LimitExceeded"))
    labs.add("b")
    with labs.fleet("a", "b") as fleet:
        made = create_instance(fleet, WEB, ORDERED, start=True)
    assert made.placed.label == "b/web"
    assert made.placed.instance.state is RUNNING
    assert labs.states("a") == {}
    assert disks(labs, "a") == []


def test_what_cannot_be_removed_is_told(labs: Labs) -> None:
    lost = failing("lifecycle.create", "lost_reply")
    labs.add("a", config=lost + failing("lifecycle.delete", error="HypervisorDenied"))
    labs.add("b")
    with labs.fleet("a", "b") as fleet:
        made = create_instance(fleet, WEB, ORDERED)
    assert made.failed[0].left.startswith("'web' may still be there (lifecycle.delete")
    assert labs.states("a") == {"web": STOPPED}


def test_what_somebody_else_made_meanwhile_is_left_alone(labs: Labs) -> None:
    labs.add("a", config=failing("lifecycle.create", error="HypervisorUnreachable"))
    labs.add("b")
    with labs.fleet("a", "b") as fleet:
        hypervisor = fleet.hypervisor("a")
        assert hypervisor.lifecycle is not None
        quicker = InstanceSpec(name="web", vcpus=7)

        class Racing:
            """Somebody else is quicker between the decision and our call."""

            def __init__(self, inner: object) -> None:
                self._inner = inner

            def create(self, spec: InstanceSpec) -> object:
                labs.mock("a").lifecycle.create(quicker)
                return self._inner.create(spec)  # type: ignore[attr-defined]

            def __getattr__(self, name: str) -> object:
                return getattr(self._inner, name)

        hypervisor.lifecycle = Racing(hypervisor.lifecycle)  # type: ignore[misc, assignment]
        made = create_instance(fleet, WEB, ORDERED)
    assert made.failed[0].left == "there is a 'web' that may be of this attempt"
    assert labs.mock("a").inventory.instance("web").vcpus == 7


def test_a_disk_that_was_there_before_is_kept(labs: Labs) -> None:
    labs.add("a", config=failing("lifecycle.start", error="HypervisorDenied"))
    mock = labs.mock("a")
    mock.create_instance("old", {"vda": 1 << 20})
    mock.lifecycle.delete("old")
    (kept,) = (labs._folder / "a" / "kept").iterdir()
    spec = InstanceSpec(name="web", disks=(DiskSpec(path=str(kept)),))
    with labs.fleet("a") as fleet, pytest.raises(HypervisorError) as caught:
        create_instance(fleet, spec, start=True)
    assert f"On a, these disks are kept: {kept}." in caught.value.hint
    assert labs.states("a") == {}
    assert len(disks(labs, "a")) == 1


@pytest.mark.parametrize(
    ("error", "kind"), [("InvalidInput", InvalidInput), ("AlreadyExists", AlreadyExists)]
)
def test_an_error_about_the_spec_leads_to_no_other(
    labs: Labs, error: str, kind: type[Exception]
) -> None:
    labs.add("a", config=failing("lifecycle.create", error=error))
    labs.add("b")
    with labs.fleet("a", "b") as fleet, pytest.raises(kind):
        create_instance(fleet, WEB, ORDERED)
    assert labs.states("b") == {}


def test_no_other_is_tried_when_that_is_not_wanted(labs: Labs) -> None:
    labs.add("a", config=failing("lifecycle.create", error="HypervisorUnreachable"))
    labs.add("b")
    with labs.fleet("a", "b") as fleet, pytest.raises(HypervisorUnreachable):
        create_instance(fleet, WEB, ORDERED, fallback=False)
    assert labs.states("b") == {}


def test_when_all_fail_it_is_the_last_error(labs: Labs) -> None:
    labs.add("a", config=failing("lifecycle.create", error="HypervisorUnreachable"))
    labs.add("b", config=failing("lifecycle.create", error="LimitExceeded"))
    with labs.fleet("a", "b") as fleet, pytest.raises(LimitExceeded):
        create_instance(fleet, WEB, ORDERED)


def test_cancelled_while_it_starts_nothing_is_left(labs: Labs) -> None:
    hang = failing("lifecycle.start", "hang")
    labs.add("a", config=hang)
    labs.add("b")
    token = CancelToken()
    with labs.fleet("a", "b") as fleet:
        threading.Timer(0.3, token.cancel).start()
        with pytest.raises(Interrupted):
            create_instance(fleet, WEB, ORDERED, start=True, cancel=token)
    assert labs.states("a") == {}
    assert labs.states("b") == {}
