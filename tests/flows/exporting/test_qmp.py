"""Exports of machines in QEMU, stopped and running, and the way back."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hypersdk.drivers.mock.driver import MockHypervisor
from hypersdk.drivers.qmp.driver import QmpHypervisor
from hypersdk.flows.exporting.export import export_instance
from hypersdk.flows.exporting.options import ExportOptions
from hypersdk.flows.importing.importing import import_package
from hypersdk.flows.importing.options import ImportOptions
from hypersdk.model.instances import Consistency, InstanceState
from hypersdk.model.specs import DiskSpec, InstanceSpec
from tests.components import require
from tests.flows.exporting.examples import DISKS, MIB, contents, fill


@pytest.fixture
def qmp() -> Iterator[QmpHypervisor]:
    """One machine ``web`` with known disks."""
    require("qemu-system-x86_64", "qemu-img", "qemu-nbd")
    with tempfile.TemporaryDirectory(prefix="qmp-") as folder:
        hypervisor = QmpHypervisor(Path(folder) / "q")
        disks = tuple(DiskSpec(name=name, size=len(each)) for name, each in DISKS.items())
        spec = InstanceSpec(name="web", memory=64 * MIB, disks=disks, acceleration="tcg")
        hypervisor.lifecycle.create(spec)
        fill(hypervisor, "web", DISKS)
        yield hypervisor
        for instance in list(hypervisor.inventory.instances()):
            hypervisor.lifecycle.stop(instance.name, force=True)
        hypervisor.close()


@pytest.mark.parametrize("format", ["ovf", "ova", "qcow2"])
@pytest.mark.parametrize("running", [False, True])
def test_disks_come_out_and_go_back(
    qmp: QmpHypervisor, tmp_path: Path, format: str, running: bool
) -> None:
    if running:
        qmp.lifecycle.start("web", paused=True)
    options = ExportOptions(format=format, verify=True)
    exported = export_instance(qmp, "web", tmp_path / "a", options=options)
    assert exported.consistency is (Consistency.CRASH if running else Consistency.OFFLINE)
    import_package(tmp_path / "a", qmp, options=ImportOptions(name="again"))
    assert contents(qmp, "again") == list(DISKS.values())
    (tmp_path / "m").mkdir()
    mock = MockHypervisor(tmp_path / "m")
    import_package(tmp_path / "a", mock)
    assert contents(mock) == list(DISKS.values())
    state = InstanceState.PAUSED if running else InstanceState.STOPPED
    assert qmp.inventory.instance("web").state is state
