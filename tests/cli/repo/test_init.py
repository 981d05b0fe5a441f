from __future__ import annotations

import os
from pathlib import Path

from tests.cli.conftest import Runner


def test_unencrypted_says_so(command: Runner, tmp_path: Path) -> None:
    result = command("repo", "init", tmp_path / "r", "--encrypt", "none", "--chunk-size", "256KiB")
    assert result.out == (f"Made repository {tmp_path}/r: not encrypted, chunks of 256.0 KiB.\n")
    assert result.err == "Not encrypted: who can read the storage can read the guests.\n"


def test_never_silently_unencrypted(command: Runner, tmp_path: Path) -> None:
    result = command("repo", "init", tmp_path / "r", expect=2)
    assert result.err.startswith("hypersdk: how should the repository be protected?\n")
    assert not (tmp_path / "r").exists()


def test_a_key_file(command: Runner, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_bytes(os.urandom(32))
    document = command("repo", "init", tmp_path / "r", "--encrypt", f"keyfile={key}", "--json").json
    assert document == {
        "repository": str(tmp_path / "r"),
        "encrypted": True,
        "protection": "keyfile",
        "chunk_size": 1 << 20,
    }


def test_a_missing_key_file_says_how_to_make_one(command: Runner, tmp_path: Path) -> None:
    result = command("repo", "init", tmp_path / "r", "--encrypt", "keyfile=/no/key", expect=2)
    assert "key file /no/key" in result.err
    assert not (tmp_path / "r").exists()


def test_a_place_that_is_taken(command: Runner, place: Path) -> None:
    command("repo", "init", place, "--encrypt", "none", expect=1)


def test_a_chunk_size_that_is_none(command: Runner, tmp_path: Path) -> None:
    size = ("--chunk-size", "100KiB")
    result = command("repo", "init", tmp_path / "r", "--encrypt", "none", *size, expect=2)
    assert "power of two" in result.err
    assert not [path for path in (tmp_path / "r").rglob("*") if path.is_file()]
