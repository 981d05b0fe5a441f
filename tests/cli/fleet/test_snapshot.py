from __future__ import annotations

from tests.cli.conftest import Runner
from tests.cli.fleet.conftest import out
from tests.flows.fleet.labs import Labs


def test_the_same_name_on_all(command: Runner, labs: Labs) -> None:
    labs.start("b", "web")
    result = command(
        "fleet", "snapshot", "web", "--everywhere", "--name", "before", "--description", "why"
    )
    assert out(result) == (
        "HYPERVISOR  INSTANCE  RESULT     SECONDS\n"
        "a           web       succeeded      0.0\n"
        "b           web       succeeded      0.0\n"
        "Snapshot made of 2 instances.\n"
    )
    (snapshot,) = labs.mock("b").snapshots.snapshots("web")
    assert (snapshot.name, snapshot.description) == ("before", "why")
    again = command("fleet", "snapshot", "a/web", "--name", "before", "--json", expect=1).json
    assert again["error"]["kind"] == "AlreadyExists"


def test_a_name_is_needed(command: Runner, labs: Labs) -> None:
    assert "missing option '--name'" in command("fleet", "snapshot", "db", expect=2).err
