"""Programs written for hyper2kvm go on working; the command here is a small script that notes how
it was called."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import hyper2kvm.vmware.transports as transports
from hyper2kvm.core.exceptions import VMwareError
from hyper2kvm.vmware.transports.hyperctl_common import (
    HyperCtlConfig,
    HyperCtlRunner,
    create_hyperctl_runner,
    export_vm_hyperctl,
)

TABLE = """\
Jobs
  Job ID      Name          VM Path            Status     Progress   Started
  01J0000000  completed-vm  /DC/vm/failed-vm   {status}   41.5%      12:00
"""


class Command:
    """A ``hyperctl`` that answers from a list, and notes its arguments."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "hyperctl"
        self._calls = folder / "calls.jsonl"
        self._answers = folder / "answers.json"
        self.path.write_text(
            f"#!{sys.executable}\n"
            "import json, os, pathlib, sys, time\n"
            f"calls = pathlib.Path({str(self._calls)!r})\n"
            f"answers = json.loads(pathlib.Path({str(self._answers)!r}).read_text())\n"
            "made = len(calls.read_text().splitlines()) if calls.exists() else 0\n"
            "with calls.open('a') as file:\n"
            "    url = os.environ.get('HYPERVISORD_URL')\n"
            "    file.write(json.dumps([sys.argv[1:], url]) + '\\n')\n"
            "code, out, err = answers[min(made, len(answers) - 1)]\n"
            "sys.stdout.write(out); sys.stderr.write(err)\n"
            "sys.stdout.flush()\n"
            "time.sleep(60 if code == 'hang' else 0)\n"
            "sys.exit(code)\n"
        )
        self.path.chmod(0o755)

    def answers(self, *answers: tuple[Any, str, str]) -> None:
        self._answers.write_text(json.dumps(answers))

    @property
    def calls(self) -> list[list[str]]:
        return [json.loads(line)[0] for line in self._calls.read_text().splitlines()]

    @property
    def urls(self) -> list[str | None]:
        return [json.loads(line)[1] for line in self._calls.read_text().splitlines()]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.delenv("HYPERVISORD_URL", raising=False)
    made = Command(tmp_path)
    monkeypatch.setenv("HYPERCTL_PATH", str(made.path))
    return made


def test_names() -> None:
    assert transports.__all__ == [
        "HYPERCTL_AVAILABLE",
        "HyperCtlRunner",
        "create_hyperctl_runner",
        "export_vm_hyperctl",
    ]
    assert transports.HYPERCTL_AVAILABLE is True
    assert HyperCtlConfig() == HyperCtlConfig("http://localhost:8080", "hyperctl", 3600)


def test_importing_is_light() -> None:
    """Neither hypersdk nor anything installed beside it."""
    code = (
        "import sys, hyper2kvm, hyper2kvm.vmware.transports\n"
        "import importlib.util as u\n"
        "names = {name.partition('.')[0] for name in sys.modules}\n"
        "print(sorted(n for n in names if n not in sys.stdlib_module_names))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={"PYTHONPATH": str(Path(transports.__file__).parents[3])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "['__main__', 'hyper2kvm']"


def test_arguments(command: Command) -> None:
    command.answers((0, "  - Job ID: 01J9\n", ""))
    runner = create_hyperctl_runner()
    assert runner.submit_export_job("/DC/vm/web", "/exports") == "01J9"
    runner.query_job("01J9")
    runner.check_daemon_status()
    assert command.calls == [
        ["submit", "-vm", "/DC/vm/web", "-output", "/exports"],
        ["query", "-id", "01J9"],
        ["status"],
    ]
    assert command.urls == [None, None, None]


def test_what_was_chosen_reaches_the_daemon(command: Command) -> None:
    command.answers((0, "Job ID: 01J9", ""))
    runner = create_hyperctl_runner(daemon_url="https://backup:8443")
    runner.submit_export_job("web", "/exports", parallel_downloads=8)
    assert command.calls == [["submit", "-vm", "web", "-output", "/exports", "-parallel", "8"]]
    assert command.urls == ["https://backup:8443"]


def test_url_of_the_environment(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYPERVISORD_URL", "http://elsewhere:1")
    assert create_hyperctl_runner().daemon_url == "http://elsewhere:1"
    assert create_hyperctl_runner("http://given:2").daemon_url == "http://given:2"
    assert create_hyperctl_runner().hyperctl_path == str(command.path)


def test_colours_do_not_hide_the_id(command: Command) -> None:
    command.answers((0, "\x1b[30;46m INFO \x1b[0m Submitted\n  - \x1b[1mJob ID: 01JX\x1b[0m\n", ""))
    assert create_hyperctl_runner().submit_export_job("a", "b") == "01JX"


def test_no_id(command: Command) -> None:
    command.answers((0, "nothing to say", ""))
    with pytest.raises(VMwareError, match="parse job ID"):
        create_hyperctl_runner().submit_export_job("a", "b")


def test_the_status_is_read_from_its_column(command: Command) -> None:
    """Machines may be called 'completed' and 'failed'."""
    command.answers(
        (0, TABLE.format(status="running"), ""), (0, TABLE.format(status="completed"), "")
    )
    seen: list[dict[str, Any]] = []
    done = create_hyperctl_runner().wait_for_job_completion(
        "01J0", poll_interval=0.01, progress_callback=seen.append
    )
    assert [each["status"] for each in seen] == ["running"]
    assert (done["status"], done["progress_percent"], done["job_id"]) == ("completed", 41.5, "01J0")


@pytest.mark.parametrize("word", ["failed", "cancelled"])
@pytest.mark.parametrize("output", ["Job is now {}", "Status: {}", TABLE.replace("{status}", "{}")])
def test_a_job_that_did_not_complete(command: Command, word: str, output: str) -> None:
    command.answers((0, output.format(word), ""))
    with pytest.raises(VMwareError, match=f"Job 01J0 {word}"):
        create_hyperctl_runner().wait_for_job_completion("01J0", poll_interval=0.01)


def test_waiting_ends(command: Command) -> None:
    command.answers((0, "Status: running", ""))
    with pytest.raises(VMwareError, match=r"Job 01J0 timed out after 0\.05s"):
        create_hyperctl_runner().wait_for_job_completion("01J0", poll_interval=0.05, timeout=0.05)


def test_a_callback_that_fails(command: Command, caplog: pytest.LogCaptureFixture) -> None:
    def broken(status: dict[str, Any]) -> None:
        raise RuntimeError("no display")

    command.answers((0, "Status: running", ""), (0, "Status: completed", ""))
    create_hyperctl_runner().wait_for_job_completion("1", 0.01, progress_callback=broken)
    assert "no display" in caplog.text


def test_refused_by_the_command(command: Command) -> None:
    command.answers((1, "", "vcenter is unknown"))
    with pytest.raises(VMwareError, match="hyperctl failed: vcenter is unknown"):
        create_hyperctl_runner().query_job("1")
    with pytest.raises(VMwareError, match="does not answer: vcenter is unknown"):
        create_hyperctl_runner().check_daemon_status()


def test_no_command(tmp_path: Path) -> None:
    runner = HyperCtlRunner(hyperctl_path=str(tmp_path / "absent"))
    with pytest.raises(VMwareError, match=r"hyperctl not found at .*absent.*HYPERCTL_PATH"):
        runner.query_job("1")
    (tmp_path / "plain").write_text("")
    with pytest.raises(VMwareError, match="cannot be run: Permission denied"):
        HyperCtlRunner(hyperctl_path=str(tmp_path / "plain")).query_job("1")


def test_a_command_that_hangs(command: Command) -> None:
    command.answers(("hang", "", ""))
    with pytest.raises(VMwareError, match="hyperctl query timed out after 1s"):
        HyperCtlRunner(hyperctl_path=str(command.path), timeout=1).query_job("1")


def test_export_in_one_call(command: Command, tmp_path: Path) -> None:
    command.answers((0, "Job ID: 01J9", ""), (0, "Status: completed", ""))
    done = export_vm_hyperctl("web", str(tmp_path / "a/b"))
    assert done["job_id"] == "01J9"
    assert (tmp_path / "a/b").is_dir()


def test_export_without_waiting(command: Command, tmp_path: Path) -> None:
    command.answers((0, "Job ID: 01J9", ""))
    done = export_vm_hyperctl("web", str(tmp_path), wait=False)
    assert done == {"job_id": "01J9", "status": "submitted"}


def test_keywords_only(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs put their own runner in place, which takes keywords."""

    class Own:
        def export_vm(self, **given: Any) -> dict[str, Any]:
            return given

    monkeypatch.setattr(
        "hyper2kvm.vmware.transports.hyperctl_common.create_hyperctl_runner",
        lambda **given: Own(),
    )
    assert export_vm_hyperctl("web", str(tmp_path)) == {
        "vm_path": "web",
        "output_path": str(tmp_path),
        "parallel_downloads": 4,
        "remove_cdrom": True,
        "progress_callback": None,
    }
