from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Runner

SMALL = ("--size", "256MiB", "--data", "16MiB")


def test_the_main_job(command: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")  # no qemu, nothing else
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    result = command("demo", *SMALL)
    lines = result.out.splitlines()
    assert [line[0] for line in lines if line[:2] in {f"{n}." for n in range(1, 10)}] == list(
        "12345678"
    )
    assert lines[-1].startswith("restored disk is identical")
    assert "INSTANCE  DISK  KIND" in result.out
    assert list(tmp_path.glob("hypersdk-demo-*")) == [], "it tidies up behind itself"


def test_the_printed_commands_work(
    command: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "demo"
    result = command("demo", *SMALL, "--dir", folder, "--keep", "--quiet")
    monkeypatch.setenv("HYPERSDK_REPOSITORY", str(folder / "repository"))
    monkeypatch.setenv("HYPERSDK_KEY_FILE", str(folder / "key"))
    typed = [line.removeprefix("   $ hypersdk ") for line in result.out.splitlines()]
    commands = [line for line in typed if line.startswith(("backup", "verify", "repo prune"))]
    for line in dict.fromkeys(commands):
        command(*line.replace("$HYPERSDK_REPOSITORY", str(folder / "repository")).split())


def test_json(command: Runner) -> None:
    document = command("demo", *SMALL, "--json").json
    assert document["identical"] is True
    assert [
        (point["instance"], point["disks"][0]["incremental"]) for point in document["backups"]
    ] == [("web", False), ("db", False), ("web", True), ("db", True)]


def test_a_folder_with_something_in_it_is_left_alone(command: Runner, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("mine")
    result = command("demo", "--dir", tmp_path / "mine", expect=2)
    assert "is not an empty folder" in result.err
    assert (tmp_path / "mine" / "file").read_text() == "mine"


def test_an_empty_folder_stays_and_is_empty_again(command: Runner, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    command("demo", *SMALL, "--dir", tmp_path / "mine")
    assert list((tmp_path / "mine").iterdir()) == []


def test_disks_too_small_for_the_data(command: Runner) -> None:
    assert "too small" in command("demo", "--data", "8GiB", expect=2).err
