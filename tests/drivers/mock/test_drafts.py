from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from hypersdk.drivers.mock.definition import MockDefinition, MockDisk
from hypersdk.drivers.mock.drafts import is_dead
from hypersdk.drivers.mock.driver import MockHypervisor

DIES = """
import os, sys
from pathlib import Path
from hypersdk.drivers.mock.definition import MockDefinition
from hypersdk.drivers.mock.driver import MockHypervisor
root = MockHypervisor(Path(sys.argv[1]))._root
draft = root.draft(MockDefinition(id="x", name="web", vcpus=1, memory=1))
print(draft.folder.path)
sys.stdout.flush()
os._exit(0)
"""

APP = MockDefinition(id="y", name="app", vcpus=1, memory=1, disks=(MockDisk("vda", "d", 5000),))


def test_a_draft_is_alive_while_its_maker_is(tmp_path: Path) -> None:
    mock = MockHypervisor(tmp_path)
    with mock._root.draft(APP) as draft:
        assert not is_dead(draft.folder.path)
        assert list(mock.inventory.instances()) == []
    assert not draft.folder.path.exists()
    script = [sys.executable, "-c", DIES, str(tmp_path)]
    left = subprocess.run(script, check=True, timeout=60, capture_output=True, text=True)
    assert is_dead(Path(left.stdout.strip()))


def test_what_is_published_is_complete_and_stays(tmp_path: Path) -> None:
    mock = MockHypervisor(tmp_path)
    content = tmp_path / "hypervisor.content"
    content.write_bytes(b"x" * 5000)
    with mock._root.draft(APP) as draft:
        draft.fill({APP.disks[0]: content})
        folder = mock._root.publish(draft)
    assert folder.disk_path(APP.disks[0]).read_bytes() == b"x" * 5000
    assert mock.inventory.instance("app").id == "y"
    parts = {"checkpoints", "counters", "disks", "serial", "snapshots", "views"}
    assert {*os.listdir(folder.path)} == {*parts, "definition.json", "state.json", "lock"}
