from __future__ import annotations

import re
from pathlib import Path

from tests.cli.conftest import Runner

LINE = re.compile(r"web +20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ  [0-9A-Z]{26}  16\.0 MiB  \d\.\d MiB")


def test_points_oldest_first(command: Runner, history: Path) -> None:
    lines = command("repo", "list", history).out.splitlines()
    assert lines[0].split() == ["INSTANCE", "TIME", "ID", "SIZE", "STORED", "NOTES"]
    assert [line.split()[0] for line in lines[1:]] == ["web", "web", "web", "db"]
    assert LINE.match(lines[1])
    assert len(command("repo", "list", history, "web", "--json").json["points"]) == 3


def test_an_empty_repository(command: Runner, place: Path) -> None:
    result = command("repo", "list", place)
    assert (result.out, result.err) == ("", "No restore points.\n")


def test_names_without_a_key(command: Runner, tmp_path: Path, image: Path) -> None:
    place, key = tmp_path / "sealed", tmp_path / "key"
    command("repo", "key", "generate", "--key-file", key)
    command("repo", "init", place, "--encrypt", f"keyfile={key}")
    command("backup", "--repo", place, "--image", image, "--name", "web", "--key-file", key)
    result = command("repo", "list", place)
    assert result.out.splitlines()[1].startswith("web/")
    assert result.err.startswith("No key was given")
    assert command("repo", "list", place, "--json").json["locked"] is True


def test_an_unreadable_point_is_named(command: Runner, history: Path) -> None:
    victim = next((history / "db").iterdir())
    victim.chmod(0o600)
    victim.write_bytes(victim.read_bytes()[:-1])
    result = command("repo", "list", history)
    assert len(result.out.splitlines()) == 4
    assert f"unreadable: db/{victim.name}" in result.err
