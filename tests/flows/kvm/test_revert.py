"""Put a stopped domain back to a restore point by writing only what differs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import libvirt
import pytest

import hypersdk
from hypersdk import CancelToken, InvalidInput, Progress, RestoredDisk, RestorePoint
from hypersdk.model.errors import Interrupted, InvalidState
from tests.flows.kvm.scene import (
    MIB,
    Scene,
    assert_identical,
    convert,
    image_io,
    start_paused,
    vda,
)
from tests.kvm.domains import DiskSpec, qemu_io
from tests.repository.examples import noise

KIB = 1024


def revert(scene: Scene, point: RestorePoint, **more: object) -> dict[str, RestoredDisk]:
    done = hypersdk.revert_instance(
        scene.repository,
        point,
        scene.hypervisor,
        "web",
        **more,  # type: ignore[arg-type]
    )
    return {disk.disk: disk for disk in done}


def assert_is(scene: Scene, point: RestorePoint) -> None:
    for target, now in scene.copy("web").items():
        assert_identical(now, scene.copies[point.id][target])


def random_data(scene: Scene, image: Path, at: str, seed: int = 0) -> None:
    (scene.out / "noise").write_bytes(noise(4 * MIB, seed))
    image_io(image, f"write -s {scene.out}/noise {at} 4M")


@pytest.fixture
def image(scene: Scene) -> Path:
    """The image of a stopped domain ``web`` with 8 MiB of data."""
    path = scene.lab.image("web.qcow2")
    random_data(scene, path, "0")
    random_data(scene, path, "20M", seed=1)
    scene.define("web", DiskSpec(path))
    return path


def test_writes_only_what_differs(scene: Scene, image: Path) -> None:
    point = scene.backup()
    allocated = image.stat().st_blocks
    image_io(
        image, "write -P 1 1M 64k", "write -z 2M 128k", "write -P 3 30M 64k", "discard 21M 64k"
    )
    done = revert(scene, point)
    assert_is(scene, point)
    assert done["vda"].written == (64 + 128 + 64 + 64) * KIB
    assert done["vda"].size == 64 * MIB
    assert image.stat().st_blocks - allocated < 2 * 1024
    assert revert(scene, point)["vda"].written == 0
    subprocess.run(["qemu-img", "check", "-q", image], check=True)


def test_next_incremental_after_it(scene: Scene, image: Path) -> None:
    """The record of changes notes what the revert wrote."""
    first = scene.backup()
    image_io(image, "write -P 1 1M 1M")
    second = scene.backup()
    revert(scene, first)
    third = scene.backup()
    assert vda(third).incremental, vda(third).reason
    assert vda(third).statistics.read == MIB
    start_paused(scene.lab.connection.lookupByName("web"))
    assert vda(scene.backup()).incremental
    scene.lab.connection.lookupByName("web").destroy()
    revert(scene, second)
    assert_is(scene, second)
    assert vda(scene.backup()).incremental
    scene.check_all()


def test_raw_and_overlay(scene: Scene) -> None:
    lab = scene.lab
    base = DiskSpec(lab.image("base.qcow2"))
    random_data(scene, Path(base.path), "0")
    overlay = lab.image("overlay.qcow2", backing=base)
    raw = lab.image("data.raw", "8M", format="raw")
    before = Path(base.path).read_bytes()
    domain = scene.paused("web", DiskSpec(overlay), DiskSpec(raw, target="vdb", format="raw"))
    qemu_io(domain, "vdb", "write -P 2 0 2M")
    point = scene.backup()
    qemu_io(domain, "vda", "write -P 3 0 1M", "write -P 3 9M 1M")
    qemu_io(domain, "vdb", "write -P 4 1M 1M", "discard 0 512k")
    domain.destroy()
    done = revert(scene, point)
    assert_is(scene, point)
    assert done["vda"].written == 2 * MIB
    assert done["vdb"].written == 1536 * KIB
    assert Path(base.path).read_bytes() == before


def test_running_domain_is_refused(scene: Scene, image: Path) -> None:
    point = scene.backup()
    start_paused(scene.lab.connection.lookupByName("web"))
    with pytest.raises(InvalidState, match="'web' runs, its disks cannot be written"):
        revert(scene, point)


def test_what_does_not_fit_is_refused(scene: Scene, image: Path) -> None:
    point = scene.backup()
    subprocess.run(["qemu-img", "resize", "-q", image, "80M"], check=True)
    with pytest.raises(InvalidInput, match=r"vda has 80\.0 MiB instead of 64\.0 MiB"):
        revert(scene, point)
    other = scene.define("web", DiskSpec(scene.lab.image("b.qcow2"), target="sdb"))
    with pytest.raises(InvalidInput, match="it has no vda"):
        revert(scene, point)
    assert not other.isActive()


def test_disk_that_is_newer_than_the_point_stays(scene: Scene, image: Path) -> None:
    point = scene.backup()
    newer = scene.lab.image("newer.qcow2", "8M")
    image_io(newer, "write -P 9 0 1M")
    scene.define("web", DiskSpec(image), DiskSpec(newer, target="vdb"))
    assert set(revert(scene, point)) == {"vda"}
    convert(newer, "qcow2", scene.out / "newer.raw")
    assert (scene.out / "newer.raw").read_bytes()[:MIB] == b"\x09" * MIB


def test_guest_cannot_start_meanwhile(scene: Scene, image: Path) -> None:
    point = scene.backup()
    random_data(scene, image, "0", seed=7)
    domain = scene.lab.connection.lookupByName("web")
    problems: list[str] = []

    def start(progress: Progress) -> None:
        if not problems:
            try:
                domain.create()
            except libvirt.libvirtError as error:
                problems.append(str(error))

    revert(scene, point, reporter=start)
    assert "lock" in problems[0]
    assert_is(scene, point)


def test_broken_off_and_run_again(scene: Scene, image: Path) -> None:
    """What was written is recorded: the next backup is right, and another revert completes it."""
    point = scene.backup()
    random_data(scene, image, "0", seed=7)
    random_data(scene, image, "20M", seed=8)
    scene.backup()
    token = CancelToken()

    def cancel(progress: Progress) -> None:
        token.cancel()

    options = hypersdk.RestoreOptions(throttle=8 * MIB)
    with pytest.raises(Interrupted):
        revert(scene, point, reporter=cancel, cancel=token, options=options)
    mixture = scene.backup()
    assert vda(mixture).incremental, vda(mixture).reason
    revert(scene, point)
    assert_is(scene, point)
    assert vda(scene.backup()).incremental
    scene.check_all()
