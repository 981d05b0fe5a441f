"""From QEMU to vSphere and back, byte for byte."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hypersdk import connect, load_spec
from tests.cli.hyperexport.conftest import Export
from tests.components import require
from tests.vsphere.fixtures import vsphere_lab
from tests.vsphere.lab import PASSWORD, VsphereLab

__all__ = ["vsphere_lab"]

MIB = 1 << 20
#: Bytes: one that is no multiple of a MiB, one that is mostly a hole.
SIZES = (8 * MIB + 3 * 65536, 32 * MIB)


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder with a path that sockets can have."""
    with tempfile.TemporaryDirectory(prefix="qmp-", dir="/tmp") as folder:
        yield Path(folder)


@pytest.fixture
def qmp(short: Path) -> Iterator[Export]:
    """A stopped machine ``rt`` with two disks that hold data at their ends and in between."""
    require("qemu-system-x86_64", "qemu-img")
    url = f"qmp://{short}/q"
    hypervisor = connect(url)
    assert hypervisor.lifecycle is not None
    disks = [{"size": size, "format": "raw"} for size in SIZES]
    nics = [{"mac": "52:54:00:aa:bb:01"}]
    spec = {"name": "rt", "vcpus": 2, "memory": "96MiB", "disks": disks, "nics": nics}
    made = hypervisor.lifecycle.create(load_spec(spec))
    dice = random.Random(11)
    for disk in made.disks:
        with open(disk.path, "r+b") as image:
            for at, length in ((0, 1000), (3 * MIB - 500, 2 * MIB), (disk.size - 777, 777)):
                image.seek(at)
                image.write(dice.randbytes(length))
    yield Export(url)
    for name in ("rt", "rt-back"):
        hypervisor.lifecycle.delete(name, disks=True)
    hypervisor.close()


def raw(export: Export, name: str, work: Path, folder: str) -> list[bytes]:
    export(name, "--format", "raw", "--output", folder, "--quiet")
    return [each.read_bytes() for each in sorted((work / folder).glob("*.raw"))]


@pytest.mark.parametrize("format", ["ova", "ovf"])
def test_to_vsphere_and_back(
    qmp: Export,
    vsphere_lab: VsphereLab,
    work: Path,
    monkeypatch: pytest.MonkeyPatch,
    format: str,
) -> None:
    monkeypatch.setenv("GOVC_PASSWORD", PASSWORD)
    vsphere = Export(vsphere_lab.url)
    original = raw(qmp, "rt", work, "original")
    assert [len(content) for content in original] == list(SIZES)

    qmp("rt", "--format", format, "--output", "out", "--verify", "--quiet")
    there = vsphere(
        "import", f"out/rt.{format}", "--name", "rt", "--map-network", "user=VM Network", "--json"
    ).json
    try:
        assert there["verified"]
        contents = [vsphere_lab.content("rt", number) for number in range(len(SIZES))]
        assert contents == original
        assert raw(vsphere, "rt", work, "vsphere") == original
        info = dict(
            line.split("=", 1) for line in vsphere("rt", "--vm-info", "--quiet").out.splitlines()
        )
        assert (info["cpu"], info["memory_mb"]) == ("2", "96")

        vsphere("rt", "--format", format, "--output", "back", "--verify", "--quiet")
        qmp("import", f"back/rt.{format}", "--name", "rt-back", "--disk-format", "raw", "--quiet")
        assert raw(qmp, "rt-back", work, "again") == original
    finally:
        vsphere_lab.remove_vm("rt")
