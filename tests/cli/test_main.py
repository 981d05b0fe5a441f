from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import hypersdk
from tests.cli.conftest import Runner

PROGRAM = [sys.executable, "-c", "from hypersdk.cli.main import main; main()"]


def test_version_and_help(command: Runner, capsys: pytest.CaptureFixture[str]) -> None:
    command("--version")
    assert capsys.readouterr().out == f"hypersdk {hypersdk.__version__}\n"
    command("-h")
    assert "backup   Back up an image, or instances of a hypervisor." in capsys.readouterr().out
    command("repo", "gc", "--help")
    assert "--grace DURATION" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["backp"], "no such command 'backp'. Did you mean 'backup'?"),
        (["repo", "prun"], "no such command 'prun'. Did you mean 'prune'?"),
        (["backup", "--imge", "x"], "no such option '--imge'. Did you mean '--image'?"),
        (["repo", "init", "x", "--encrypt", "non"], "Did you mean 'none'?"),
        (["verify", "x", "--level", "contents"], "Did you mean 'content'?"),
        (["restore", "x", "--to", "y", "--format", "qcow", "--repo", "z"], "Did you mean 'qcow2'?"),
        (["backup", "--repo", "x", "--throttle", "fast"], "'fast' is not a rate"),
        (["repo", "list"], "missing argument 'REPO'"),
        (["backup", "web"], "missing option '--repo'"),
    ],
)
def test_usage_errors_end_with_2_and_name_what_is_near(
    command: Runner, arguments: list[str], message: str
) -> None:
    result = command(*arguments, expect=2)
    assert message in result.err
    assert result.err.startswith("hypersdk: ")
    assert "Traceback" not in result.err
    assert result.out == ""


def test_the_options_for_output_go_before_and_behind_the_command(
    command: Runner, place: Path
) -> None:
    before = command("--json", "repo", "stats", place).json
    between = command("repo", "--json", "stats", place).json
    behind = command("repo", "stats", place, "--json").json
    assert before == between == behind


def test_an_error_is_an_object_with_json(command: Runner, tmp_path: Path) -> None:
    result = command("repo", "list", tmp_path, "--json", expect=1)
    assert result.json["error"]["kind"] == "NotARepository"
    assert result.json["error"]["exit_code"] == 1
    assert result.json["error"]["message"] in result.err


def test_a_usage_error_too(command: Runner) -> None:
    assert command("backup", "--json", "--imge", expect=2).json == {
        "error": {
            "kind": "NoSuchOption",
            "message": "no such option '--imge'. Did you mean '--image'?",
            "hint": "See: hypersdk backup --help",
            "exit_code": 2,
        }
    }


def test_settings_that_are_wrong_are_named(
    command: Runner, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYPERSDK_WORKERS", "many")
    assert "HYPERSDK_WORKERS" in command("repo", "list", place, expect=2).err


def test_the_program_as_users_start_it(place: Path) -> None:
    done = subprocess.run(
        [*PROGRAM, "repo", "list", place, "--json"], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["points"] == []
    assert done.stderr == "No restore points.\n"


def test_a_reader_that_leaves_is_no_error_to_talk_about(place: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as stdout:
        done = subprocess.run(
            [*PROGRAM, "repo", "stats", place, "--json"],
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, "")


def test_names_that_the_locale_cannot_write(tmp_path: Path, image: Path, command: Runner) -> None:
    place = tmp_path / "repository"
    command("repo", "init", place, "--encrypt", "none")
    command("backup", "--repo", place, "--image", image, "--name", "büro/日本")
    done = subprocess.run(
        [*PROGRAM, "repo", "list", place],
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert rb"b\xfcro/\u65e5\u672c" in done.stdout


def test_the_shell_completes_commands_and_options() -> None:
    def completed(line: str) -> str:
        words = {"COMP_WORDS": f"hypersdk {line}", "COMP_CWORD": str(len(line.split()))}
        environment = {**os.environ, **words, "_HYPERSDK_COMPLETE": "bash_complete"}
        return subprocess.run(
            PROGRAM, capture_output=True, text=True, check=False, env=environment
        ).stdout

    assert completed("ver") == "plain,verify\n"
    assert completed("restore --format vh") == "plain,vhdx\n"
    assert "plain,--keep-daily\n" in completed("repo prune --keep")
