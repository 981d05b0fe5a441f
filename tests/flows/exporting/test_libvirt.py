"""Packages become domains of libvirt, and come out of them again."""

from __future__ import annotations

from pathlib import Path

import pytest

import hypersdk
from hypersdk.flows.exporting.export import export_instance
from hypersdk.flows.exporting.options import ExportOptions
from hypersdk.flows.importing.importing import import_package
from hypersdk.flows.importing.options import ImportOptions
from hypersdk.ovf.reading import read_ovf
from tests.flows.exporting.examples import DISKS, contents, mock_with
from tests.kvm.fixtures import Lab


@pytest.mark.parametrize("format", ["ova", "qcow2"])
def test_a_round_trip_over_libvirt(lab: Lab, tmp_path: Path, format: str) -> None:
    mock = mock_with(tmp_path / "lab")
    export_instance(mock, "web", tmp_path / "a", options=ExportOptions(format=format))
    hypervisor = hypersdk.connect(lab.url)
    try:
        options = ImportOptions(name="imported", storage=str(lab.folder))
        imported = import_package(tmp_path / "a", hypervisor, options=options)
        assert imported.verified
        assert contents(hypervisor, "imported") == list(DISKS.values())
        exported = export_instance(
            hypervisor,
            "imported",
            tmp_path / "b",
            options=ExportOptions(format="qcow2", verify=True),
        )
        assert exported.verified
        machine = read_ovf((tmp_path / "b" / "imported.ovf").read_bytes())
        assert [disk.bus for disk in machine.disks] == ["scsi", "scsi"]
    finally:
        assert hypervisor.lifecycle is not None
        hypervisor.lifecycle.delete("imported", disks=True)
        hypervisor.close()
