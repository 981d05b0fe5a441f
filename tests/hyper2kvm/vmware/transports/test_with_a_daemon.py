"""The published contract with the real command and a real daemon."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hyper2kvm.core.exceptions import VMwareError
from hyper2kvm.vmware import transports
from hyper2kvm.vmware.transports.hyperctl_common import HyperCtlRunner
from tests.app.daemons import until
from tests.client.worked import Worked, working


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worked]:
    with working(tmp_path_factory.mktemp("worked")) as found:
        yield found


@pytest.fixture
def runner(worked: Worked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HyperCtlRunner:
    """As programs get it: by the environment."""
    command = tmp_path / "hyperctl"
    command.write_text(f"#!{sys.executable}\nfrom hypersdk.cli.hyperctl.main import main\nmain()\n")
    command.chmod(0o755)
    monkeypatch.setenv("HYPERCTL_PATH", str(command))
    monkeypatch.setenv("HYPERVISORD_URL", worked.url)
    return transports.create_hyperctl_runner()


def slow(runner: HyperCtlRunner, worked: Worked, folder: Path) -> str:
    """An export that takes more than a minute."""
    file = folder / "slow.json"
    request = {"hypervisor": "lab", "instance": "big", "output": str(folder / "slow")}
    file.write_text(json.dumps({"kind": "export", "request": {**request, "bandwidth": 256 << 10}}))
    done = runner._run_command(["submit", "-file", str(file)])
    return done.stdout.removeprefix("Job ID: ").strip()


def test_the_daemon_runs(runner: HyperCtlRunner, worked: Worked) -> None:
    status = runner.check_daemon_status()
    assert status["status"] == "running"
    assert f"at {worked.url}" in status["output"]


def test_an_export(runner: HyperCtlRunner, tmp_path: Path) -> None:
    folder = tmp_path / "export"
    seen: list[dict[str, Any]] = []
    done = transports.export_vm_hyperctl(
        "/DC/vm/web", str(folder), parallel_downloads=2, progress_callback=seen.append
    )
    assert done["status"] == "completed"
    assert done["progress_percent"] == 100.0
    assert (folder / "web.ovf").exists()
    assert all(each["status"] in ("pending", "running") for each in seen)


def test_progress_is_told(runner: HyperCtlRunner, worked: Worked, tmp_path: Path) -> None:
    id = slow(runner, worked, tmp_path)
    seen: list[dict[str, Any]] = []

    def tell(status: dict[str, Any]) -> None:
        seen.append(status)
        if status.get("progress_percent", 0.0) > 0:
            worked.daemon.request("POST", f"/v1/jobs/{id}/cancel")

    with pytest.raises(VMwareError, match=f"Job {id} cancelled"):
        runner.wait_for_job_completion(id, poll_interval=0.2, progress_callback=tell)
    assert {"pending", "running"} >= {each["status"] for each in seen}
    assert seen[-1]["job_id"] == id
    assert 0 < seen[-1]["progress_percent"] < 100


def test_a_name_like_a_state_misleads_nobody(
    runner: HyperCtlRunner, worked: Worked, tmp_path: Path
) -> None:
    worked.lab.create_instance("failed-2 completed", {"vda": 1 << 20})
    id = runner.submit_export_job("failed-2 completed", str(tmp_path / "odd"))
    assert runner.wait_for_job_completion(id, poll_interval=0.2)["status"] == "completed"


def test_one_that_fails(runner: HyperCtlRunner, tmp_path: Path) -> None:
    id = runner.submit_export_job("nobody", str(tmp_path / "x"))
    with pytest.raises(VMwareError, match=f"Job {id} failed") as caught:
        runner.wait_for_job_completion(id, poll_interval=0.2)
    assert caught.value.context is not None
    assert "no instance 'nobody'" in caught.value.context["output"]


def test_without_waiting(runner: HyperCtlRunner, tmp_path: Path) -> None:
    done = runner.export_vm("db", str(tmp_path / "db"), wait=False)
    assert done["status"] == "submitted"
    until(lambda: runner.query_job(done["job_id"])["status"] == "completed")


def test_a_bound_on_the_waiting(runner: HyperCtlRunner, worked: Worked, tmp_path: Path) -> None:
    id = slow(runner, worked, tmp_path)
    with pytest.raises(VMwareError, match=f"Job {id} timed out after 0.5s"):
        runner.wait_for_job_completion(id, poll_interval=0.1, timeout=0.5)
    worked.daemon.request("POST", f"/v1/jobs/{id}/cancel")


def test_what_the_daemon_refuses_is_told(runner: HyperCtlRunner) -> None:
    with pytest.raises(VMwareError, match=r"hyperctl failed: .*there is no job nope"):
        runner.query_job("nope")


def test_nobody_answers(runner: HyperCtlRunner) -> None:
    runner.daemon_url = "http://127.0.0.1:9"
    with pytest.raises(VMwareError, match=r"hypervisord at http://127.0.0.1:9 does not answer"):
        runner.check_daemon_status()


def test_several_threads(runner: HyperCtlRunner, tmp_path: Path) -> None:
    ended: dict[str, str] = {}

    def export(name: str) -> None:
        id = runner.submit_export_job(name, str(tmp_path / name))
        ended[name] = runner.wait_for_job_completion(id, poll_interval=0.2)["status"]

    threads = [threading.Thread(target=export, args=(name,)) for name in ("web", "db")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ended == {"web": "completed", "db": "completed"}


def test_importing_it_is_instant() -> None:
    program = (
        "import sys; before = set(sys.modules); import hyper2kvm; "
        "print(*(set(sys.modules) - before)); import hyper2kvm.vmware.transports; "
        "print(*(name for name in sys.modules if name.startswith(('hypersdk', 'httpx'))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["hyper2kvm", ""]
