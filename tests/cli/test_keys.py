from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Runner


@pytest.fixture
def sealed(command: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a slot of each kind; a passphrase is in ``SECRET``."""
    monkeypatch.setenv("SECRET", "correct horse")
    place, key, identity = tmp_path / "sealed", tmp_path / "key", tmp_path / "identity"
    command("repo", "init", place, "--encrypt", "passphrase", "--passphrase", "env:SECRET")
    command("repo", "key", "generate", "--key-file", key)
    made = command("repo", "key", "generate", "--identity", identity, "--json").json
    for form in (f"keyfile={key}", f"recipient={made['recipient']}"):
        command("repo", "key", "add", place, "--new", form, "--passphrase", "env:SECRET")
    return place


def test_every_kind_of_key_opens(
    command: Runner, sealed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_text("correct horse\n")
    for option in (
        ("--passphrase", "env:SECRET"),
        ("--passphrase", f"file:{tmp_path}/secret"),
        ("--key-file", tmp_path / "key"),
        ("--identity", tmp_path / "identity"),
    ):
        command("repo", "stats", sealed, *option)
    for variable, value in {
        "HYPERSDK_PASSPHRASE": "correct horse",
        "HYPERSDK_KEY": "env:SECRET",
        "HYPERSDK_KEY_FILE": str(tmp_path / "key"),
        "HYPERSDK_IDENTITY": str(tmp_path / "identity"),
    }.items():
        with monkeypatch.context() as patch:
            patch.setenv(variable, value)
            command("repo", "stats", sealed)


def test_options_go_before_variables(
    command: Runner, sealed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYPERSDK_PASSPHRASE", "wrong horse")
    command("repo", "stats", sealed, expect=1)
    command("repo", "stats", sealed, "--passphrase", "env:SECRET")


def test_a_secret_itself_is_refused_and_not_repeated(command: Runner, sealed: Path) -> None:
    result = command("repo", "stats", sealed, "--passphrase", "correct horse", expect=2)
    assert "a secret must be given as a reference" in result.err
    assert "horse" not in result.err


def test_two_keys_at_once(command: Runner, sealed: Path, tmp_path: Path) -> None:
    two = ("--passphrase", "env:SECRET", "--key-file", tmp_path / "key")
    assert "more than one key" in command("repo", "stats", sealed, *two, expect=2).err


def test_without_a_key_and_without_a_person(command: Runner, sealed: Path) -> None:
    result = command("repo", "stats", sealed, expect=1)
    assert result.err == (
        f"hypersdk: {sealed} is encrypted and no key was given\n"
        "  It is opened by --key-file (HYPERSDK_KEY_FILE) or --passphrase (HYPERSDK_PASSPHRASE) "
        "or --identity (HYPERSDK_IDENTITY).\n"
    )
