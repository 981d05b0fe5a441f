from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from hypersdk.artifacts.compression import Compression
from hypersdk.artifacts.encryption import Seal
from hypersdk.drivers.mock.driver import MockHypervisor
from hypersdk.flows.exporting.export import export_instance
from hypersdk.flows.exporting.options import FORMATS, ExportOptions, SnapshotOptions
from hypersdk.flows.exporting.plan import plan_export
from hypersdk.model.errors import InvalidInput
from tests.flows.exporting.examples import DISKS, mock_with


@pytest.fixture(scope="module")
def mock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MockHypervisor]:
    hypervisor = mock_with(tmp_path_factory.mktemp("lab"))
    yield hypervisor
    hypervisor.close()


@pytest.mark.parametrize(
    "options",
    [
        *(ExportOptions(format=format) for format in FORMATS),
        ExportOptions(format="raw", compression=Compression("lz4"), seal=Seal(passphrase="x")),
        ExportOptions(manifest=True, checksum="sha512", exclude=frozenset({"vda"})),
    ],
    ids=lambda options: options.format,
)
def test_the_plan_names_the_files_that_come(
    mock: MockHypervisor, tmp_path: Path, options: ExportOptions
) -> None:
    plan = plan_export(mock, "web", tmp_path / "out", options)
    assert not (tmp_path / "out").exists()
    exported = export_instance(mock, "web", tmp_path / "out", options=options)
    assert {file.name for file in plan.files} == {file.name for file in exported.files}
    assert plan.fits
    assert plan.room_needed >= sum(file.size for file in exported.files)


def test_sizes_and_wishes_are_told(mock: MockHypervisor, tmp_path: Path) -> None:
    plan = plan_export(mock, "web", tmp_path, ExportOptions(snapshot=SnapshotOptions()))
    assert plan.size == sum(map(len, DISKS.values()))
    assert plan.to_read <= plan.size
    assert plan.snapshot.startswith("hyperexport-")
    assert plan.reading
    assert mock.snapshots.snapshots("web") == []
    assert any("cannot read snapshots" in warning for warning in plan.warnings)


def test_power_off_is_planned_only_for_what_runs(mock: MockHypervisor, tmp_path: Path) -> None:
    options = ExportOptions(power_off=True)
    assert not plan_export(mock, "web", tmp_path, options).power_off
    mock.lifecycle.start("web")
    try:
        assert plan_export(mock, "web", tmp_path, options).power_off
    finally:
        mock.lifecycle.stop("web", force=True)


def test_what_is_in_the_way_is_told(mock: MockHypervisor, tmp_path: Path) -> None:
    (tmp_path / "web.ovf").write_text("")
    before = os.listdir(tmp_path)
    assert any("in the way" in text for text in plan_export(mock, "web", tmp_path).warnings)
    assert os.listdir(tmp_path) == before


def test_what_would_be_refused_is_refused(mock: MockHypervisor, tmp_path: Path) -> None:
    options = ExportOptions(format="ovf", compression=Compression("zstd"))
    with pytest.raises(InvalidInput):
        plan_export(mock, "web", tmp_path, options)
