from __future__ import annotations

from tests.cli.conftest import Runner
from tests.cli.fleet.conftest import out
from tests.flows.fleet.labs import RUNNING, Labs


def test_what_is_paused(command: Runner, labs: Labs) -> None:
    labs.start("a", "db", "web")
    labs.mock("a").lifecycle.pause("db")
    assert out(command("fleet", "resume", "a/*")) == (
        "HYPERVISOR  INSTANCE  RESULT     SECONDS\n"
        "a           db        succeeded      0.0\n"
        "a           web       unchanged      0.0\n"
        "Resumed 1 instance, 1 unchanged.\n"
    )
    assert labs.states("a") == {"db": RUNNING, "web": RUNNING}
    assert command("fleet", "resume", "a/*", "--json").json["action"] == "resume"
