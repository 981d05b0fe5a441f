from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from hypersdk.datapath.cancel import CancelToken
from hypersdk.drivers.containerd.lifecycle import stop_signal
from hypersdk.model.errors import (
    AlreadyExists,
    HypervisorError,
    Interrupted,
    InvalidInput,
    InvalidState,
    LimitExceeded,
    NotFound,
    NotSupported,
    OperationTimeout,
)
from hypersdk.model.instances import InstanceState
from hypersdk.model.specs import CloudInit, DiskSpec, MountSpec, NicSpec, PortSpec
from hypersdk.model.units import MIB
from tests.drivers.containerd.lab import Lab, eventually

STUBBORN = ("/bin/sh", "-c", "trap '' TERM; while :; do sleep 1; done")


def test_a_life(lab: Lab) -> None:
    part = lab.hypervisor.lifecycle
    made = part.create(lab.spec(vcpus=1, env={"COLOUR": "red", "LAB": "mine", "NONE": ""}))
    assert (made.id, made.state, made.owned) == ("web", InstanceState.STOPPED, True)
    part.start("web")
    part.start("web")
    assert lab.state() is InstanceState.RUNNING
    assert lab.shell("echo $COLOUR $LAB [$NONE]") == b"red mine []\n"
    part.pause("web")
    part.pause("web")
    assert lab.state() is InstanceState.PAUSED
    part.resume("web")
    part.resume("web")
    assert lab.state() is InstanceState.RUNNING
    part.stop("web", timeout=20)
    part.stop("web")
    assert lab.state() is InstanceState.STOPPED
    assert not lab.daemon.shims()
    part.delete("web")
    assert lab.observer.look("web") is None


def test_limits_are_in_force(lab: Lab) -> None:
    lab.running(cpu_weight=300, cpu_limit=0.5, pids_limit=77)
    seen = lab.observer.look("web")
    assert seen is not None
    assert (seen.cpu_weight, seen.cpu_limit) == (300, 0.5)
    assert (seen.memory, seen.pids_limit) == (64 * MIB, 77)


def test_it_is_shut_off_from_the_network_and_the_host(lab: Lab) -> None:
    lab.running()
    assert lab.shell("cat /proc/net/dev | head -n 3").count(b"lo:") == 1
    assert b"eth" not in lab.shell("cat /proc/net/dev")
    # CapEff: nothing of what reaches the host, such as CAP_SYS_ADMIN (21) or CAP_NET_ADMIN (12).
    (line,) = (
        line for line in lab.shell("cat /proc/1/status").decode().splitlines() if "CapEff" in line
    )
    effective = int(line.split()[1], 16)
    assert not effective & (1 << 21 | 1 << 12)
    assert lab.shell("head -c 10 /proc/kcore | wc -c") == b"0\n"


def test_a_paused_start_waits(lab: Lab) -> None:
    part = lab.hypervisor.lifecycle
    lab.created()
    part.start("web", paused=True)
    part.start("web", paused=True)
    assert lab.state() is InstanceState.PAUSED
    assert lab.hypervisor.logs.read("web") == b""
    with pytest.raises(InvalidState):
        part.stop("web")
    with pytest.raises(InvalidState):
        part.delete("web")
    part.reset("web")
    assert lab.state() is InstanceState.PAUSED
    part.start("web")
    assert lab.state() is InstanceState.RUNNING
    part.stop("web", force=True)
    part.start("web")
    assert lab.state() is InstanceState.RUNNING


def test_a_frozen_one_is_stopped_by_force(lab: Lab) -> None:
    lab.running()
    lab.hypervisor.lifecycle.pause("web")
    lab.hypervisor.lifecycle.stop("web", force=True)
    assert lab.state() is InstanceState.STOPPED


def test_one_that_ends_by_itself_is_stopped(lab: Lab) -> None:
    lab.running(command=("/bin/sh", "-c", "echo bye; exit 3"))
    eventually(lab.state, lambda state: state is InstanceState.STOPPED)
    lab.hypervisor.lifecycle.start("web")
    eventually(lab.state, lambda state: state is InstanceState.STOPPED)
    assert lab.hypervisor.logs.read("web") == b"bye\nbye\n"
    lab.hypervisor.lifecycle.delete("web")


def test_a_stubborn_one_is_left_alone(lab: Lab) -> None:
    lab.running(command=STUBBORN)
    with pytest.raises(OperationTimeout, match="still runs"):
        lab.hypervisor.lifecycle.stop("web", timeout=0.5)
    token = CancelToken()
    threading.Timer(0.3, token.cancel).start()
    began = time.monotonic()
    with pytest.raises(Interrupted), token.scope():
        lab.hypervisor.lifecycle.stop("web", timeout=60)
    assert time.monotonic() - began < 5
    assert lab.state() is InstanceState.RUNNING


def test_a_stop_waits_for_one_that_does_not_listen_yet(lab: Lab) -> None:
    """The kernel drops a signal that a first process does not catch."""
    late = "sleep 1; trap 'exit 0' TERM; while :; do sleep 0.1; done"
    lab.running(command=("/bin/sh", "-c", late))
    lab.hypervisor.lifecycle.stop("web", timeout=20)
    assert lab.state() is InstanceState.STOPPED


def test_what_cannot_be_started(lab: Lab) -> None:
    lab.created(command=("/no/such/program",))
    with pytest.raises(HypervisorError, match="/no/such/program"):
        lab.hypervisor.lifecycle.start("web")
    assert lab.state() is InstanceState.STOPPED
    assert not lab.daemon.shims()
    lab.hypervisor.lifecycle.delete("web")


@pytest.mark.parametrize(
    "changes",
    [
        {"disks": (DiskSpec(size=MIB),)},
        {"nics": (NicSpec(),)},
        {"ports": (PortSpec(host=1080, inside=80),)},
        {"cloud_init": CloudInit(hostname="web")},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_containers_lack_is_named(lab: Lab, changes: dict[str, Any]) -> None:
    before = lab.observer.resources()
    aspects = {limit.aspect for limit in lab.hypervisor.lifecycle.limits}
    assert f"lifecycle.{next(iter(changes))}" in aspects
    with pytest.raises(NotSupported):
        lab.created(**changes)
    assert lab.observer.resources() == before


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"image": "nothing:1"}, NotFound),
        ({"image": ""}, InvalidInput),
        ({"name": "a b"}, InvalidInput),
        ({"firmware": "uefi"}, InvalidInput),
        ({"kernel": "/vmlinuz"}, InvalidInput),
        ({"memory": 2 * MIB}, InvalidInput),
        ({"memory": 1 << 55}, LimitExceeded),
        ({"vcpus": 5000}, LimitExceeded),
        ({"tags": {"a": "x" * 5000}}, InvalidInput),
        ({"mounts": (MountSpec(source="/nonexistent/x", target="/x"),)}, InvalidInput),
        ({"mounts": (MountSpec(source="a b", target="/x"),)}, InvalidInput),
    ],
)
def test_bad_specs_leave_nothing(lab: Lab, changes: dict[str, Any], kind: type[Exception]) -> None:
    before = lab.observer.resources()
    with pytest.raises(kind):
        lab.hypervisor.lifecycle.create(lab.spec(**changes))
    assert lab.observer.resources() == before


def test_a_taken_name(lab: Lab) -> None:
    lab.created()
    before = lab.observer.resources()
    with pytest.raises(AlreadyExists):
        lab.created()
    eventually(lambda: lab.observer.resources() - before, lambda left: not left)


def test_volumes_outlive_their_instance_unless_told(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "word").write_text("from the host")
    mounts = (
        MountSpec(source=str(tmp_path), target="/host", read_only=True),
        MountSpec(source="data", target="/data"),
    )
    lab.running("one", mounts=mounts)
    lab.running("two", mounts=mounts[1:])
    assert lab.shell("cat /host/word; echo kept >/data/file", "one") == b"from the host"
    assert lab.hypervisor.execution.run("one", ("touch", "/host/x")).exit_code != 0
    assert lab.shell("cat /data/file", "two") == b"kept\n"
    lab.hypervisor.lifecycle.stop("one", force=True)
    lab.hypervisor.lifecycle.delete("one", disks=True)  # two needs it
    assert lab.shell("cat /data/file", "two") == b"kept\n"
    lab.hypervisor.lifecycle.stop("two", force=True)
    lab.hypervisor.lifecycle.delete("two")
    lab.running("three", mounts=mounts[1:])
    assert lab.shell("cat /data/file", "three") == b"kept\n"
    lab.hypervisor.lifecycle.stop("three", force=True)
    lab.hypervisor.lifecycle.delete("three", disks=True)
    assert not any("volumes" in line for line in lab.observer.resources())


def test_a_dead_shim_is_a_stopped_instance(lab: Lab) -> None:
    lab.running()
    (shim,) = lab.daemon.shims()
    os.kill(shim, signal.SIGKILL)
    eventually(lab.state, lambda state: state is InstanceState.STOPPED)
    lab.hypervisor.lifecycle.start("web")
    assert lab.shell("echo again") == b"again\n"


def test_delete_leaves_no_bundle_mount_or_log(lab: Lab) -> None:
    before = lab.observer.resources()
    lab.running()
    log = json.loads(lab.daemon.ctr("containers", "info", "web"))["Labels"]["hypersdk/log"]
    assert Path(log).stat().st_mode & 0o777 == 0o600
    assert any(line.startswith("mount ") for line in lab.observer.resources() - before)
    lab.hypervisor.lifecycle.stop("web", force=True)
    lab.hypervisor.lifecycle.delete("web")
    assert not Path(log).exists()
    bundles = lab.daemon.folder / "state/io.containerd.runtime.v2.task" / lab.daemon.namespace
    eventually(lambda: list(bundles.iterdir()), lambda left: not left)
    snapshots = lab.daemon.folder / "root/io.containerd.snapshotter.v1.overlayfs/snapshots"
    eventually(lambda: len(list(snapshots.iterdir())), lambda count: count <= 1)


@pytest.mark.parametrize(
    ("wanted", "number"),
    [("", 15), (None, 15), ("SIGQUIT", 3), ("int", 2), ("9", 9), ("900", 15), ("SIGNONE", 15)],
)
def test_stop_signals(wanted: object, number: int) -> None:
    assert stop_signal(wanted) == number
