from __future__ import annotations

from tests.cli.conftest import Runner
from tests.cli.fleet.conftest import out
from tests.flows.fleet.labs import RUNNING, STOPPED, Labs


def test_what_runs(command: Runner, labs: Labs) -> None:
    labs.start("a", "db")
    result = command("fleet", "stop", "--state", "running")
    assert out(result) == (
        "HYPERVISOR  INSTANCE  RESULT     SECONDS\n"
        "a           db        succeeded      0.0\n"
        "Stopped 1 instance.\n"
    )
    assert labs.states("a") == {"db": STOPPED, "web": STOPPED}


def test_a_guest_that_does_not_obey(command: Runner, labs: Labs) -> None:
    labs.add("c", "deaf", config="obeys_stop = false")
    labs.start("c", "deaf")
    stop = ("fleet", "stop", "deaf", "-H", labs.url("c"))
    result = command(*stop, "--timeout", "0s", expect=1)
    assert "hypersdk: the guest of 'deaf' still runs after 0 s\n  Stop it with force" in result.err
    assert labs.states("c") == {"deaf": RUNNING}
    assert "Stopped 1 instance." in command(*stop, "--force").out
    assert labs.states("c") == {"deaf": STOPPED}
