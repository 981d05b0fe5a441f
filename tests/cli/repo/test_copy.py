from __future__ import annotations

import os
from pathlib import Path

from tests.cli.conftest import Runner


def test_a_replica(command: Runner, history: Path, image: Path, tmp_path: Path) -> None:
    replica = tmp_path / "replica"
    result = command("repo", "copy", history, replica)
    assert result.out.startswith("Copied 4 restore points, 5.")
    assert "(replica)" in result.out
    assert command("repo", "copy", history, replica, "--json").json["points"] == 0
    command("restore", "--repo", replica, "web", "--to", tmp_path / "out.img")
    assert (tmp_path / "out.img").read_bytes() == image.read_bytes()


def test_into_a_repository_with_keys_of_its_own(
    command: Runner, history: Path, image: Path, tmp_path: Path
) -> None:
    other, key = tmp_path / "other", tmp_path / "key"
    key.write_bytes(os.urandom(32))
    command("repo", "init", other, "--encrypt", f"keyfile={key}")
    assert "keys" in command("repo", "copy", history, other, expect=1).err
    to = ("--to-key-file", key, "--instance", "web")
    document = command("repo", "copy", history, other, *to, "--json").json
    assert (document["kind"], document["points"]) == ("transfer", 3)
    command("restore", "--repo", other, "web", "--to", tmp_path / "out", "--key-file", key)
    assert (tmp_path / "out").read_bytes() == image.read_bytes()
