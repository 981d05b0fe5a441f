from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Runner


def count(command: Runner, place: Path) -> int:
    return len(command("repo", "list", place, "--json").json["points"])


def test_a_dry_run_gives_reasons_and_removes_nothing(command: Runner, history: Path) -> None:
    result = command("repo", "prune", history, "--keep-last", "1", "--dry-run")
    lines = result.out.splitlines()
    assert lines[0].split() == ["INSTANCE", "TIME", "ID", "DECISION", "WHY"]
    assert [line.split(maxsplit=3)[0::3] for line in lines[1:-1]] == [
        ["db", "keep      last"],
        ["web", "keep      last"],
        ["web", "remove    no rule keeps it"],
        ["web", "remove    no rule keeps it"],
    ]
    assert lines[-1] == "Would keep 2 restore points, remove 2."
    assert count(command, history) == 4


def test_removing(command: Runner, history: Path) -> None:
    result = command("repo", "prune", history, "--keep-last", "1", "--instance", "web")
    assert result.out.splitlines()[-1] == "Kept 1 restore point, removed 2."
    assert f"hypersdk repo gc {history}" in result.err
    assert count(command, history) == 2


@pytest.mark.parametrize(
    "rule",
    [f"--keep-{period}" for period in ("hourly", "daily", "weekly", "monthly", "yearly")],
)
def test_each_rule_gives_its_reason(command: Runner, history: Path, rule: str) -> None:
    decisions = command("repo", "prune", history, rule, "1", "--dry-run", "--json").json[
        "decisions"
    ]
    assert [decision["keep"] for decision in decisions] == [True, True, False, False]
    assert decisions[0]["reasons"][0].startswith(rule.removeprefix("--keep-"))


def test_within_and_pinned(command: Runner, history: Path, image: Path) -> None:
    command("repo", "prune", history, "--keep-within", "1h")
    assert count(command, history) == 4
    command("backup", "--repo", history, "--image", image, "--name", "web", "--pin")
    command("backup", "--repo", history, "--image", image, "--name", "web", "--lock-for", "1d")
    command("repo", "prune", history, "--keep-within", "0s", expect=2)  # keeps nothing: no rule
    command("backup", "--repo", history, "--image", image, "--name", "web")
    command("repo", "prune", history, "--keep-last", "1", "--instance", "web")
    _, _, pinned, locked, last = command("repo", "list", history).out.splitlines()
    assert pinned.endswith("pinned")
    assert "locked until" in locked
    assert last.startswith("web")


def test_without_rules_it_refuses(command: Runner, history: Path) -> None:
    assert "no retention rule was given" in command("repo", "prune", history, expect=2).err
    assert count(command, history) == 4


def test_dropping_what_is_unreadable(command: Runner, history: Path) -> None:
    victim = next((history / "db").iterdir())
    key = f"db/{victim.name}"
    command("repo", "prune", history, "--drop", key, expect=1)  # it can be read
    victim.chmod(0o600)
    victim.write_bytes(b"")
    assert "--drop" in command("repo", "gc", history, expect=1).err
    command("repo", "prune", history, "--drop", key, "--keep-last", "1", expect=2)
    command("repo", "prune", history, "--drop", key)
    assert not victim.exists()
    command("repo", "gc", history)
