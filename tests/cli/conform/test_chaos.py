"""``hypersdk conform chaos``"""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Runner

BRIEF = ("--minutes", "30", "--steps", "150")


def test_all_holds_on_the_mock(command: Runner) -> None:
    result = command("conform", "chaos", *BRIEF, "--seed", "4")
    assert "Seed 4: 150 steps in " in result.out
    assert result.out.endswith(": all held.\n")
    assert "Seed 4." in result.err


def test_the_same_seed_has_the_same_journal(command: Runner) -> None:
    journals = [
        command("conform", "chaos", *BRIEF, "--seed", "4", "--faults", "--json").json["journal"]
        for _ in range(2)
    ]
    assert journals[0] == journals[1]
    assert len(journals[0]) == 150


def test_without_a_seed_one_is_drawn_and_told(command: Runner) -> None:
    seeds = {command("conform", "chaos", "--steps", "3", "--json").json["seed"] for _ in range(4)}
    assert len(seeds) > 1


def test_violations(command: Runner, tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text('[[failures]]\noperation = "lifecycle.start"\nkind = "after_effect"\n')
    folder = tmp_path / "lab"
    folder.mkdir()
    url = f"mock://{folder}?config={plan}"
    result = command("conform", "chaos", "-H", url, *BRIEF, "--seed", "1", expect=1)
    assert "VIOLATION step " in result.out
    assert "Repeat it with --seed 1 --steps " in result.err
    held = command("conform", "chaos", "-H", url, *BRIEF, "--seed", "1", "--faults")
    assert "all held" in held.out, "with faults expected, observation decides"


def test_a_wrong_url(command: Runner) -> None:
    result = command("conform", "chaos", "-H", "nowhere", expect=2)
    assert "not a hypervisor URL" in result.err
