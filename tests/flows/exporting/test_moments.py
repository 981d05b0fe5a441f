"""Explicit snapshots: made, read, deleted, kept, and tidied up after a killed run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hypersdk.datapath.cancel import CancelToken
from hypersdk.drivers.mock.driver import MockHypervisor
from hypersdk.flows.exporting.export import export_instance
from hypersdk.flows.exporting.options import ExportOptions, SnapshotOptions
from hypersdk.model.errors import Interrupted
from tests.flows.exporting.examples import mock_with


@pytest.fixture
def mock(tmp_path: Path) -> Iterator[MockHypervisor]:
    hypervisor = mock_with(tmp_path / "lab")
    hypervisor.lifecycle.start("web")
    yield hypervisor
    hypervisor.close()


def names(mock: MockHypervisor) -> list[str]:
    return [each.name for each in mock.snapshots.snapshots("web")]


def options(**chosen: object) -> ExportOptions:
    return ExportOptions(snapshot=SnapshotOptions(quiesce=False, **chosen))  # type: ignore[arg-type]


def test_a_snapshot_is_made_and_deleted(mock: MockHypervisor, tmp_path: Path) -> None:
    during: list[list[str]] = []
    exported = export_instance(
        mock,
        "web",
        tmp_path / "out",
        options=options(),
        reporter=lambda _: during.append(names(mock)),
    )
    assert during[0][0].startswith("hyperexport-")
    assert names(mock) == []
    assert exported.snapshot == ""
    assert any("cannot read snapshots" in warning for warning in exported.warnings)


def test_it_is_deleted_after_a_failure_too(mock: MockHypervisor, tmp_path: Path) -> None:
    cancel = CancelToken()
    with pytest.raises(Interrupted):
        export_instance(
            mock,
            "web",
            tmp_path / "out",
            options=options(),
            reporter=lambda _: cancel.cancel(),
            cancel=cancel,
        )
    assert names(mock) == []


def test_one_that_is_to_stay_stays_and_older_ones_of_ours_go(
    mock: MockHypervisor, tmp_path: Path
) -> None:
    mock.snapshots.create("web", "theirs")
    for number in range(3):
        chosen = options(name=f"hyperexport-{number}", delete=False, keep=2)
        exported = export_instance(mock, "web", tmp_path / str(number), options=chosen)
        assert exported.snapshot == f"hyperexport-{number}"
    assert names(mock) == ["theirs", "hyperexport-1", "hyperexport-2"]
