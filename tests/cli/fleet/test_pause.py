from __future__ import annotations

from tests.cli.conftest import Runner
from tests.cli.fleet.conftest import out
from tests.flows.fleet.labs import PAUSED, Labs


def test_what_runs_and_what_does_not(command: Runner, labs: Labs) -> None:
    labs.start("a", "db")
    result = command("fleet", "pause", "a/*", expect=3)
    assert out(result) == (
        "HYPERVISOR  INSTANCE  RESULT     SECONDS\n"
        "a           db        succeeded      0.0\n"
        "a           web       failed         0.0\n"
        "Paused 1 instance, 1 failed.\n"
    )
    assert "a/web: 'web' is stopped" in result.err
    assert labs.states("a")["db"] is PAUSED
    document = command("fleet", "pause", "db", "--json").json
    assert document["results"][0]["result"] == "unchanged"
