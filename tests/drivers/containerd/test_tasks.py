from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

from hypersdk.drivers.containerd.tasks import listens, prepared_log
from hypersdk.model.instances import InstanceState
from tests.drivers.containerd.lab import Lab, eventually


def test_who_listens_to_a_signal() -> None:
    """A child that catches one signal, blocks another, and has no use for a third."""
    program = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGUSR1, lambda *_: None)\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        assert listens(child.pid, signal.SIGUSR1)
        assert listens(child.pid, signal.SIGUSR2)
        assert not listens(child.pid, signal.SIGHUP)
        child.kill()
    assert listens(child.pid, signal.SIGHUP)  # it is gone: nobody is told again


def test_a_stop_right_after_a_start_is_heard(lab: Lab) -> None:
    """What is about to become the program is not the program yet."""
    lab.created()
    for _ in range(8):
        lab.hypervisor.lifecycle.start("web")
        began = time.monotonic()
        lab.hypervisor.lifecycle.stop("web", timeout=20)
        assert time.monotonic() - began < 15
        assert lab.state() is InstanceState.STOPPED


def test_a_log_is_for_its_owner_alone(tmp_path: os.PathLike[str]) -> None:
    path = f"{tmp_path}/a/b/log"
    assert prepared_log(path) == path
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert os.stat(os.path.dirname(path)).st_mode & 0o777 == 0o700
    with open(path, "w") as file:
        file.write("kept")
    prepared_log(path)
    with open(path) as file:
        assert file.read() == "kept"


def test_a_start_that_meets_another(lab: Lab) -> None:
    """A task that somebody has made and not started, because he died."""
    lab.created()
    lab.daemon.ctr("tasks", "start", "--detach", "web")
    eventually(lambda: lab.state() is InstanceState.RUNNING)
    lab.hypervisor.lifecycle.start("web")
    assert lab.shell("echo fine") == b"fine\n"
