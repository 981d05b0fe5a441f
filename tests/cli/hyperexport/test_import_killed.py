"""Imports that are killed (SIGKILL) at any moment: nothing half written passes for an instance."""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hypersdk import Hypervisor, InstanceNotFound, MockHypervisor, connect
from hypersdk.cli.main import run
from hypersdk.cli.terminal import Terminal
from tests.cli.conftest import Stream
from tests.cli.hyperexport.conftest import Export
from tests.cli.hyperexport.processes import running, wait_for
from tests.components import require
from tests.kvm.fixtures import Lab, libvirtd
from tests.kvm.fixtures import lab as kvm
from tests.vsphere.fixtures import vsphere_lab
from tests.vsphere.lab import PASSWORD, VsphereLab

__all__ = ["kvm", "libvirtd", "vsphere_lab"]

MIB = 1 << 20
SLOW = ("--throttle", "1MiB/s")


@pytest.fixture
def package(export: Export, lab: MockHypervisor, work: Path) -> Path:
    """An OVF of two disks, with four MiB of noise."""
    for disk in ("vda", "vdb"):
        with lab.guest("db", disk) as guest:
            guest.write(0, random.Random(disk).randbytes(4 * MIB))
    export("db", "--output", "package", "--quiet")
    return work / "package" / "db.ovf"


@pytest.fixture(params=["mock", "qmp", "libvirt"])
def target(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Path]]:
    """URL of a hypervisor, and a folder that its disks lie in or below."""
    folder = tmp_path_factory.mktemp("t")
    if request.param == "mock":
        MockHypervisor(folder).close()
        yield f"mock://{folder}", folder
    elif request.param == "qmp":
        require("qemu-system-x86_64", "qemu-img")
        yield f"qmp://{folder}/qmp", folder
    else:
        lab: Lab = request.getfixturevalue("kvm")
        lab.folder.chmod(0o777)
        disks = lab.folder / "imported"
        disks.mkdir()
        yield lab.url, disks
        shutil.rmtree(disks)


def line_of(package: Path, url: str, folder: Path) -> tuple[object, ...]:
    storage = () if url.startswith(("mock:", "qmp:")) else ("--storage", folder)
    return ("import", package, "-H", url, "--name", "half", *storage)


def is_there(hypervisor: Hypervisor, name: str = "half") -> bool:
    assert hypervisor.inventory is not None
    try:
        hypervisor.inventory.instance(name)
    except InstanceNotFound:
        return False
    return True


def reaped(url: str, *options: str) -> str:
    """What ``hypersdk doctor --reap`` says."""
    out = Stream()
    words = ["doctor", "--reap", "-H", url, *options]
    assert run(words, Terminal(Stream(), out, Stream(), dict(os.environ))) == 0
    return out.getvalue()


def killed(line: tuple[object, ...], hypervisor: Hypervisor) -> None:
    """While the disks of the instance are written."""
    with running(*line, *SLOW) as child:
        wait_for(lambda: is_there(hypervisor), child)
        time.sleep(0.5)


def contents(export: Export, url: str, name: str, folder: str, work: Path) -> list[bytes]:
    export.plain(name, "-H", url, "--format", "raw", "--output", folder, "--quiet")
    return [each.read_bytes() for each in sorted((work / folder).glob("*.raw"))]


def test_the_next_import_of_that_name_takes_its_place(
    export: Export, package: Path, target: tuple[str, Path], work: Path
) -> None:
    url, folder = target
    line = line_of(package, url, folder)
    hypervisor = connect(url)
    try:
        killed(line, hypervisor)
        assert is_there(hypervisor)
        document = export.plain(*line, "--json").json
        (said,) = [each for each in document["warnings"] if "killed" in each]
        assert said == "half: removed what an import that was killed had made of it"
        original = contents(export, export.url, "db", "one", work)
        assert contents(export, url, "half", "two", work) == original
        assert not list((work.parent / "state" / "hypersdk" / "imports").iterdir())
    finally:
        assert hypervisor.lifecycle is not None
        hypervisor.lifecycle.delete("half", disks=True)
        hypervisor.close()
    assert [path for path in folder.rglob("*half*") if path.is_file()] == []


def test_the_doctor_removes_it(package: Path, target: tuple[str, Path]) -> None:
    url, folder = target
    hypervisor = connect(url)
    try:
        killed(line_of(package, url, folder), hypervisor)
        words = "half: removed what an import that was killed had made of it"
        assert words in reaped(url, "--dry-run")
        assert is_there(hypervisor)
        assert words in reaped(url)
        assert not is_there(hypervisor)
        assert words not in reaped(url)
        assert [path for path in folder.rglob("*half*") if path.is_file()] == []
    finally:
        hypervisor.close()


def test_one_that_is_under_way_is_let_alone(package: Path, tmp_path: Path) -> None:
    (tmp_path / "to").mkdir()
    url = f"mock://{tmp_path}/to"
    hypervisor = connect(url)
    with running(*line_of(package, url, tmp_path), *SLOW) as child:
        wait_for(lambda: is_there(hypervisor), child)
        assert "half" not in reaped(url)
        assert is_there(hypervisor)
    hypervisor.close()


def test_one_that_was_started_stays(export: Export, package: Path, tmp_path: Path) -> None:
    (tmp_path / "to").mkdir()
    url = f"mock://{tmp_path}/to"
    line = line_of(package, url, tmp_path)
    hypervisor = connect(url)
    killed(line, hypervisor)
    assert hypervisor.lifecycle is not None
    hypervisor.lifecycle.start("half")
    assert "was started since: it stays" in reaped(url)
    result = export.plain(*line, "--force", expect=None)
    assert result.status == 12
    assert is_there(hypervisor)
    hypervisor.close()


def test_another_of_that_name_stays(export: Export, package: Path, tmp_path: Path) -> None:
    """Somebody removed the half one, and made one of that name."""
    (tmp_path / "to").mkdir()
    url = f"mock://{tmp_path}/to"
    line = line_of(package, url, tmp_path)
    hypervisor = connect(url)
    killed(line, hypervisor)
    assert isinstance(hypervisor, MockHypervisor) or hypervisor.lifecycle is not None
    assert hypervisor.lifecycle is not None
    hypervisor.lifecycle.delete("half", disks=True)
    MockHypervisor(tmp_path / "to").create_instance("half", {"vda": MIB})
    assert "half" not in reaped(url)
    assert export.plain(*line, "--force", expect=None).status == 12
    assert is_there(hypervisor)
    hypervisor.close()


def test_on_vsphere_the_half_one_goes_with_its_lease(
    export: Export,
    package: Path,
    vsphere_lab: VsphereLab,
    monkeypatch: pytest.MonkeyPatch,
    work: Path,
) -> None:
    monkeypatch.setenv("GOVC_PASSWORD", PASSWORD)
    url = vsphere_lab.url
    line = ("import", package, "-H", url, "--name", "half")
    hypervisor = connect(url)
    try:
        killed(line, hypervisor)
        assert is_there(hypervisor)
        document = export.plain(*line, "--json").json
        assert any("aborted the lease" in each for each in document["warnings"])
        original = contents(export, export.url, "db", "one", work)
        assert contents(export, url, "half", "two", work) == original
        assert [each for each in vsphere_lab.state()["leases"] if each["vm"] == "half"] == []
    finally:
        hypervisor.close()
        vsphere_lab.remove_vm("half")
