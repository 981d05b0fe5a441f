"""Processes of QEMU: adopted by whoever comes next, and never orphaned."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from hypersdk.datapath.cancel import CancelToken
from hypersdk.drivers.qmp.driver import QmpHypervisor
from hypersdk.model.errors import (
    HyperSDKError,
    HypervisorUnreachable,
    InvalidState,
    NotFound,
)
from hypersdk.model.instances import InstanceState
from hypersdk.model.specs import DiskSpec
from hypersdk.model.units import MIB
from tests.drivers.qmp.conftest import Place

_RUNNING, _PAUSED = InstanceState.RUNNING, InstanceState.PAUSED
_STOPPED, _CRASHED = InstanceState.STOPPED, InstanceState.CRASHED

_STARTER = """
import sys
from pathlib import Path
from hypersdk.drivers.qmp.driver import QmpHypervisor
hypervisor = QmpHypervisor(Path(sys.argv[1]))
print("go", flush=True)
sys.stdin.readline()
hypervisor.lifecycle.start("web")
print("started", flush=True)
sys.stdin.readline()
"""


def starter(place: Place) -> subprocess.Popen[str]:
    """Another process that starts 'web' when it gets a line."""
    process = subprocess.Popen(
        [sys.executable, "-c", _STARTER, str(place.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "go\n"
    return process


def tell(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def killed(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_an_instance_outlives_who_started_it_and_is_adopted(place: Place) -> None:
    made = place.create()
    other = starter(place)
    tell(other)
    assert other.stdout is not None
    assert other.stdout.readline() == "started\n"
    killed(other)
    found = place.driver.inventory.instance("web")
    assert (found.id, found.state) == (made.id, _RUNNING)
    place.driver.lifecycle.pause("web")
    assert place.driver.inventory.instance(made.id).state is _PAUSED


@pytest.mark.parametrize("milliseconds", [0, 10, 25, 40, 60, 90])
def test_whoever_dies_while_starting_leaves_no_second_and_no_lost_process(
    place: Place, milliseconds: int
) -> None:
    made = place.create()
    other = starter(place)
    tell(other)
    time.sleep(milliseconds / 1000)
    killed(other)
    found = place.driver.inventory.instance("web")
    assert found.id == made.id
    assert found.state in (_STOPPED, _PAUSED, _RUNNING)
    place.driver.lifecycle.start("web")
    assert place.driver.inventory.instance("web").state is _RUNNING
    assert len(place.pids()) == 1
    place.driver.lifecycle.stop("web", force=True)
    assert place.pids() == []


def test_a_process_killed_under_us_is_a_crash_until_it_is_stopped(place: Place) -> None:
    place.running()
    os.kill(place.pids()[0], signal.SIGKILL)
    _until_gone(place)
    assert place.driver.inventory.instance("web").state is _CRASHED
    with pytest.raises(InvalidState, match="crashed"):
        place.driver.lifecycle.delete("web")
    place.driver.lifecycle.stop("web")
    assert place.driver.inventory.instance("web").state is _STOPPED


def test_a_crashed_one_starts_again(place: Place) -> None:
    place.running()
    os.kill(place.pids()[0], signal.SIGKILL)
    _until_gone(place)
    place.driver.lifecycle.reset("web")
    assert place.driver.inventory.instance("web").state is _RUNNING


def test_a_process_that_was_told_to_end_is_no_crash(place: Place) -> None:
    place.running()
    os.kill(place.pids()[0], signal.SIGTERM)
    _until_gone(place)
    assert place.driver.inventory.instance("web").state is _STOPPED


def test_a_panic_is_a_crash_and_a_reset_mends_it(place: Place) -> None:
    place.running()
    with place.monitor() as monitor:
        monitor.people("o /b 0x505 1")  # what a guest's kernel does when it panics
        while monitor.ask("query-status")["status"] != "guest-panicked":
            time.sleep(0.01)
    assert place.driver.inventory.instance("web").state is _CRASHED
    with pytest.raises(InvalidState):
        place.driver.lifecycle.pause("web")
    place.driver.lifecycle.reset("web")
    assert place.driver.inventory.instance("web").state is _RUNNING


def test_a_process_that_hangs_is_unknown_and_can_be_forced(place: Place) -> None:
    place.running()
    place.driver.lifecycle._power.patience = 0.5
    os.kill(place.pids()[0], signal.SIGSTOP)
    assert place.driver.inventory.instance("web").state is InstanceState.UNKNOWN
    with pytest.raises(HypervisorUnreachable, match="does not answer"):
        place.driver.lifecycle.pause("web")
    begun = time.monotonic()
    place.driver.lifecycle.stop("web", force=True)
    assert time.monotonic() - begun < 10
    assert place.pids() == []
    assert place.driver.inventory.instance("web").state is _STOPPED


def test_a_pid_file_that_names_another_process_kills_nobody(place: Place) -> None:
    place.running()
    with subprocess.Popen(["sleep", "60"]) as bystander:
        (place.run_folder() / "pid").write_text(f"{bystander.pid}\n")
        place.driver.lifecycle.stop("web", force=True)
        assert place.pids() == []
        assert bystander.poll() is None
        bystander.kill()


def test_a_run_folder_removed_under_qemu_leaves_no_second_process(place: Place) -> None:
    place.running()
    first = place.pids()
    for path in place.run_folder().iterdir():
        path.unlink()
    place.run_folder().rmdir()
    place.driver.lifecycle.start("web")
    assert len(place.pids()) == 1
    assert place.pids() != first


def test_a_disk_that_is_gone_stops_the_start_and_leaves_nothing(place: Place) -> None:
    made = place.create()
    Path(made.disks[0].path).unlink()
    with pytest.raises(NotFound, match="no image"):
        place.driver.lifecycle.start("web")
    assert place.pids() == []
    assert not place.run_folder().exists()


def test_what_qemu_complains_about_is_said(place: Place) -> None:
    bad = place.folder / "kernel"
    bad.write_bytes(b"no kernel at all")
    place.create(kernel=str(bad))
    with pytest.raises(HyperSDKError, match="start 'web'"):
        place.driver.lifecycle.start("web")
    assert place.pids() == []
    assert place.driver.inventory.instance("web").state is _STOPPED


def test_a_disk_in_use_is_an_invalid_state(place: Place) -> None:
    shared = place.folder / "shared.qcow2"
    place.create("one", disks=(DiskSpec(name="vda", size=MIB, path=str(shared)),))
    place.create("two", disks=(DiskSpec(name="vda", path=str(shared)),))
    place.driver.lifecycle.start("one")
    with pytest.raises(InvalidState, match="lock"):
        place.driver.lifecycle.start("two")


def test_cancelling_a_start_leaves_no_process(place: Place) -> None:
    place.create()
    token = CancelToken()
    token.cancel()
    with token.scope(), pytest.raises(HyperSDKError, match="cancelled"):
        place.driver.lifecycle.start("web")
    assert place.pids() == []
    assert place.driver.inventory.instance("web").state is _STOPPED


def test_many_threads_start_one_instance_once(place: Place) -> None:
    place.create()
    problems: list[BaseException] = []

    def start() -> None:
        try:
            place.driver.lifecycle.start("web")
        except BaseException as error:  # noqa: BLE001 - shown below
            problems.append(error)

    threads = [threading.Thread(target=start) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert len(place.pids()) == 1


def test_a_folder_removed_with_its_process_running_is_ended_by_the_next_connection(
    place: Place,
) -> None:
    place.running()
    folder = place.run_folder().parent
    _remove(folder)
    assert len(place.pids()) == 1
    QmpHypervisor(place.root).close()
    assert place.pids() == []


def _remove(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()


def _until_gone(place: Place) -> None:
    deadline = time.monotonic() + 20
    while place.pids():
        assert time.monotonic() < deadline
        time.sleep(0.01)
