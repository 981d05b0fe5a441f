"""What killed runs left is removed; what lives is left alone."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from hypersdk.drivers.vsphere.leftovers import VsphereLeftovers
from hypersdk.drivers.vsphere.owner import Owner
from tests.drivers.vsphere.reading import Machines, disk_of, machines, read_all

__all__ = ["machines"]

#: Begins to read and waits to be killed.
_RUN = """
import sys, time
from hypersdk.drivers.vsphere.driver import connect
with connect(sys.argv[1]).disks.view(sys.argv[2], {}) as view:
    source = view.disks[0].open()
    print("reading", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def killed(machines: Machines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A machine whose reader was killed."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    name = machines.make(running=True)
    run = subprocess.Popen(
        [sys.executable, "-c", _RUN, machines.lab.url, name], stdout=subprocess.PIPE, text=True
    )
    assert run.stdout is not None
    assert run.stdout.readline().strip() == "reading"
    run.kill()
    run.communicate()
    return name


def test_snapshot_and_lease_of_a_killed_run_go(machines: Machines, killed: str) -> None:
    leases, snapshots = machines.state(killed)
    assert (len(leases), len(snapshots)) == (1, 1)
    part = VsphereLeftovers(machines.connection)
    planned = [line for line in part.reap(dry_run=True) if killed in line]
    assert len(planned) == 2
    assert machines.state(killed) != ([], [])
    assert [line for line in part.reap() if killed in line] == planned
    machines.settled(killed)
    assert not [line for line in part.reap() if killed in line]
    assert not list((Path(os.environ["XDG_STATE_HOME"]) / "hypersdk" / "vsphere").glob("*"))


def test_the_next_run_cleans_up(machines: Machines, killed: str) -> None:
    VsphereLeftovers(machines.connection).reap()
    with machines.disks.view(killed, {}) as view:
        read_all(view)
        view.confirm()
    machines.settled(killed)


def test_what_lives_is_left_alone(machines: Machines) -> None:
    name = machines.make(running=True)
    with machines.disks.view(name, {}) as view, disk_of(view).open() as source:
        assert not [line for line in VsphereLeftovers(machines.connection).reap() if name in line]
        assert list(source.extents())
    machines.settled(name)


def test_snapshots_of_others_stay(machines: Machines) -> None:
    name = machines.make()
    vm = machines.connection.vm(name)
    for title, words in (("hypersdk-mine", "a note"), ("other", "hypersdk: temporary, x 1 2")):
        machines.connection.task(
            partial(vm.CreateSnapshot_Task, title, words, False, False), "take it"
        )
    VsphereLeftovers(machines.connection).reap()
    assert len(machines.state(name)[1]) == 2


def test_a_process_is_told_from_one_of_the_same_number() -> None:
    me = Owner.this()
    assert Owner.parse(str(me)) == me
    now = time.time()
    assert not me.is_dead(_moment(now), _moment(now))
    assert Owner(me.host, me.pid, me.began + 1).is_dead(_moment(now), _moment(now))
    other = Owner("elsewhere", 1, 1)
    assert not other.is_dead(_moment(now - 3600), _moment(now))
    assert other.is_dead(_moment(now - 90_000), _moment(now))
    assert Owner.parse("hypersdk: temporary, a b c") is None


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
