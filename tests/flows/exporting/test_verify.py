"""What verification finds: each file of an export damaged, cut, missing or exchanged."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from hypersdk.flows.exporting.export import export_instance
from hypersdk.flows.exporting.options import ExportOptions
from hypersdk.flows.exporting.verify import verify_export, verify_package
from hypersdk.model.errors import Damaged, HyperSDKError, ImageRefused, NotFound
from tests.components import require
from tests.flows.exporting.examples import mock_with


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an export of each kind."""
    require("qemu-img")
    folder = tmp_path_factory.mktemp("exports")
    mock = mock_with(folder / "lab")
    for format in ("ovf", "ova", "qcow2"):
        export_instance(mock, "web", folder / format, options=ExportOptions(format=format))
    return folder


def flip(path: Path, at: int = -2000) -> None:
    content = bytearray(path.read_bytes())
    content[max(at, -len(content) // 2)] ^= 0x40
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-4096])


def remove(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("harm", [flip, cut, remove])
@pytest.mark.parametrize("name", ["web-disk-0.vmdk", "web.ovf", "web.mf"])
def test_every_file_counts(
    exports: Path, tmp_path: Path, name: str, harm: Callable[[Path], None]
) -> None:
    shutil.copytree(exports / "ovf", tmp_path / "x")
    harm(tmp_path / "x" / name)
    with pytest.raises(HyperSDKError):
        verify_export(tmp_path / "x")


def test_the_manifest_is_enough_without_checksums(exports: Path, tmp_path: Path) -> None:
    shutil.copytree(exports / "ovf", tmp_path / "x")
    (tmp_path / "x" / "checksums.txt").unlink()
    assert verify_export(tmp_path / "x").checks
    flip(tmp_path / "x" / "web-disk-1.vmdk")
    with pytest.raises(Damaged, match="web-disk-1"):
        verify_export(tmp_path / "x")


@pytest.mark.parametrize("harm", [flip, cut])
def test_members_of_an_archive_are_compared(
    exports: Path, tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    shutil.copy(exports / "ova" / "web.ova", tmp_path)
    assert verify_export(tmp_path).checks
    if harm is flip:
        flip(tmp_path / "web.ova", at=300_000)
    else:
        (tmp_path / "web.ova").write_bytes((tmp_path / "web.ova").read_bytes()[:400_000])
    with pytest.raises((Damaged, ImageRefused)):
        verify_export(tmp_path)


def test_grains_are_looked_into(exports: Path, tmp_path: Path) -> None:
    name = "web-disk-0.vmdk"
    shutil.copy(exports / "ovf" / name, tmp_path)
    flip(tmp_path / name, at=200_000)
    with pytest.raises(ImageRefused, match="damaged grain"):
        verify_package(tmp_path, [name])


def test_a_descriptor_of_another_disk_is_noticed(exports: Path, tmp_path: Path) -> None:
    shutil.copytree(exports / "ovf", tmp_path / "x")
    (tmp_path / "x" / "web.mf").unlink()
    shutil.copy(tmp_path / "x" / "web-disk-1.vmdk", tmp_path / "x" / "web-disk-0.vmdk")
    with pytest.raises(Damaged, match="web-disk-0"):
        verify_package(tmp_path / "x", ["web.ovf", "web-disk-0.vmdk"])


def test_a_damaged_image_is_noticed(exports: Path, tmp_path: Path) -> None:
    name = "web-disk-0.qcow2"
    shutil.copy(exports / "qcow2" / name, tmp_path)
    cut(tmp_path / name)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[: 1 << 20])
    with pytest.raises(ImageRefused):
        verify_package(tmp_path, [name])


def test_a_folder_without_an_export_is_none(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(NotFound):
        verify_export(tmp_path)
    with pytest.raises(NotFound):
        verify_export(tmp_path / "missing")
