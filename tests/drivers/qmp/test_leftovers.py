"""What killed runs left, and what is none of our business."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

from hypersdk.model.instances import InstanceState
from tests.drivers.qmp.conftest import Place

_MAKER = """
import sys
from pathlib import Path
from hypersdk.drivers.qmp.driver import QmpHypervisor
from hypersdk.drivers.qmp.images import Images
from hypersdk.model.specs import DiskSpec
hypervisor = QmpHypervisor(Path(sys.argv[1]))
root = hypervisor.lifecycle._root
with root.draft("half", "1234") as draft, Images(draft.disks, draft.path / "made") as images:
    images.place(DiskSpec(size=1 << 20), "vda")
    images.place(DiskSpec(size=1 << 20, path=sys.argv[2]), "vdb")
    print("made", flush=True)
    sys.stdin.readline()
"""


def test_a_half_made_instance_goes_with_its_disks_once_its_maker_is_dead(place: Place) -> None:
    outside = place.folder / "outside.qcow2"
    maker = subprocess.Popen(
        [sys.executable, "-c", _MAKER, str(place.root), str(outside)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert maker.stdout is not None
    assert maker.stdout.readline() == b"made\n"
    assert list(place.driver.inventory.instances()) == []
    assert place.driver.leftovers.reap() == [], "its maker lives"
    maker.kill()
    maker.communicate()
    lines = place.driver.leftovers.reap(dry_run=True)
    assert len(lines) == 1
    assert outside.exists()
    assert place.driver.leftovers.reap() == lines
    assert not outside.exists()
    assert not (place.root / ".new-1234").exists()


def test_sockets_of_a_run_that_ended_go_and_the_traces_of_a_death_stay(place: Place) -> None:
    place.running("orderly")
    place.running("killed")
    for name, number in (("orderly", signal.SIGTERM), ("killed", signal.SIGKILL)):
        os.kill(int((place.run_folder(name) / "pid").read_text()), number)
    deadline = time.monotonic() + 20
    while any(i.state is InstanceState.RUNNING for i in place.driver.inventory.instances()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert place.driver.leftovers.reap() == ["orderly: removed what its last run left"]
    assert place.driver.inventory.instance("killed").state is InstanceState.CRASHED
    assert not place.run_folder("orderly").exists()


def test_a_living_instance_is_left_alone(place: Place) -> None:
    place.running()
    assert place.driver.leftovers.reap() == []
    assert len(place.pids()) == 1
