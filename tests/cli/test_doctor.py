from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tests.cli.conftest import Runner


def checks(command: Runner, expect: int = 0) -> dict[str, dict[str, str]]:
    document = command("doctor", "--json", expect=expect).json
    return {check["name"]: check for check in document["checks"]}


def test_what_every_backup_needs_works_here(command: Runner) -> None:
    found = checks(command)
    assert {name for name, check in found.items() if check["needed"]} == {
        "python",
        "sqlite",
        "zstandard",
        "blake3",
        "cryptography",
        "cache folder",
        "repository",
    }
    assert {check["state"] for check in found.values() if check["needed"]} == {"works"}
    assert "processor" in command("doctor").out


def test_a_missing_program_says_what_it_would_give_and_how_to_get_it(
    command: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    result = command("doctor")
    assert "qemu-nbd      missing  not on PATH" in result.out
    assert "qemu-nbd: optional; " in result.out
    assert "apt-get install qemu-utils" in result.out


def test_a_program_that_does_not_run_is_broken(
    command: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "qemu-img"
    program.write_text("#!/bin/sh\nexit 3\n")
    program.chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert checks(command)["qemu-img"]["state"] == "broken"


def test_without_something_needed_it_ends_with_4(
    command: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HYPERSDK_CACHE_DIR", str(tmp_path / "file" / "cache"))
    result = command("doctor", expect=4)
    assert "hypersdk: needed and not working: cache folder" in result.err
    assert "HYPERSDK_CACHE_DIR" in result.out
