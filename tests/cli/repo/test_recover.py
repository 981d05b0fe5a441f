from __future__ import annotations

import shutil
from pathlib import Path

from tests.cli.conftest import Runner


def test_a_lost_index(command: Runner, history: Path, tmp_path: Path) -> None:
    shutil.rmtree(history / ".hypersdk" / "index")
    shutil.rmtree(tmp_path / "cache")
    command("restore", "--repo", history, "web", "--to", tmp_path / "out.img", expect=1)
    result = command("repo", "recover", history)
    assert result.out.startswith("Rebuilt the index: ")
    command("restore", "--repo", history, "web", "--to", tmp_path / "out.img")
    assert "all is well" in command("verify", history).out


def test_a_pack_that_cannot_be_read(command: Runner, history: Path) -> None:
    packs = [path for path in (history / ".hypersdk" / "packs").rglob("*") if path.is_file()]
    packs[0].chmod(0o600)
    packs[0].write_bytes(b"short")
    result = command("repo", "recover", history, "--json", expect=1)
    assert [name.rsplit("/", 1)[-1] for name in result.json["unreadable"]] == [packs[0].name]
    assert "hypersdk verify" in result.err
