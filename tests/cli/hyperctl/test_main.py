"""The line, the daemon that is meant, and what is said when something is wrong."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from hypersdk.model.accounts import Role
from tests.api.serving import Daemon, serving
from tests.cli.hyperctl.conftest import Control
from tests.client.worked import Worked

NOBODY = "http://127.0.0.1:9"


def test_without_a_command_it_says_what_there_is() -> None:
    result = Control()(expect=2)
    assert result.out == ""
    assert "Anywhere on the line:" in result.err
    assert "\n  submit      Submit jobs.\n" in result.err


def test_the_version() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from hypersdk.cli.hyperctl.main import main; main()", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("hyperctl ")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("qurey", "hyperctl: no such command 'qurey'. Did you mean 'query'?\n  See: hyperctl"),
        ("query -stauts x", "hyperctl: no such option '--stauts'. Did you mean '--status'?\n"),
        ("submit", "hyperctl: give either -vm or -file\n  See: hyperctl submit --help\n"),
        ("query -id", "hyperctl: option '--id' requires an argument\n  See: hyperctl"),
        ("status -daemon", "hyperctl: -daemon needs a value\n  See: hyperctl --help\n"),
    ],
)
def test_a_line_that_is_not_understood(line: str, said: str) -> None:
    result = Control()(*line.split(), expect=2)
    assert result.err.startswith(said)
    assert result.out == ""


def test_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYPERVISORD_URL", NOBODY)
    result = Control()("status", expect=1)
    assert result.err == (
        f"hyperctl: no daemon answers at {NOBODY}: [Errno 111] Connection refused\n"
        "  Is it running? Start it with: hypervisord\n"
    )
    document = Control()("status", "-json", expect=1).json
    assert document["error"]["kind"] == "DaemonUnreachable"
    assert document["error"]["exit_code"] == 1


def test_the_line_says_more_than_the_environment(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYPERVISORD_URL", NOBODY)
    for words in (["-daemon", daemon.url, "status"], ["status", f"--daemon={daemon.url}"]):
        assert daemon.url in Control()(*words).out
    monkeypatch.setenv("HYPERVISORD_URL", daemon.url)
    assert daemon.url in Control()("status").out


def test_a_socket(worked: Worked) -> None:
    assert worked.socket.startswith("unix:/")
    assert f"at {worked.socket}\n" in Control(worked.socket)("status").out


def test_a_near_name_is_shown(control: Control) -> None:
    result = control("hypervisor", "show", "lob", expect=1)
    assert result.err == (
        "hyperctl: there is no hypervisor 'lob'\n"
        "  Did you mean lab? Hypervisors are listed by: hyperctl hypervisor list\n"
    )


def test_wrong_fields_are_named(control: Control) -> None:
    result = control("query", "-status", "faled", expect=1)
    assert "query.state[0]: input should be 'scheduled', 'pending'" in result.err


def test_what_a_record_refuses_is_named(control: Control) -> None:
    result = control("hypervisor", "add", "no/name", "mock:///x", expect=2)
    assert result.err.startswith("hyperctl: name: String should match pattern")


def test_who_may_not(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(tmp_path_factory.mktemp("accounts")) as closed:
        closed.account("root", Role.ADMIN)
        viewer = closed.account("vera", Role.VIEWER)
        control = Control(closed.url)
        assert "hyperctl login" in control("query", expect=1).err
        monkeypatch.setenv("HYPERCTL_TOKEN", viewer)
        assert control("query").out.startswith("Job ID")
        refused = control("schedules", "delete", "x", expect=1)
        assert "operator" in refused.err
        monkeypatch.setenv("MY_TOKEN", viewer)
        monkeypatch.setenv("HYPERCTL_TOKEN", "hsdk_x_y")
        assert control("query", expect=1).out == ""
        assert control("query", "-token-from", "env:MY_TOKEN").out
        refused = control("-token-from", viewer, "query", expect=2)
        assert viewer not in refused.err + refused.out


def test_a_secret_is_no_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    result = Control(NOBODY)("-token-from", "hsdk_abc_def", "status", expect=2)
    assert "hsdk_abc_def" not in result.err


@pytest.mark.parametrize("line", ["--version", "query"])
def test_it_starts_with_little(line: str) -> None:
    """What a client of the daemon does not need is not loaded."""
    program = (
        "import json, sys\n"
        "from hypersdk.cli.hyperctl.main import main\n"
        f"sys.argv = ['hyperctl', '-daemon', '{NOBODY}', '{line}']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    heavy = {
        "dbos", "fastapi", "hypersdk.api", "hypersdk.app", "hypersdk.drivers", "hypersdk.flows",
        "hypersdk.repository", "pydantic_settings", "sqlalchemy", "structlog", "uvicorn", "yaml",
        "hypersdk.contract.known", "hypersdk.contract.instances",
    }  # fmt: skip
    assert loaded & heavy == set()
