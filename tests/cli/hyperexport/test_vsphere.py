"""The command on a vSphere lab: the hypervisor that it is asked for most."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from hypersdk import init_repository
from hypersdk.cli.hyperexport.exits import Exit
from tests.cli.hyperexport.conftest import Export
from tests.vsphere.fixtures import vsphere_lab
from tests.vsphere.lab import PASSWORD, VsphereLab

__all__ = ["vsphere_lab"]

MIB = 1 << 20


@pytest.fixture
def vsphere(vsphere_lab: VsphereLab, monkeypatch: pytest.MonkeyPatch) -> Export:
    monkeypatch.setenv("GOVC_PASSWORD", PASSWORD)
    return Export(vsphere_lab.url)


@pytest.fixture
def machine(vsphere_lab: VsphereLab, tmp_path: Path) -> Iterator[str]:
    """A running one with a disk of 8 MiB, in a folder, with an advanced setting."""
    source = tmp_path / "disk.raw"
    with source.open("wb") as file:
        file.truncate(8 * MIB)
        file.write(random.Random(3).randbytes(MIB))
    name = f"hx-{os.getpid()}"
    vsphere_lab.add_vm(
        name=name,
        folder="prod/hyperexport",
        running=True,
        cbt=True,
        disks=[{"source": str(source)}],
        nics=[{"network": "VM Network"}],
        extra={"owner": "lab-team"},
    )
    yield name
    vsphere_lab.remove_vm(name)


def test_there_and_back(
    vsphere: Export,
    vsphere_lab: VsphereLab,
    machine: str,
    work: Path,
) -> None:
    result = vsphere(machine, "--format", "ova", "--output", "here", "--verify", "--quiet")
    assert result.out.startswith(f"success: {machine} exported to here (")
    vsphere("import", f"here/{machine}.ova", "--name", f"{machine}-back", "--quiet")
    try:
        vsphere(f"{machine}-back", "--format", "raw", "--output", "back", "--quiet")
        back = next((work / "back").glob("*.raw")).read_bytes()
        assert back == vsphere_lab.content(machine, 0)
    finally:
        vsphere_lab.remove_vm(f"{machine}-back")
    state = vsphere_lab.state()
    assert not [each for each in state["snapshots"] if each["vm"].startswith(machine)]
    assert not [each for each in state["leases"] if each["state"] not in ("done", "error")]


def test_by_advanced_setting_and_folder(vsphere: Export, machine: str) -> None:
    out = vsphere("--filter", "owner=lab-team", "--dry-run", "--quiet").out
    assert out.startswith(f"dry-run: {machine} -> exports/{machine} (ovf, ")
    assert f"dry-run: {machine} " in vsphere("--folder", "PROD/hyper", "--dry-run", "--quiet").out
    vsphere("--filter", "owner=nobody", "--dry-run", expect=Exit.NOT_FOUND)


def test_where_it_is_comes_from_the_environment(
    vsphere: Export,
    vsphere_lab: VsphereLab,
    machine: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GOVC_URL", vsphere_lab.sdk)
    monkeypatch.setenv("GOVC_USERNAME", vsphere_lab.user)
    monkeypatch.setenv("GOVC_INSECURE", "1")  # trust on first use, below XDG_CONFIG_HOME
    for line in ([machine], ["--provider", "vsphere", "-vm", machine]):
        assert machine in vsphere.plain(*line, "-dry-run", "-quiet").out
    monkeypatch.setenv("GOVC_PASSWORD", "wrong-password")
    result = vsphere.plain(machine, "--dry-run", expect=Exit.DENIED)
    assert "cannot log in" in result.err
    assert "wrong-password" not in result.err


def test_only_what_changed_is_stored(
    vsphere: Export,
    vsphere_lab: VsphereLab,
    machine: str,
    tmp_path: Path,
) -> None:
    init_repository(tmp_path / "repo").close()
    line = (machine, "--incremental", "--repo", tmp_path / "repo", "--json")
    vsphere(*line)
    written = [{"offset": 4 * MIB, "length": 65536, "seed": "new"}]
    vsphere_lab.write(machine, 0, written)
    (point,) = vsphere(*line).json["points"]
    disk = point["disks"][0]
    assert disk["statistics"]["stored"] <= MIB // 4


def test_the_nearest_name(vsphere: Export, machine: str) -> None:
    result = vsphere(machine.upper()[:-1] + "x", "--dry-run", expect=Exit.NOT_FOUND)
    assert machine in result.err


def test_all_that_is_known_of_it(vsphere: Export, machine: str) -> None:
    lines = vsphere(machine, "--vm-info", "--quiet").out.splitlines()
    assert f"path=DC0/vm/prod/hyperexport/{machine}" in lines
    assert "power_state=running" in lines


def test_a_certificate_that_nobody_vouches_for(vsphere: Export, vsphere_lab: VsphereLab) -> None:
    result = vsphere.plain(
        "web", "--dry-run", "-H", vsphere_lab.url.partition("?")[0], expect=Exit.UNTRUSTED
    )
    assert "is not trusted" in result.err
    plain = vsphere_lab.fingerprint.replace(":", "")
    assert f"fingerprint={plain}" in result.err


def test_another_certificate_than_the_pinned_one(vsphere: Export, vsphere_lab: VsphereLab) -> None:
    url = vsphere_lab.url.replace(vsphere_lab.fingerprint, "AB:" * 31 + "AB")
    result = vsphere.plain("web", "--json", "-H", url, expect=Exit.UNTRUSTED)
    assert result.json["error"]["exit_code"] == Exit.UNTRUSTED
    assert "another certificate" in result.json["error"]["message"]
