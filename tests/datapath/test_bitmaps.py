from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from hypersdk.datapath.bitmaps import add_bitmap, image_records, remove_bitmap
from hypersdk.datapath.image import ExistingImage, ImageSource
from hypersdk.datapath.imageinspect import inspect
from hypersdk.model.errors import DataPathError, NotFound
from hypersdk.model.extents import Extent, ExtentKind
from tests.components import require
from tests.datapath.servers import run

MIB = 1 << 20
KIB = 1 << 10


@pytest.fixture(autouse=True)
def _programs() -> None:
    require("qemu-img", "qemu-io", "qemu-nbd")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "it's {a} disk, 100%.qcow2"
    run("qemu-img", "create", "-q", "-f", "qcow2", path, "8M")
    return path


def write(image: Path, command: str) -> None:
    subprocess.run(["qemu-io", "-c", command, image], check=True, stdout=subprocess.DEVNULL)


def test_bitmaps_come_and_go(image: Path) -> None:
    records = image_records(image, "qcow2")
    assert (records.virtual_size, records.bitmaps, records.snapshots) == (8 * MIB, (), False)
    assert 0 < records.actual_size < MIB
    add_bitmap(image, "a b")
    add_bitmap(image, "größe")
    found = image_records(image, "qcow2")
    assert {(b.name, b.granularity, b.consistent) for b in found.bitmaps} == {
        ("a b", 64 * KIB, True),
        ("größe", 64 * KIB, True),
    }
    assert found.usable("a b")
    assert not found.has("b")
    remove_bitmap(image, "a b")
    assert not image_records(image, "qcow2").has("a b")


def test_what_cannot_be_done_is_said(image: Path, tmp_path: Path) -> None:
    add_bitmap(image, "x")
    with pytest.raises(DataPathError, match=r"cannot add bitmap 'x' to .*already exists"):
        add_bitmap(image, "x")
    with pytest.raises(DataPathError, match=r"cannot remove 'y' from .*not found"):
        remove_bitmap(image, "y")
    with pytest.raises(NotFound, match=r"none\.qcow2"):
        image_records(tmp_path / "none.qcow2", "qcow2")


def test_image_in_use(image: Path) -> None:
    """Its bitmaps can be seen, and not be changed. While it is open they are all "in use"."""
    add_bitmap(image, "x")
    with ExistingImage(inspect(image, "qcow2")):
        with pytest.raises(DataPathError, match="lock") as caught:
            add_bitmap(image, "y")
        assert "its hypervisor has to do it" in caught.value.hint
        with pytest.raises(DataPathError, match="lock"):
            image_records(image, "qcow2")
        assert image_records(image, "qcow2", in_use=True).usable("x")


def test_bitmap_that_was_not_saved(image: Path) -> None:
    """The writer died: what it wrote last is not in there."""
    add_bitmap(image, "x")
    with ExistingImage(inspect(image, "qcow2")) as open_image:
        open_image.write(0, memoryview(b"a" * 512))
        open_image.flush()
        # Before it sees its last client go: it would save the bitmap then.
        open_image._server.value.kill()
    records = image_records(image, "qcow2")
    assert records.has("x")
    assert not records.usable("x")


def test_bitmap_that_does_not_record(image: Path) -> None:
    add_bitmap(image, "x")
    run("qemu-img", "bitmap", "--disable", image, "x")
    assert not image_records(image, "qcow2").usable("x")


def test_internal_snapshot_is_seen(image: Path) -> None:
    run("qemu-img", "snapshot", "-c", "s", image)
    assert image_records(image, "qcow2").snapshots


def test_overlay_is_looked_at_without_its_base(tmp_path: Path, image: Path) -> None:
    overlay = tmp_path / "overlay.qcow2"
    run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", image, overlay)
    add_bitmap(image, "below")
    image.rename(tmp_path / "gone")
    assert image_records(overlay, "qcow2").bitmaps == ()


def extents(source: ImageSource) -> list[Extent]:
    return list(source.extents())


def test_image_source_reports_what_a_bitmap_marks(image: Path) -> None:
    write(image, "write -P 1 0 2M")
    add_bitmap(image, "x")
    write(image, "write -P 2 1M 64k")
    write(image, "discard 0 64k")
    write(image, "write -z 4M 64k")
    with ImageSource(inspect(image, "qcow2"), "x") as source:
        found = [(e.start // KIB, e.length // KIB, e.kind) for e in extents(source)]
        with source.clone() as twin:
            assert extents(twin) == extents(source)
    unchanged, zero, data = ExtentKind.UNCHANGED, ExtentKind.ZERO, ExtentKind.DATA
    assert found == [
        (0, 64, zero),
        (64, 960, unchanged),
        (1024, 64, data),
        (1088, 3008, unchanged),
        (4096, 64, zero),
        (4160, 4032, unchanged),
    ]


def test_image_source_refuses_a_bitmap_that_is_not_there(image: Path) -> None:
    with pytest.raises(DataPathError, match="nope"):
        ImageSource(inspect(image, "qcow2"), "nope")


def test_changes_of_an_existing_image_are_recorded(image: Path) -> None:
    write(image, "write -P 1 0 2M")
    add_bitmap(image, "x")
    with ExistingImage(inspect(image, "qcow2")) as open_image:
        with open_image.source() as source:
            held = bytearray(512)
            source.readinto(0, memoryview(held))
            assert held == b"\x01" * 512
        with open_image.clone() as twin:
            twin.write(MIB, memoryview(b"a" * 512))
        open_image.zero(0, 64 * KIB)
        open_image.commit()
    assert image_records(image, "qcow2").usable("x")
    with ImageSource(inspect(image, "qcow2"), "x") as source:
        changed = [e for e in extents(source) if e.kind is not ExtentKind.UNCHANGED]
    assert [(e.start, e.length) for e in changed] == [(0, 64 * KIB), (MIB, 64 * KIB)]
