"""Files at a place: after the export, or streamed straight to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hypersdk.artifacts.encryption import Seal
from hypersdk.artifacts.places.open import open_place
from hypersdk.datapath.cancel import CancelToken
from hypersdk.drivers.mock.driver import MockHypervisor
from hypersdk.flows.exporting.export import export_instance
from hypersdk.flows.exporting.options import ExportOptions, ManifestOptions
from hypersdk.flows.exporting.verify import verify_export
from hypersdk.model.errors import HyperSDKError, Interrupted, InvalidInput, NotFound
from hypersdk.model.progress import Progress
from tests.flows.exporting.examples import files, mock_with


@pytest.fixture
def mock(tmp_path: Path) -> Iterator[MockHypervisor]:
    hypervisor = mock_with(tmp_path / "lab")
    yield hypervisor
    hypervisor.close()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "place"
    folder.mkdir()
    return folder


def test_all_files_are_brought_and_stay_here(
    mock: MockHypervisor, tmp_path: Path, place: Path
) -> None:
    options = ExportOptions(upload=f"file://{place}")
    exported = export_instance(mock, "web", tmp_path / "out", options=options)
    assert files(place / "web") == files(tmp_path / "out")
    assert (exported.uploaded, exported.local) == (f"file://{place}/web", True)


def test_local_files_go_once_the_upload_was_confirmed(
    mock: MockHypervisor, tmp_path: Path, place: Path
) -> None:
    options = ExportOptions(upload=f"file://{place}", keep_local=False)
    exported = export_instance(mock, "web", tmp_path / "out", options=options)
    assert not (tmp_path / "out").exists()
    assert not exported.local
    assert verify_export(place / "web").checks


def test_an_upload_that_fails_leaves_the_export_here(
    mock: MockHypervisor, tmp_path: Path, place: Path
) -> None:
    (place / "web").mkdir()
    (place / "web" / "web.mf").write_text("in the way")
    options = ExportOptions(upload=f"file://{place}", keep_local=False)
    with pytest.raises(HyperSDKError, match="the export is complete in"):
        export_instance(mock, "web", tmp_path / "out", options=options)
    assert verify_export(tmp_path / "out").checks
    assert (place / "web" / "web.mf").read_text() == "in the way"


def test_a_wrong_place_is_noticed_before_anything_is_read(
    mock: MockHypervisor, tmp_path: Path
) -> None:
    options = ExportOptions(upload=f"file://{tmp_path}/nowhere")
    with pytest.raises(NotFound):
        export_instance(mock, "web", tmp_path / "out", options=options)
    assert not (tmp_path / "out").exists()


def test_disks_are_streamed_without_a_local_copy(
    mock: MockHypervisor, tmp_path: Path, place: Path
) -> None:
    options = ExportOptions(
        upload=f"file://{place}", stream_upload=True, manifest=True, verify=True
    )
    exported = export_instance(mock, "web", tmp_path / "out", options=options)
    assert not (tmp_path / "out").exists()
    assert not exported.local
    assert {file.name for file in exported.files} == set(files(place / "web"))
    assert verify_export(place / "web").checks


def test_a_stream_that_was_cancelled_leaves_nothing_at_the_place(
    mock: MockHypervisor, tmp_path: Path, place: Path
) -> None:
    cancel = CancelToken()

    def stop(progress: Progress) -> None:
        if progress.task == "web/vdb":
            cancel.cancel()

    options = ExportOptions(upload=f"file://{place}", stream_upload=True, parallel=1)
    with pytest.raises(Interrupted):
        export_instance(
            mock, "web", tmp_path / "out", options=options, reporter=stop, cancel=cancel
        )
    assert [path for path in place.rglob("*") if path.is_file()] == []
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "wrong", [{"format": "ova"}, {"format": "qcow2"}, {"seal": Seal(passphrase="x")}]
)
def test_what_cannot_be_streamed_is_refused(
    mock: MockHypervisor, tmp_path: Path, place: Path, wrong: dict[str, object]
) -> None:
    options = ExportOptions(upload=f"file://{place}", stream_upload=True, **wrong)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput):
        export_instance(mock, "web", tmp_path / "out", options=options)


@pytest.mark.parametrize("stream", [False, True])
def test_buckets_take_exports(
    mock: MockHypervisor, tmp_path: Path, s3_location: str, stream: bool
) -> None:
    options = ExportOptions(
        upload=s3_location,
        stream_upload=stream,
        keep_local=False,
        manifest=ManifestOptions(encoding="yaml"),
    )
    exported = export_instance(mock, "web", tmp_path / "out", options=options)
    back = tmp_path / "back"
    back.mkdir()
    place = open_place(s3_location)
    for found in place.list("web"):
        content = b"".join(place.read(found.name))
        (back / found.name.rpartition("/")[2]).write_bytes(content)
    place.close()
    assert set(files(back)) == {file.name for file in exported.files}
    assert verify_export(back).checks
