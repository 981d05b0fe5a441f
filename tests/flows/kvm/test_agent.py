"""The guest agent freezes filesystems for the moment of a backup, and never for longer."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator

import libvirt
import pytest

import hypersdk
from hypersdk import BackupOptions, HypervisorError
from hypersdk.drivers.diskports import ViewOptions
from hypersdk.drivers.libvirt import filesystems
from hypersdk.model.instances import Consistency
from tests.components import require, require_root
from tests.flows.kvm.scene import Scene, backup_process, until, vda
from tests.kvm.daemon import Libvirtd
from tests.kvm.domains import DiskSpec, Guest, domain_xml
from tests.kvm.fixtures import Lab, clean_lab


@pytest.fixture(scope="module")
def place() -> Iterator[Lab]:
    """A libvirtd for these tests alone, so that they can share a guest."""
    require_root()
    require("libvirtd", "virtlogd", "qemu-system-x86_64", "qemu-img", "unshare", "mkfs.ext4")
    with Libvirtd() as daemon, clean_lab(daemon) as lab:
        yield lab


@pytest.fixture
def lab(place: Lab) -> Lab:
    return place


@pytest.fixture(scope="module")
def booted(place: Lab) -> Iterator[Guest]:
    """``web`` with an ext4 on its only disk, mounted at ``/data``, and an agent."""
    raw = place.image("data.raw", "32M", format="raw")
    subprocess.run(["mkfs.ext4", "-q", raw], check=True)
    image = place.folder / "data.qcow2"
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, image], check=True)
    xml = domain_xml("web", [DiskSpec(image)], system=place.system, options="mount=vda:/data")
    guest = Guest.start(place.connection, xml)
    yield guest
    guest.close()


@pytest.fixture
def mounted(scene: Scene, booted: Guest) -> Guest:
    """It, with an agent that answers and nothing frozen, whatever the last test did."""
    scene.disks["web"] = (DiskSpec(scene.lab.folder / "data.qcow2"),)
    booted.run("kill -CONT $(pidof qemu-ga)")
    until(lambda: answers(booted.domain))
    booted.domain.fsThaw()
    return booted


def assert_writable(guest: Guest) -> None:
    """Hangs, and fails after some seconds, while a filesystem is frozen."""
    guest.run("echo x >/data/x && sync", timeout=10)


def test_agent_freezes_filesystems(scene: Scene, mounted: Guest) -> None:
    mounted.run("echo precious >/data/file")  # not synced: the freeze does it
    point = hypersdk.backup_instance(scene.repository, scene.hypervisor, "web")
    assert point.consistency is Consistency.FILESYSTEM
    assert point.warnings == ()
    assert_writable(mounted)
    hypersdk.restore(scene.repository, point, scene.out / "data.raw")
    done = subprocess.run(
        ["debugfs", "-R", "cat file", scene.out / "data.raw"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "precious\n"
    assert (
        "clean"
        in subprocess.run(
            ["e2fsck", "-n", scene.out / "data.raw"], capture_output=True, text=True, check=False
        ).stdout
    )
    mounted.run("dd if=/dev/urandom of=/data/junk bs=1M count=8 && sync")
    full_of_junk = hypersdk.backup_instance(scene.repository, scene.hypervisor, "web")
    mounted.run("rm /data/junk && sync && fstrim /data")
    mounted.domain.suspend()  # thawing writes to the disk, so that it would differ
    trimmed = scene.backup("web")
    mounted.domain.resume()
    assert vda(trimmed).incremental
    assert vda(trimmed).statistics.stored < vda(full_of_junk).statistics.stored // 10


def test_nothing_is_frozen_when_not_wanted(scene: Scene, mounted: Guest) -> None:
    options = BackupOptions(freeze=False)
    point = hypersdk.backup_instance(scene.repository, scene.hypervisor, "web", options=options)
    assert point.consistency is Consistency.CRASH


def test_frozen_only_while_the_job_begins(scene: Scene, mounted: Guest) -> None:
    assert scene.hypervisor.disks is not None
    with scene.hypervisor.disks.view("web", {}) as view:
        assert view.consistency is Consistency.FILESYSTEM
        assert_writable(mounted)


def test_thawed_when_the_job_cannot_begin(scene: Scene, mounted: Guest) -> None:
    nowhere = ViewOptions(socket=str(scene.lab.folder / "no such folder" / "socket"))
    assert scene.hypervisor.disks is not None
    before = scene.checkpoints()
    with pytest.raises(HypervisorError, match="begin a backup of 'web'"):
        scene.hypervisor.disks.view("web", {}, nowhere)
    assert_writable(mounted)
    assert scene.workplaces() == []
    assert scene.checkpoints() == before


def test_agent_that_hangs(scene: Scene, mounted: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The backup goes on without it, and it does not freeze the guest when it wakes up."""
    monkeypatch.setattr(filesystems, "ANSWER_SECONDS", 1)
    mounted.domain.getTime()  # libvirt and the agent know each other: orders are sent at once
    mounted.run("kill -STOP $(pidof qemu-ga)")
    began = time.monotonic()
    point = hypersdk.backup_instance(scene.repository, scene.hypervisor, "web")
    assert time.monotonic() - began < 5
    assert point.consistency is Consistency.CRASH
    assert "froze no filesystems" in point.warnings[0]
    assert_writable(mounted)
    mounted.run("kill -CONT $(pidof qemu-ga)")
    until(lambda: answers(mounted.domain))
    assert_writable(mounted)
    point = hypersdk.backup_instance(scene.repository, scene.hypervisor, "web")
    assert point.consistency is Consistency.FILESYSTEM


def answers(domain: libvirt.virDomain) -> bool:
    try:
        domain.getTime()
    except libvirt.libvirtError:
        return False
    return True


def test_agent_that_hangs_while_it_freezes(
    scene: Scene, mounted: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody can tell whether the guest is frozen: a person must look, and the next run tries."""
    monkeypatch.setattr(filesystems, "FREEZE_SECONDS", 1)
    monkeypatch.setattr(filesystems, "_THAW_SECONDS", 1)
    monkeypatch.setattr(filesystems, "_silence", lambda domain: stop(mounted))
    with pytest.raises(HypervisorError, match="may still be frozen") as caught:
        hypersdk.backup_instance(scene.repository, scene.hypervisor, "web")
    assert "virsh domfsthaw web" in caught.value.hint
    monkeypatch.undo()
    monkeypatch.setenv("HYPERSDK_SCRATCH_DIR", str(scene.scratch))
    assert len(scene.workplaces()) == 1
    mounted.run("kill -CONT $(pidof qemu-ga)")
    assert scene.hypervisor.leftovers is not None
    done = scene.hypervisor.leftovers.reap()
    assert done[0] == "web: thawed its filesystems"
    assert_writable(mounted)


def stop(guest: Guest) -> str:
    guest.run("kill -STOP $(pidof qemu-ga)")
    return ""


def test_frozen_by_somebody_else(scene: Scene, mounted: Guest) -> None:
    """Their freeze is theirs to end."""
    mounted.domain.fsFreeze()
    point = hypersdk.backup_instance(scene.repository, scene.hypervisor, "web")
    assert point.consistency is Consistency.CRASH
    assert "frozen state" in point.warnings[0]
    with pytest.raises(libvirt.libvirtError, match="frozen state"):
        mounted.domain.fsFreeze()
    assert mounted.domain.fsThaw() == 1


@pytest.mark.parametrize("moment", ["frozen", "frozen alone"])
def test_killed_while_frozen(scene: Scene, mounted: Guest, moment: str) -> None:
    """The watcher thaws at once; when it was killed as well, the next clean-up does."""
    before = scene.checkpoints()
    with backup_process(scene, moment) as process:
        assert process.wait(30) == -signal.SIGKILL
    if moment == "frozen":
        until(lambda: scene.workplaces() == [])
    else:
        assert scene.hypervisor.leftovers is not None
        assert scene.hypervisor.leftovers.reap()[0] == "web: thawed its filesystems"
    assert_writable(mounted)
    scene.assert_idle("web")
    assert scene.checkpoints() == before
