"""hyperctl → hypervisord → vCenter → files; others who ask the daemon for an export."""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from hyper2kvm.vmware.transports import export_vm_hyperctl, hyperctl_common
from tests.app.daemons import Daemon, daemon, until
from tests.components import require
from tests.daemon.scene import (
    MIB,
    PROMPT,
    Site,
    backup,
    cancelled,
    export,
    files,
    hyperctl,
    installed,
    job_id,
    run_command,
)
from tests.vsphere.lab import PASSWORD, VsphereLab


@pytest.fixture(scope="module")
def machine(vsphere_lab: VsphereLab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running one with 6 MiB of data on two disks of 12 MiB in all."""
    disks = []
    for number, size in enumerate((4, 2)):
        path = tmp_path_factory.mktemp("disks") / f"{number}.raw"
        with path.open("wb") as file:
            file.write(random.Random(number).randbytes(size * MIB))
            file.truncate(2 * size * MIB)
        disks.append({"source": str(path)})
    vsphere_lab.add_vm(name="daemons", folder="prod", running=True, cbt=True, disks=disks)
    yield "daemons"
    vsphere_lab.remove_vm("daemons")


@pytest.fixture(scope="module")
def running(
    vsphere_lab: VsphereLab, machine: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Daemon]:
    """A daemon that knows the vCenter as ``lab``."""
    site = Site.made(tmp_path_factory.mktemp("site"))
    url = f"{vsphere_lab.url}&password-from=env:LAB_PASSWORD"
    settings = (
        f"hypervisors: {{lab: '{url}'}}\nrepositories: {{main: '{site.folder}/repository'}}\n"
    )
    with daemon(site.folder, settings=settings, LAB_PASSWORD=PASSWORD) as started:
        yield started


def raw(image: Path) -> bytes:
    """What QEMU reads in an image: a second opinion."""
    require("qemu-img")
    target = image.with_suffix(".raw")
    subprocess.run(["qemu-img", "convert", "-O", "raw", image, target], check=True)
    return target.read_bytes()


def unpacked(archive: Path, into: Path) -> list[bytes]:
    """The disks in an OVA."""
    into.mkdir()
    subprocess.run(["tar", "-xf", archive, "-C", into], check=True)
    return [raw(each) for each in sorted(into.glob("*.vmdk"))]


def assert_nothing_is_open(lab: VsphereLab, machine: str) -> None:
    state = lab.state()
    assert [each for each in state["snapshots"] if each["vm"] == machine] == []
    assert [each for each in state["leases"] if each["state"] not in ("done", "error")] == []


def test_an_archive_that_verifies(
    running: Daemon, vsphere_lab: VsphereLab, machine: str, tmp_path: Path
) -> None:
    line = ("submit", "-vm", f"/DC0/vm/prod/{machine}", "-output", tmp_path / "out")
    said = hyperctl(running, *line, "-format", "ova", "-wait")
    assert f"{job_id(said)} completed" in said.out
    run_command(tmp_path, "hyperexport", "verify", tmp_path / "out")
    disks = unpacked(tmp_path / f"out/{machine}.ova", tmp_path / "unpacked")
    assert disks == [vsphere_lab.content(machine, number) for number in (0, 1)]
    assert_nothing_is_open(vsphere_lab, machine)


def test_hyperexport_hands_it_to_the_daemon(
    running: Daemon, vsphere_lab: VsphereLab, machine: str, tmp_path: Path
) -> None:
    said = run_command(
        *(tmp_path, "hyperexport", machine, "-H", "lab", "--output", tmp_path / "out"),
        *("--use-daemon", "--daemon-url", running.place(), "--watch", "--quiet"),
    )
    lines = said.out.splitlines()
    assert lines[0].startswith("job-id: ")
    assert lines[1] == f"success: lab/{machine} exported to {tmp_path}/out"
    run_command(tmp_path, "hyperexport", "verify", tmp_path / "out")
    assert raw(tmp_path / f"out/{machine}-disk-1.vmdk") == vsphere_lab.content(machine, 1)


def test_programs_that_were_written_for_hyper2kvm(
    running: Daemon,
    vsphere_lab: VsphereLab,
    machine: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HYPERCTL_PATH", str(installed("hyperctl")))
    monkeypatch.setenv("HOME", str(tmp_path))
    # Its five seconds between two looks are nobody's subject here.
    quick = SimpleNamespace(time=time.time, sleep=lambda seconds: time.sleep(seconds / 25))
    monkeypatch.setattr(hyperctl_common, "time", quick)
    out = tmp_path / "out"
    done = export_vm_hyperctl(f"/DC0/vm/prod/{machine}", str(out), daemon_url=running.place())
    assert (done["status"], done["progress_percent"]) == ("completed", 100.0)
    assert raw(out / f"{machine}-disk-0.vmdk") == vsphere_lab.content(machine, 0)


@pytest.mark.parametrize("kind", ["backup", "export"])
def test_cancelled_in_the_middle_it_leaves_nothing(
    running: Daemon, vsphere_lab: VsphereLab, machine: str, tmp_path: Path, kind: str
) -> None:
    """Bytes come so slowly that the job waits for them. A noisy machine gets three tries."""
    out = tmp_path / "out"
    took: list[float] = []
    vsphere_lab.throttle(64 << 10)
    try:
        while len(took) < 3 and not (took and min(took) <= PROMPT):
            id = (
                backup(running, machine)
                if kind == "backup"
                else export(running, out, machine, snapshot=True, snapshot_quiesce=False)
            )
            until(lambda: vsphere_lab.state()["streams"]["open"], "its stream")
            assert [each for each in vsphere_lab.state()["snapshots"] if each["vm"] == machine]
            took.append(cancelled(running, id))
            assert_nothing_is_open(vsphere_lab, machine)
            assert files(out) == []
    finally:
        vsphere_lab.throttle(0)
    assert min(took) <= PROMPT
    assert running.get("/v1/repositories/main/points")["items"] == []


def test_a_machine_that_is_not_there(running: Daemon, tmp_path: Path) -> None:
    said = hyperctl(
        running, "submit", "-vm", "/DC0/vm/prod/deamons", "-output", tmp_path, "-wait", expect=1
    )
    assert "Did you mean" in said.err
    assert "daemons" in said.err


def test_a_password_that_is_not_there(
    running: Daemon, vsphere_lab: VsphereLab, tmp_path: Path
) -> None:
    """It is resolved by the worker, whose environment has none of this name."""
    hyperctl(
        running, "hypervisor", "add", "other", f"{vsphere_lab.url}&password-from=env:NO_PASSWORD"
    )
    try:
        said = hyperctl(
            running, "backup", "web", "-H", "other", "--repo", "main", "--wait", expect=1
        )
    finally:
        hyperctl(running, "hypervisor", "delete", "other")
    assert "NO_PASSWORD" in said.err
