from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hypersdk.drivers.mock.driver import MockHypervisor
from hypersdk.drivers.mock.freezing import abandoned, freeze

#: Begins a view and a building, tells so, and waits to be killed.
BUSY = """
import sys, time
from hypersdk.drivers.diskports import Placement
from hypersdk.drivers.mock.driver import connect
mock = connect(sys.argv[1])
view = mock.disks.view("web", {})
building = mock.provisioning.build(view.definition, [], Placement(name="copy"))
building._begun()
print("busy", flush=True)
time.sleep(600)
"""


@pytest.fixture
def busy(mock: MockHypervisor) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", BUSY, mock.url], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "busy\n"
    return process


def killed(process: subprocess.Popen[str]) -> None:
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)


def test_what_a_killed_process_left_is_named_and_removed(
    mock: MockHypervisor, busy: subprocess.Popen[str]
) -> None:
    assert list(mock.leftovers.reap()) == [], "it is alive"
    killed(busy)
    folder = mock._root.find("web").path
    (folder / "snapshots" / ".half").mkdir()
    freeze(folder, "999999999 1")
    assert abandoned(folder)
    lines = mock.leftovers.reap(dry_run=True)
    assert len(lines) == 4
    assert mock.leftovers.reap() == lines
    assert [line.partition(" removed ")[0] for line in lines[1:]] == [
        "web: thawed its filesystems",
        "web:",
        "web:",
    ]
    assert mock.leftovers.reap() == []
    assert not list(mock._path.glob(".new-*"))
    assert not list((folder / "views").iterdir())


def test_the_next_instance_sweeps_as_well_and_spares_the_living(
    mock: MockHypervisor, busy: subprocess.Popen[str]
) -> None:
    mock.create_instance("one", {})
    assert list(mock._path.glob(".new-*"))
    killed(busy)
    mock.create_instance("two", {})
    assert not list(mock._path.glob(".new-*"))


def test_where_no_hypervisor_is_nothing_is_left(tmp_path: Path) -> None:
    assert list(MockHypervisor(tmp_path / "nowhere").leftovers.reap()) == []
    assert not (tmp_path / "nowhere").exists()
