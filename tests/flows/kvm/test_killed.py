"""A run dies, or what it stands on: nothing is left behind, nothing false is committed."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time

import libvirt
import pytest

import hypersdk
from hypersdk import BackupOptions, CancelToken, HyperSDKError, HypervisorError, Progress
from hypersdk.model.errors import HypervisorUnreachable, Interrupted, InvalidState
from tests.flows.kvm.scene import (
    MIB,
    Scene,
    backup_process,
    image_io,
    job_of,
    start_paused,
    until,
    vda,
    watchers_of,
)
from tests.kvm.domains import DiskSpec, domain_xml, qemu_io

#: Seconds within which a dead run's guest must be free again.
SOON = 10


def filled(scene: Scene) -> libvirt.virDomain:
    domain = scene.paused()
    qemu_io(domain, "vda", "write -P 0x41 0 16M")
    return domain


@pytest.mark.parametrize("moment", ["begun", "reading"])
def test_killed_run_is_cleaned_up_at_once(scene: Scene, moment: str) -> None:
    filled(scene)
    with backup_process(scene, moment) as process:
        assert process.wait(30) == -signal.SIGKILL
    until(lambda: scene.workplaces() == [], SOON)
    scene.assert_idle("web")
    assert scene.checkpoints() == []
    assert not vda(scene.backup()).incremental


def test_killed_incremental_leaves_the_chain_intact(scene: Scene) -> None:
    domain = filled(scene)
    scene.backup()
    before = scene.checkpoints()
    qemu_io(domain, "vda", "write -P 0x42 4M 8M")
    with backup_process(scene, "reading") as process:
        assert process.wait(30) == -signal.SIGKILL
    until(lambda: scene.workplaces() == [], SOON)
    assert scene.checkpoints() == before
    point = scene.backup()
    assert vda(point).incremental
    assert vda(point).statistics.read == 8 * MIB
    scene.check_all()


def test_killed_with_its_watcher(scene: Scene) -> None:
    """`hypersdk doctor --reap` does it then, or the next run; runs that live are left alone."""
    filled(scene)
    with backup_process(scene, "waiting") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "reading\n"
        [folder] = scene.workplaces()
        assert scene.hypervisor.leftovers is not None
        assert scene.hypervisor.leftovers.reap() == []  # it lives
        assert scene.hypervisor.leftovers.reap(dry_run=True) == []
        with pytest.raises(InvalidState, match="being backed up already, through /"):
            hypersdk.backup_instance(scene.repository, scene.hypervisor, "web")
        for watcher in watchers_of(folder):
            os.kill(watcher, signal.SIGKILL)
        process.kill()
        process.wait()
    time.sleep(0.5)
    assert scene.workplaces() == [folder]
    domain = scene.lab.connection.lookupByName("web")
    assert job_of(domain) is not None
    [checkpoint] = scene.checkpoints()
    expected = [
        "web: ended its backup job",
        f"web: removed checkpoint {checkpoint}",
        f"web: removed {folder}",
    ]
    assert scene.hypervisor.leftovers.reap(dry_run=True) == expected
    assert scene.workplaces() == [folder]
    assert scene.hypervisor.leftovers.reap() == expected
    scene.assert_idle("web")
    assert scene.checkpoints() == []
    assert scene.hypervisor.leftovers.reap() == []


@pytest.mark.parametrize("stopped", [False, True])
def test_next_run_cleans_up(scene: Scene, stopped: bool) -> None:
    domain = filled(scene)
    with backup_process(scene, "waiting") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "reading\n"
        for watcher in watchers_of(scene.workplaces()[0]):
            os.kill(watcher, signal.SIGKILL)
        process.kill()
        process.wait()
    if stopped:
        domain.destroy()
    assert vda(scene.backup()).statistics.read == 16 * MIB
    assert len(scene.checkpoints()) == 1


def test_killed_run_of_a_stopped_domain(scene: Scene) -> None:
    scene.define()
    image_io(scene.lab.folder / "web.qcow2", "write -P 1 0 16M")
    with backup_process(scene, "reading") as process:
        assert process.wait(30) == -signal.SIGKILL
    until(lambda: scene.workplaces() == [], SOON)
    assert scene.checkpoints() == []
    scene.backup()


class _Once:
    """Does something as soon as something was read."""

    def __init__(self, action: object) -> None:
        self._action = action
        self.done = threading.Event()

    def __call__(self, progress: Progress) -> None:
        if progress.read and not self.done.is_set():
            self.done.set()
            self._action()  # type: ignore[operator]


SLOW = BackupOptions(throttle=16 * MIB)


def backup_with(scene: Scene, action: object, **more: object) -> hypersdk.RestorePoint:
    reporter = _Once(action)
    try:
        return hypersdk.backup_instance(
            scene.repository,
            scene.hypervisor,
            "web",
            options=SLOW,
            reporter=reporter,
            **more,  # type: ignore[arg-type]
        )
    finally:
        assert reporter.done.is_set()


@pytest.mark.parametrize("running", [True, False])
def test_cancelled(scene: Scene, running: bool) -> None:
    domain = filled(scene)
    if not running:
        domain.destroy()
    token = CancelToken()
    with pytest.raises(Interrupted):
        backup_with(scene, token.cancel, cancel=token)
    scene.assert_idle("web")
    assert scene.checkpoints() == []
    assert scene.repository.points() == []
    scene.backup()


def test_libvirtd_is_restarted_meanwhile(scene: Scene) -> None:
    filled(scene)

    def restart() -> None:
        scene.lab.libvirtd.kill()
        scene.lab.libvirtd.restart()

    point = backup_with(scene, restart)
    object.__setattr__(scene.lab, "connection", scene.lab.libvirtd.open())
    scene.copies[point.id] = scene.copy("web")
    scene.check(point)
    scene.assert_idle("web")
    domain = scene.lab.connection.lookupByName("web")
    qemu_io(domain, "vda", "write -P 0x42 1M 1M")
    assert vda(scene.backup()).statistics.read == MIB


def test_libvirtd_is_gone(scene: Scene) -> None:
    """Nobody can say whether the job kept its moment: nothing is committed. The record stays."""
    filled(scene)
    with pytest.raises(HypervisorUnreachable):
        backup_with(scene, scene.lab.libvirtd.kill)
    assert scene.repository.points() == []
    assert len(scene.workplaces()) == 1
    scene.lab.libvirtd.restart()
    object.__setattr__(scene.lab, "connection", scene.lab.libvirtd.open())
    assert not vda(scene.backup()).incremental
    assert len(scene.checkpoints()) == 1


@pytest.mark.parametrize("again", [False, True])
def test_switched_off_meanwhile(scene: Scene, again: bool) -> None:
    domain = filled(scene)
    first = scene.backup()
    qemu_io(domain, "vda", "write -P 0x42 0 16M", "flush")

    def switch_off() -> None:
        domain.destroy()
        if again:
            start_paused(domain)

    with pytest.raises(InvalidState, match="'web' was switched off while it was backed up"):
        backup_with(scene, switch_off)
    gc.collect()
    assert [point.id for point in scene.repository.points()] == [first.id]
    assert scene.workplaces() == []
    assert len(scene.checkpoints()) == 1
    assert vda(scene.backup()).incremental
    scene.check_all()


def test_transient_domain_ends_meanwhile(scene: Scene) -> None:
    disk = DiskSpec(scene.lab.image("web.qcow2"))
    scene.disks["web"] = (disk,)
    domain = scene.lab.connection.createXML(domain_xml("web", [disk]), 0)
    qemu_io(domain, "vda", "write -P 0x42 0 16M", "flush")
    with pytest.raises(InvalidState, match="'web' was switched off while it was backed up"):
        backup_with(scene, domain.destroy)
    assert scene.workplaces() == []


def test_job_is_aborted_by_somebody(scene: Scene) -> None:
    domain = filled(scene)
    with pytest.raises(HypervisorError, match="ended before everything was read"):
        backup_with(scene, domain.abortJob)
    scene.assert_idle("web")
    assert scene.checkpoints() == []


def test_started_while_it_is_read_as_stopped(scene: Scene) -> None:
    """QEMU's locks keep it from starting; nothing else goes wrong."""
    domain = scene.define()
    image_io(scene.lab.folder / "web.qcow2", "write -P 1 0 16M")
    problems: list[str] = []

    def start() -> None:
        try:
            domain.create()
        except libvirt.libvirtError as error:
            problems.append(str(error))

    point = backup_with(scene, start)
    assert "lock" in problems[0]
    scene.copies[point.id] = scene.copy("web")
    scene.check(point)
    domain.create()


def test_raw_disk_started_while_it_is_read_as_stopped(scene: Scene) -> None:
    image = scene.lab.image("web.raw", format="raw")
    image_io(image, "write -P 1 0 16M", format="raw")
    domain = scene.define("web", DiskSpec(image, format="raw"))
    with pytest.raises(InvalidState, match="was started while it was backed up"):
        backup_with(scene, domain.create)
    assert scene.repository.points() == []
    assert not vda(scene.backup()).incremental


def test_raw_disk_written_by_somebody_while_it_is_read(scene: Scene) -> None:
    image = scene.lab.image("web.raw", format="raw")
    image_io(image, "write -P 1 0 16M", format="raw")
    scene.define("web", DiskSpec(image, format="raw"))
    with pytest.raises(InvalidState, match="was written while it was backed up"):
        backup_with(scene, lambda: image_io(image, "write -P 2 0 64k", format="raw"))
    assert scene.repository.points() == []


def test_another_programs_job(scene: Scene) -> None:
    domain = filled(scene)
    socket = scene.lab.folder / "theirs"
    domain.backupBegin(
        f"<domainbackup mode='pull'><server transport='unix' socket='{socket}'/></domainbackup>",
        None,
        0,
    )
    with pytest.raises(InvalidState, match=f"being backed up already, through {socket}"):
        hypersdk.backup_instance(scene.repository, scene.hypervisor, "web")
    assert scene.hypervisor.leftovers is not None
    assert scene.hypervisor.leftovers.reap() == []
    assert job_of(domain) is not None
    domain.abortJob()
    until(lambda: job_of(domain) is None)
    scene.backup()


def test_own_socket(scene: Scene) -> None:
    filled(scene)
    socket = scene.lab.folder / "sock et"
    scene.backup(socket=str(socket))
    assert not socket.exists()


def test_two_runs_on_one_socket(scene: Scene) -> None:
    """The second fails; the first is not disturbed."""
    filled(scene)
    socket = str(scene.lab.folder / "socket")
    problems: list[str] = []

    def another() -> None:
        try:
            options = BackupOptions(socket=socket)
            hypersdk.backup_instance(scene.repository, scene.hypervisor, "web", options=options)
        except HyperSDKError as error:
            problems.append(error.message)

    reporter = _Once(another)
    options = BackupOptions(socket=socket, throttle=16 * MIB)
    point = hypersdk.backup_instance(
        scene.repository, scene.hypervisor, "web", options=options, reporter=reporter
    )
    assert problems == [f"'web' is being backed up already, through {socket}"]
    scene.copies[point.id] = scene.copy("web")
    scene.check(point)
