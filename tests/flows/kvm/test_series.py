"""Numbered series of checkpoints, and several repositories for one domain."""

from __future__ import annotations

from pathlib import Path

import libvirt
import pytest

from hypersdk.drivers.libvirt import viewparts
from tests.flows.examples import repository_at
from tests.flows.kvm.scene import (
    FOREIGN,
    KIB,
    Scene,
    bitmaps,
    qemu_img,
    reasons,
    start_paused,
    vda,
    write,
)


def test_numbered_series(scene: Scene) -> None:
    domain = scene.paused()
    for number in range(3):
        write(domain, number + 1)
        point = scene.backup(series="virtnbdbackup")
        assert vda(point).incremental == (number > 0)
    assert scene.checkpoints() == [f"virtnbdbackup.{number}" for number in range(3)]
    domain.destroy()
    assert vda(scene.backup(series="virtnbdbackup")).incremental
    assert scene.checkpoints() == [f"virtnbdbackup.{number}" for number in range(4)]
    assert set(bitmaps(scene.lab.folder / "web.qcow2")) == set(scene.checkpoints())
    scene.check_all()


def test_old_checkpoints_of_a_numbered_series_go(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(viewparts, "KEPT", 2)
    domain = scene.define()
    for number in (9, 10, 11):  # 10 comes after 9, whatever the alphabet says
        qemu_img("bitmap", "--add", scene.lab.folder / "web.qcow2", f"virtnbdbackup.{number - 1}")
    for running in (False, True, False):
        if running:
            start_paused(domain)
        elif domain.isActive():
            domain.destroy()
        scene.backup(series="virtnbdbackup")
    assert scene.checkpoints() == ["virtnbdbackup.12", "virtnbdbackup.13"]


@pytest.mark.parametrize("since_start", [True, False])
def test_orphan_bitmap_of_the_same_name(scene: Scene, since_start: bool) -> None:
    """Where virtnbdbackup fails for ever ("Bitmap already exists")."""
    domain = scene.define()
    image = scene.lab.folder / "web.qcow2"
    if not since_start:
        qemu_img("bitmap", "--add", image, "virtnbdbackup.0")
    start_paused(domain)
    if since_start:
        domain.checkpointCreateXML(FOREIGN.format("virtnbdbackup.0"))
        forget = libvirt.VIR_DOMAIN_CHECKPOINT_DELETE_METADATA_ONLY
        domain.checkpointLookupByName("virtnbdbackup.0").delete(forget)
    scene.backup(series="virtnbdbackup")
    assert scene.checkpoints() == ["virtnbdbackup.1"]
    write(domain, 1)
    assert vda(scene.backup(series="virtnbdbackup")).incremental


@pytest.mark.parametrize("running", [True, False])
def test_checkpoint_made_anew_under_the_same_name(scene: Scene, running: bool) -> None:
    domain = scene.paused()
    write(domain, 1)
    scene.backup(series="virtnbdbackup")
    write(domain, 2)
    domain.checkpointLookupByName("virtnbdbackup.0").delete(0)
    domain.checkpointCreateXML(FOREIGN.format("virtnbdbackup.0"))
    write(domain, 3)
    if not running:
        domain.destroy()
    point = scene.backup(series="virtnbdbackup")
    reason = "checkpoint virtnbdbackup.0 is another one of the same name"
    assert reasons(point)["vda"] == (False, reason)
    assert scene.checkpoints() == ["virtnbdbackup.0", "virtnbdbackup.1"]


@pytest.mark.parametrize("running", [True, False])
def test_forgotten_checkpoint_of_a_numbered_series(scene: Scene, running: bool) -> None:
    domain = scene.paused()
    scene.backup(series="virtnbdbackup")
    write(domain, 1)
    forget = libvirt.VIR_DOMAIN_CHECKPOINT_DELETE_METADATA_ONLY
    domain.checkpointLookupByName("virtnbdbackup.0").delete(forget)
    if not running:
        domain.destroy()
    point = scene.backup(series="virtnbdbackup")
    assert reasons(point)["vda"] == (False, "checkpoint virtnbdbackup.0 is gone")
    assert scene.checkpoints() == ["virtnbdbackup.1"]


def test_two_repositories_take_turns(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    both = [scene.repository, repository_at(tmp_path / "other")]
    domain = scene.paused()
    for number in range(6):
        write(domain, number + 1)
        scene.repository = both[number % 2]
        if number == 3:
            domain.destroy()
        point = scene.backup()
        if number == 3:
            start_paused(domain)
        assert vda(point).incremental == (number > 1), vda(point).reason
        if number > 1:
            assert vda(point).statistics.read == 128 * KIB
    assert len(scene.checkpoints()) == 2
    for repository in both:
        scene.repository = repository
        scene.check_all()
    both[1].close()
    scene.repository = both[0]


def test_forced_full(scene: Scene) -> None:
    domain = scene.paused()
    for number in range(3):
        write(domain, number + 1)
        reason = (False, "everything was to be read")
        assert reasons(scene.backup(full=True))["vda"] == reason
        assert len(scene.checkpoints()) == 1  # not one more each time
    write(domain, 4)
    assert vda(scene.backup()).incremental
    domain.destroy()
    assert vda(scene.backup(full=True)).statistics.read > 64 * KIB
    assert len(scene.checkpoints()) == 1
