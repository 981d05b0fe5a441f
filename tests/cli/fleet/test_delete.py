from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Runner
from tests.cli.fleet.conftest import out
from tests.cli.test_on_a_terminal import Screen
from tests.flows.fleet.labs import Labs


def test_not_without_a_confirmation(command: Runner, labs: Labs) -> None:
    result = command("fleet", "delete", "db", expect=2)
    assert (result.out, result.err) == (
        "",
        (
            "hypersdk: deleting needs a confirmation, and there is no terminal to ask for it\n"
            "  Add --yes. What would be deleted is shown by: hypersdk fleet list\n"
        ),
    )
    assert "db" in labs.states("a")
    assert "no instance was chosen" in command("fleet", "delete", expect=2).err


def test_with_yes(command: Runner, labs: Labs) -> None:
    labs.mock("a").create_instance("data", {"vda": 1 << 20})
    assert out(command("fleet", "delete", "db", "data", "--yes")) == (
        "HYPERVISOR  INSTANCE  RESULT     SECONDS\n"
        "a           db        succeeded      0.0\n"
        "a           data      succeeded      0.0\n"
        "Deleted 2 instances.\n"
    )
    assert list(labs.states("a")) == ["web"]
    assert len(list((labs._folder / "a" / "kept").iterdir())) == 1, "its disk stays"


def test_what_runs_and_disks(command: Runner, labs: Labs) -> None:
    labs.mock("a").create_instance("data", {"vda": 1 << 20})
    labs.start("a", "data")
    result = command("fleet", "delete", "data", "--yes", expect=1)
    assert "'data' is running" in result.err
    document = command("fleet", "delete", "data", "--yes", "--force", "--disks", "--json").json
    assert document["results"][0]["result"] == "succeeded"
    assert not list((labs._folder / "a").rglob("*.raw"))


def test_a_person_is_asked(command: Runner, labs: Labs, tmp_path: Path) -> None:
    screen = Screen("fleet", "delete", "--all", "--disks")
    screen.read_until(r"Delete 3 instances and their disks\? \[y/N\]: ")
    for label in ("a/db  stopped", "a/web  stopped", "b/web  stopped"):
        assert label in screen.text
    screen.type("n\n")
    assert screen.end() != 0
    assert list(labs.states("a")) == ["db", "web"]

    screen = Screen("fleet", "delete", "a/db")
    screen.read_until(r"Delete 1 instance\? \[y/N\]: ")
    screen.type("y\n")
    assert screen.end() == 0
    assert "Deleted 1 instance." in screen.text
    assert "─" in screen.text, "a drawn table"
    assert list(labs.states("a")) == ["web"]
