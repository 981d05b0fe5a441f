from __future__ import annotations

import pytest

from hypersdk import BatchResult, Ending, FleetInstance, Instance, InstanceState, NotFound
from hypersdk.cli.fleet.batches import _failures
from tests.cli.conftest import Runner
from tests.cli.fleet.conftest import known
from tests.cli.test_on_a_terminal import Screen
from tests.flows.fleet.labs import RUNNING, STOPPED, Labs

HANG = '[[failures]]\noperation = "lifecycle.start"\nnth = 2\nkind = "hang"\n'


def test_ctrl_c_says_what_is_left(labs: Labs, monkeypatch: pytest.MonkeyPatch) -> None:
    labs.add("c", "1", "2", "3", config=HANG)
    known(monkeypatch, labs, "c")
    screen = Screen("fleet", "start", "--all", "--parallel", "1")
    screen.read_until("1/3")
    screen.type("\x03")
    assert screen.end() == 130
    assert "Started 1 instance, 2 failed." in screen.text
    assert "interrupted: 2 of 3 instances were not done or not to their end" in screen.text
    assert screen.text.rindex("\x1b[?25h") > screen.text.rindex("\x1b[?25l"), "the cursor is back"
    assert labs.states("c") == {"1": RUNNING, "2": STOPPED, "3": STOPPED}


def test_filters_narrow_names_down(command: Runner, labs: Labs) -> None:
    labs.start("a", "web")
    document = command("fleet", "stop", "*", "--state", "running", "--json").json
    assert [(each["hypervisor"], each["name"]) for each in document["results"]] == [("a", "web")]
    result = command("fleet", "stop", "db", "--state", "running", expect=1)
    assert "no instance 'db'" in result.err


def test_an_id_and_bounds(command: Runner, labs: Labs) -> None:
    id = labs.mock("a").inventory.instance("db").id
    assert "Started 1 instance." in command("fleet", "start", id).out
    assert command("fleet", "start", id, "--parallel", "0", expect=2).out == ""


def test_two_of_one_name_are_told_apart() -> None:
    def failed(id: str) -> BatchResult:
        target = FleetInstance("vc", Instance(id, "twin", InstanceState.STOPPED, 1, 1))
        return BatchResult(target, Ending.FAILED, 0.0, NotFound(id))

    found = _failures([failed("1"), failed("2")])
    assert {label: error.message for label, error in found.items()} == {
        "vc/twin": "1",
        "vc/twin (2)": "2",
    }


def test_the_audit_trail_is_shown_when_the_log_is_asked_for(command: Runner, labs: Labs) -> None:
    assert command("fleet", "start", "db").err == ""
    shown = command("fleet", "stop", "db", "--debug").err
    assert "operation=lifecycle.stop" in shown
    assert "outcome=succeeded" in shown
