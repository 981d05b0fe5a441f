from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hypersdk.drivers.libvirt.leftovers import clean_folder
from hypersdk.drivers.libvirt.workplace import DeadWorkplace, Record, Workplace, dead_workplaces
from hypersdk.model.errors import HyperSDKError, HypervisorError

RECORD = Record("test:///default", "6695eb01-f6a4-8304-79aa-97f2502e193f", "test", os.getpid())


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HYPERSDK_SCRATCH_DIR", str(tmp_path))
    return tmp_path


def test_folder_of_a_run(scratch: Path) -> None:
    work = Workplace(RECORD, None)
    [folder] = scratch.iterdir()
    assert folder == work.folder
    assert folder.stat().st_mode & 0o777 == 0o711
    assert (folder / "owner").stat().st_mode & 0o777 == 0o600
    assert work.qemu.stat().st_mode & 0o777 == 0o700
    assert work.socket.parent == work.scratch(3).parent == work.qemu
    work.note(checkpoint="größe" * 20, frozen=True)
    work.note(checkpoint="b")
    assert json.loads((folder / "owner").read_text())["checkpoint"] == "b"
    work.end()
    work.end()
    assert list(scratch.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_folder_belongs_to_the_user_of_qemu() -> None:
    work = Workplace(RECORD, (12345, 12346))
    there = work.qemu.stat()
    assert (there.st_uid, there.st_gid) == (12345, 12346)
    work.end()


def test_living_runs_are_left_alone() -> None:
    work = Workplace(RECORD, None)
    assert list(dead_workplaces()) == []
    assert DeadWorkplace.at(work.folder) is None
    assert clean_folder(work.folder) == []
    work.leave()
    [dead] = dead_workplaces()
    assert dead.record == RECORD
    dead.remove()


def test_what_is_none_of_ours(scratch: Path) -> None:
    (scratch / "hypersdk-libvirt-a").mkdir()
    (scratch / "hypersdk-libvirt-b").mkdir()
    (scratch / "hypersdk-libvirt-b/owner").write_text("nonsense")
    (scratch / "hypersdk-libvirt-c").mkdir()
    (scratch / "hypersdk-libvirt-c/owner").symlink_to("/etc/passwd")
    (scratch / "hypersdk-libvirt-d").write_text("")
    assert list(dead_workplaces()) == []


def test_one_cleaner_at_a_time() -> None:
    work = Workplace(RECORD, None)
    work.leave()
    first = DeadWorkplace.at(work.folder)
    assert first is not None
    assert DeadWorkplace.at(work.folder) is None
    first.remove()
    first.close()
    assert DeadWorkplace.at(work.folder) is None


def test_no_place(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYPERSDK_SCRATCH_DIR", str(scratch / "none"))
    with pytest.raises(HyperSDKError, match="none"):
        Workplace(RECORD, None)
    assert list(dead_workplaces()) == []


def test_path_too_long_for_a_socket(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = scratch / ("x" * 100)
    long.mkdir()
    monkeypatch.setenv("HYPERSDK_SCRATCH_DIR", str(long))
    with pytest.raises(HypervisorError, match="too long a path") as caught:
        Workplace(RECORD, None)
    assert "HYPERSDK_SCRATCH_DIR" in caught.value.hint
    assert list(long.iterdir()) == []


def test_death_is_noticed(scratch: Path) -> None:
    """A folder goes within seconds after its process, without anybody asking."""
    program = (
        "import os, signal\n"
        "from hypersdk.drivers.libvirt.workplace import Record, Workplace\n"
        f"Workplace(Record('test:///default', '{RECORD.domain}', 'test', os.getpid()), None)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    # Nothing in the folder where it happens to run is taken for a part of HyperSDK.
    (scratch / "hypersdk").mkdir()
    (scratch / "hypersdk/__init__.py").write_text("raise SystemExit")
    subprocess.run([sys.executable, "-P", "-c", program], check=False, cwd=scratch)
    deadline = time.monotonic() + 10
    while list(scratch.glob("hypersdk-libvirt-*")):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_death_before_anything_was_begun(scratch: Path) -> None:
    folder = scratch / "hypersdk-libvirt-x"
    folder.mkdir()
    (folder / "new").write_text("{}")
    assert clean_folder(folder) == []
    assert not folder.exists()
