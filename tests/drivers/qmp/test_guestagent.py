"""The agent of the lab's guest, and what happens without one."""

from __future__ import annotations

import subprocess
import time

import pytest

from hypersdk.drivers.diskports import ViewOptions
from hypersdk.model.errors import GuestAgentMissing, InvalidState
from hypersdk.model.instances import Consistency
from hypersdk.model.specs import DiskSpec
from hypersdk.model.units import MIB
from tests.components import require
from tests.drivers.qmp.conftest import Place
from tests.kvm.system import System


def test_an_agent_answers_and_freezes(place: Place, system: System) -> None:
    disk = place.folder / "disk.raw"
    with open(disk, "wb") as file:
        file.truncate(8 * MIB)
    subprocess.run(["mkfs.ext4", "-q", str(disk)], check=True)
    place.running(
        disks=(DiskSpec(path=str(disk), format="raw"),),
        memory=128 * MIB,
        kernel=str(system.kernel),
        initrd=str(system.initramfs),
        kernel_arguments="console=ttyS0 mount=vda:/data",
    )
    require("mkfs.ext4")
    agent = place.driver.guest_agent
    deadline = time.monotonic() + 60
    while True:
        try:
            agent.ping("web")
            break
        except GuestAgentMissing:
            assert time.monotonic() < deadline
            time.sleep(0.2)
    info = agent.info("web")
    assert info.agent_version
    assert info.kernel
    assert agent.freeze("web") == 1, "its disk is mounted"
    assert agent.thaw("web") == 1
    with place.driver.disks.view("web", {}) as view:
        assert view.consistency is Consistency.FILESYSTEM
        assert view.warnings == ()
    with place.driver.disks.view("web", {}, ViewOptions(freeze=False)) as view:
        assert view.consistency is Consistency.CRASH
    assert agent.thaw("web") == 0, "the backup left it frozen"


def test_a_guest_without_an_agent_says_so_at_once(place: Place) -> None:
    place.running()
    begun = time.monotonic()
    with pytest.raises(GuestAgentMissing, match="no guest agent"):
        place.driver.guest_agent.ping("web")
    assert time.monotonic() - begun < 4
    place.driver.lifecycle.pause("web")
    with pytest.raises(InvalidState, match="not running"):
        place.driver.guest_agent.thaw("web")
