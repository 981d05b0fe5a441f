from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tests.cli.conftest import Runner


@pytest.fixture
def key(command: Runner, tmp_path: Path) -> Path:
    path = tmp_path / "key"
    command("repo", "key", "generate", "--key-file", path)
    return path


@pytest.fixture
def sealed(command: Runner, tmp_path: Path, key: Path) -> Path:
    command("repo", "init", tmp_path / "sealed", "--encrypt", f"keyfile={key}")
    return tmp_path / "sealed"


def test_generated_files_are_private_and_never_replaced(command: Runner, key: Path) -> None:
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    before = key.read_bytes()
    assert len(before) == 32
    assert "a key is never replaced" in (
        command("repo", "key", "generate", "--key-file", key, expect=1).err
    )
    assert key.read_bytes() == before
    assert "give one of" in command("repo", "key", "generate", expect=2).err


def test_the_secret_half_is_not_printed(command: Runner, tmp_path: Path) -> None:
    result = command("repo", "key", "generate", "--identity", tmp_path / "identity")
    assert result.out.startswith("hypersdk-recipient-")
    assert (tmp_path / "identity").read_text().startswith("hypersdk-identity-")
    assert "hypersdk-identity-" not in result.out + result.err


def test_a_host_that_writes_but_cannot_read(
    command: Runner, sealed: Path, key: Path, image: Path, tmp_path: Path
) -> None:
    writer = tmp_path / "writer"
    command("repo", "key", "generate", "--key-file", writer)
    added = command(
        *("repo", "key", "add", sealed, "--new", f"keyfile={writer}", "--key-file", key),
        *("--role", "writer", "--label", "host 7"),
    )
    assert added.out.startswith("Added writer key ")
    command("backup", "--repo", sealed, "--image", image, "--name", "web", "--key-file", writer)
    refused = command(
        *("restore", "--repo", sealed, "web", "--to", tmp_path / "out", "--key-file", writer),
        expect=1,
    )
    assert "write backups but not read them" in refused.err
    command("restore", "--repo", sealed, "web", "--to", tmp_path / "out", "--key-file", key)
    for upkeep in (("prune", "--keep-last", "1"), ("gc",), ("recover",), ("list",), ("stats",)):
        command("repo", upkeep[0], sealed, *upkeep[1:], "--key-file", writer)
    command("verify", sealed, "--level", "stored", "--key-file", writer)

    listed = command("repo", "key", "list", sealed, "--json").json["keys"]
    assert [(slot["role"], slot["label"]) for slot in listed] == [
        ("reader", "first"),
        ("writer", "host 7"),
    ]
    command("repo", "key", "remove", sealed, listed[1]["id"])
    command("repo", "list", sealed, "--key-file", writer, expect=1)


def test_the_last_reader_stays(command: Runner, sealed: Path) -> None:
    (slot,) = command("repo", "key", "list", sealed, "--json").json["keys"]
    refused = command("repo", "key", "remove", sealed, slot["id"], expect=1)
    assert "the last slot that can read" in refused.err
    command("repo", "key", "remove", sealed, slot["id"], "--force")


def test_an_unencrypted_repository_has_no_keys(command: Runner, place: Path, key: Path) -> None:
    result = command("repo", "key", "list", place)
    assert (result.out, result.err) == ("", "The repository is not encrypted: it has no keys.\n")
    command("repo", "key", "add", place, "--new", f"keyfile={key}", expect=1)
    assert "'none'" not in command("repo", "key", "add", place, "--new", "none", expect=2).err
