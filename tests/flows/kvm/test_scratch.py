"""There is no room for what the guest overwrites: the backup is given up, not the guest."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import libvirt
import pytest

import hypersdk
from hypersdk import BackupOptions, HypervisorError, Progress
from tests.components import require_root
from tests.flows.kvm.scene import MIB, Scene, until
from tests.kvm.daemon import Libvirtd
from tests.kvm.domains import DiskSpec, Guest, domain_xml
from tests.kvm.fixtures import clean_lab


@contextmanager
def small_file_system(size: str) -> Iterator[Path]:
    """A libvirtd that is started later sees the mount, too."""
    folder = Path(tempfile.mkdtemp(prefix="hl-small-", dir="/tmp"))
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0777", "none", folder],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        folder.rmdir()
        pytest.skip(f"cannot mount: {done.stderr}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)
        folder.rmdir()


@pytest.mark.parametrize("room", ["1M", "80M"])
def test_guest_outlives_a_full_scratch_folder(
    room: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1 MiB: its write fails, it is paused, and goes on once the backup was given up. 80 MiB: the
    backup is given up before that."""
    require_root()
    with small_file_system(room) as scratch, Libvirtd() as daemon, clean_lab(daemon) as lab:
        monkeypatch.setenv("HYPERSDK_SCRATCH_DIR", str(scratch))
        scene = Scene.made(lab, tmp_path, scratch)
        disk = DiskSpec(lab.image("web.qcow2"))
        scene.disks["web"] = (disk,)
        guest = Guest.start(lab.connection, domain_xml("web", [disk], system=lab.system))
        guest.write("vda", 0, 0x41, 24 * MIB)
        first = scene.backup()
        begun: list[bool] = []

        def write(progress: Progress) -> None:
            if progress.read and not begun:
                begun.append(True)
                guest.run(
                    "(dd if=/dev/urandom of=/dev/vda bs=1M count=24 conv=fsync; touch /tmp/done) &"
                )

        with pytest.raises(HypervisorError, match="ended before everything was read") as caught:
            hypersdk.backup_instance(
                scene.repository,
                scene.hypervisor,
                "web",
                options=BackupOptions(throttle=6 * MIB, full=True),
                reporter=write,
            )
        assert "HYPERSDK_SCRATCH_DIR" in caught.value.hint
        assert guest.domain.state()[0] == libvirt.VIR_DOMAIN_RUNNING
        until(lambda: "done" in guest.run("ls /tmp"))
        assert [point.id for point in scene.repository.points()] == [first.id]
        scene.assert_idle("web")
        assert len(scene.checkpoints()) == 1
        scene.check(first)
        scene.backup()
        guest.close()
        scene.close()
