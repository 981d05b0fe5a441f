"""Exports that were killed or broke go on; nothing unfinished bears a final name, and never two
moments are mixed."""

from __future__ import annotations

import os
import random
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hypersdk.datapath.cancel import CancelToken
from hypersdk.drivers.mock.config import Config, Rule
from hypersdk.drivers.mock.driver import MockHypervisor
from hypersdk.flows.exporting.checkpoint import read_checkpoint
from hypersdk.flows.exporting.export import export_instance
from hypersdk.flows.exporting.options import ExportOptions
from hypersdk.flows.exporting.verify import verify_export, verify_package
from hypersdk.model.errors import HypervisorError, Interrupted
from hypersdk.model.instances import InstanceState
from hypersdk.model.progress import Progress
from tests.components import require
from tests.flows.exporting.examples import DISKS, checkpoint, fill, mock_with


def stopping_at(disk: str, cancel: CancelToken, name: str = "web") -> object:
    def report(progress: Progress) -> None:
        if progress.task == f"{name}/{disk}":
            cancel.cancel()

    return report


def broken(mock: MockHypervisor, out: Path, format: str = "ovf") -> None:
    """An export that was cancelled when its second disk began."""
    cancel = CancelToken()
    with pytest.raises(Interrupted):
        export_instance(
            mock,
            "web",
            out,
            options=ExportOptions(format=format, parallel=1),
            reporter=stopping_at("vdb", cancel),  # type: ignore[arg-type]
            cancel=cancel,
        )


@pytest.mark.parametrize("format", ["ovf", "ova", "raw", "qcow2"])
def test_finished_disks_are_not_read_again(tmp_path: Path, format: str) -> None:
    require("qemu-img")
    mock, out = mock_with(tmp_path / "lab"), tmp_path / "out"
    broken(mock, out, format)
    assert all(name.startswith(".") for name in os.listdir(out))
    assert stat.S_IMODE((out / ".web.checkpoint.json").stat().st_mode) == 0o600
    exported = export_instance(
        mock, "web", out, options=ExportOptions(format=format, resume=True, verify=True)
    )
    assert [disk.taken_over for disk in exported.disks] == [True, False]
    assert exported.disks[0].read == 0
    assert not [name for name in os.listdir(out) if name.startswith(".")]
    assert verify_export(out).checks
    fresh = tmp_path / "fresh"
    export_instance(mock, "web", fresh, options=ExportOptions(format="raw"))
    if format == "raw":
        for name in ("web-disk-0.raw", "web-disk-1.raw"):
            assert (out / name).read_bytes() == (fresh / name).read_bytes()


def test_one_that_fails_before_it_reads_leaves_the_earlier_one_as_it_was(tmp_path: Path) -> None:
    mock, out = mock_with(tmp_path / "lab"), tmp_path / "out"
    broken(mock, out)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    failing = MockHypervisor(
        tmp_path / "lab", config=Config(failures=(Rule(operation="disks.view"),))
    )
    with pytest.raises(HypervisorError):
        export_instance(failing, "web", out, options=ExportOptions(resume=True))
    kept = {path: path.read_bytes() for path in out.rglob("*.vmdk")}
    assert kept
    assert kept.items() <= before.items()
    assert set(checkpoint(out)["disks"]) == {"vda"}  # type: ignore[call-overload]
    exported = export_instance(mock, "web", out, options=ExportOptions(resume=True))
    assert [disk.taken_over for disk in exported.disks] == [True, False]
    assert any("vdb begins anew" in each for each in exported.warnings)


def test_that_nothing_was_complete_is_said(tmp_path: Path) -> None:
    mock, out = mock_with(tmp_path / "lab"), tmp_path / "out"
    assert not killed(tmp_path / "lab", out, "ovf", 0.3)
    assert checkpoint(out)["disks"] == {}
    exported = export_instance(mock, "web", out, options=ExportOptions(resume=True))
    assert any("all begins anew" in each for each in exported.warnings)


def test_without_resume_it_begins_anew(tmp_path: Path) -> None:
    mock, out = mock_with(tmp_path / "lab"), tmp_path / "out"
    broken(mock, out)
    exported = export_instance(mock, "web", out)
    assert not any(disk.taken_over for disk in exported.disks)


def test_a_disk_that_was_written_since_is_read_again_and_said_so(tmp_path: Path) -> None:
    mock, out = mock_with(tmp_path / "lab"), tmp_path / "out"
    broken(mock, out)
    fill(mock, "web", {"vda": b"\1" * (1 << 20)})
    exported = export_instance(mock, "web", out, options=ExportOptions(resume=True))
    assert not any(disk.taken_over for disk in exported.disks)
    assert any("vda is read again" in warning for warning in exported.warnings)


def test_a_running_instance_is_never_taken_for_the_same_moment(tmp_path: Path) -> None:
    mock, out = mock_with(tmp_path / "lab"), tmp_path / "out"
    broken(mock, out)
    mock.lifecycle.start("web")
    exported = export_instance(mock, "web", out, options=ExportOptions(resume=True))
    assert not any(disk.taken_over for disk in exported.disks)
    assert exported.warnings


def test_a_broken_export_of_a_running_instance_leaves_nothing(tmp_path: Path) -> None:
    mock, out = mock_with(tmp_path / "lab"), tmp_path / "out"
    mock.lifecycle.start("web")
    broken(mock, out)
    assert not out.exists()


def test_a_finished_file_that_was_damaged_is_read_again(tmp_path: Path) -> None:
    mock, out = mock_with(tmp_path / "lab"), tmp_path / "out"
    broken(mock, out)
    file = out / ".web.partial" / "web-disk-0.vmdk"
    content = bytearray(file.read_bytes())
    content[200_000] ^= 1
    file.write_bytes(content)
    options = ExportOptions(resume=True, verify=True)
    exported = export_instance(mock, "web", out, options=options)
    assert not exported.disks[0].taken_over
    assert any("is not what was written" in warning for warning in exported.warnings)


def test_another_format_takes_nothing_over(tmp_path: Path) -> None:
    mock, out = mock_with(tmp_path / "lab"), tmp_path / "out"
    broken(mock, out)
    exported = export_instance(mock, "web", out, options=ExportOptions(format="raw", resume=True))
    assert not any(disk.taken_over for disk in exported.disks)
    assert not [name for name in os.listdir(out) if "vmdk" in name or name.startswith(".")]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 9}', '{"version": 1}', "\0" * 99])
def test_a_checkpoint_that_makes_no_sense_is_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "checkpoint"
    path.write_text(text)
    assert read_checkpoint(path) is None


def test_a_checkpoint_cannot_name_files_elsewhere(tmp_path: Path) -> None:
    mock, out = mock_with(tmp_path / "lab"), tmp_path / "out"
    broken(mock, out)
    path = out / ".web.checkpoint.json"
    path.write_text(path.read_text().replace("web-disk-0.vmdk", "../../passwd"))
    assert read_checkpoint(path) is None


@pytest.mark.parametrize("format", ["ovf", "ova"])
def test_killed_at_any_moment_it_goes_on(tmp_path: Path, format: str) -> None:
    mock, out = mock_with(tmp_path / "lab"), tmp_path / "out"
    seed = random.Random(format)
    for _ in range(4):
        if killed(tmp_path / "lab", out, format, seed.uniform(0.0, 1.6)):
            break
        names = os.listdir(out) if out.exists() else []
        # Killed while files moved to their places, some of them are there, and whole.
        verify_package(out, [name for name in names if not name.startswith(".")])
    exported = export_instance(
        mock,
        "web",
        out,
        options=ExportOptions(format=format, resume=True, verify=True, overwrite=True),
    )
    assert exported.verified
    assert not [name for name in os.listdir(out) if name.startswith(".")]
    check = tmp_path / "check"
    raw = export_instance(mock, "web", check, options=ExportOptions(format="raw"))
    for disk, content in zip(raw.disks, DISKS.values(), strict=True):
        assert (check / disk.file).read_bytes() == content


def test_a_guest_that_a_killed_export_shut_down_is_started_by_the_next(tmp_path: Path) -> None:
    mock, out = mock_with(tmp_path / "lab"), tmp_path / "out"
    mock.lifecycle.start("web")
    assert not killed(tmp_path / "lab", out, "ovf", 0.8, power_off=True)
    assert mock.inventory.instance("web").state is InstanceState.STOPPED
    assert checkpoint(out)["shut_down"] is True
    export_instance(mock, "web", out, options=ExportOptions(power_off=True, resume=True))
    assert mock.inventory.instance("web").state is InstanceState.RUNNING


def killed(lab: Path, out: Path, format: str, seconds: float, *, power_off: bool = False) -> bool:
    """Export in a process that is killed after a while; True when it was done before."""
    command = [sys.executable, "-m", "tests.flows.exporting.killed"]
    process = subprocess.Popen(
        [*command, str(lab), str(out), format, "yes" if power_off else "no"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    time.sleep(seconds)
    process.kill()
    return "done" in process.communicate()[0]
