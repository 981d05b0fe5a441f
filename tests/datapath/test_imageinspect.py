"""Images that are broken or made to do harm."""

from __future__ import annotations

import os
import random
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hypersdk.datapath import open_source
from hypersdk.datapath.image import open_image
from hypersdk.datapath.imageheaders import Reference, Role, probe, references
from hypersdk.datapath.imageinspect import SIZE_MAX, inspect
from hypersdk.model.errors import HyperSDKError, ImageRefused, InvalidInput, NotFound
from tests.components import require
from tests.datapath.servers import qemu_io, run
from tests.datapath.suite import MIB, read_all


@pytest.fixture(autouse=True)
def needs_qemu() -> None:
    require("qemu-img", "qemu-io", "qemu-nbd")


def qcow2(path: Path, *options: str) -> Path:
    """A real qcow2 image of 8 MiB with 1 MiB of data."""
    run("qemu-img", "create", "-q", "-f", "qcow2", *options, path, "8M")
    if "-b" not in options:
        qemu_io(path, "write -q -P 5 0 1M")
    return path


def patch(path: Path, offset: int, data: bytes) -> Path:
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)
    return path


def overlay(path: Path, name: str, format: str | None = "raw") -> Path:
    """A qcow2 image whose header names any backing file, existing or not."""
    qcow2(path)
    if format is None:
        patch(path, 60_000, name.encode())
        return patch(path, 8, struct.pack(">QI", 60_000, len(name.encode())))
    run("qemu-img", "rebase", "-u", "-b", name, "-F", format, path)
    return path


def refused(path: Path, words: str | None = None, **options: object) -> str:
    with pytest.raises(ImageRefused, match=words) as caught:
        open_image(path, **options)  # type: ignore[arg-type]
    assert str(path) in caught.value.message
    return caught.value.hint


def test_honest_image(tmp_path: Path) -> None:
    info = inspect(qcow2(tmp_path / "disk.qcow2"))
    assert (info.format, info.size, info.backing, info.data_file) == ("qcow2", 8 * MIB, None, None)


def test_missing_image(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        inspect(tmp_path / "none.qcow2")


def test_unknown_format(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="iso"):
        inspect(qcow2(tmp_path / "x"), "iso")


@pytest.mark.parametrize("suffix", ["qcow2", "vmdk", "vhdx", "vdi", "QCOW2"])
def test_garbage_with_a_promising_name(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"disk.{suffix}"
    path.write_bytes(random.Random(3).randbytes(MIB))
    hint = refused(path, "does not hold that format")
    assert "raw" in hint
    open_source(path, format="raw").close()


@pytest.mark.parametrize("length", [0, 4, 40, 100, 110, 512, 70_000, 300_000])
def test_cut_qcow2(tmp_path: Path, length: int) -> None:
    path = qcow2(tmp_path / "disk.qcow2")
    os.truncate(path, length)
    refused(path)


def test_image_cut_behind_its_tables_is_not_read_as_zeroes(tmp_path: Path) -> None:
    path = qcow2(tmp_path / "disk.qcow2")
    os.truncate(path, path.stat().st_size - 512 * 1024)
    refused(path, "cannot be used")


@pytest.mark.parametrize(
    ("offset", "data"),
    [
        (24, struct.pack(">Q", 1 << 62)),  # size of the disk
        (24, struct.pack(">Q", SIZE_MAX * 2)),
        (36, struct.pack(">I", 0x7FFF_FFFF)),  # entries of the first table
        (40, struct.pack(">Q", 1 << 60)),  # place of the first table
        (48, struct.pack(">QI", 1 << 60, 1)),  # reference counts
        (20, struct.pack(">I", 40)),  # cluster bits
        (4, struct.pack(">I", 9)),  # version
        (100, struct.pack(">I", 0xFFFF_FFF0)),  # length of the header
        (104, struct.pack(">II", 0xE279_2ACA, 0xFFFF_FFFF)),  # an extension without end
        (72, struct.pack(">Q", 1 << 40)),  # a feature nobody knows
        (8, struct.pack(">QI", 512, 5000)),  # length of the backing file's name
    ],
)
def test_hostile_qcow2_header(tmp_path: Path, offset: int, data: bytes) -> None:
    refused(patch(qcow2(tmp_path / "disk.qcow2"), offset, data))


def test_image_marked_corrupt(tmp_path: Path) -> None:
    path = patch(qcow2(tmp_path / "disk.qcow2"), 72, struct.pack(">Q", 2))
    assert "qemu-img check" in refused(path, "marked as corrupt")


def test_encrypted_image(tmp_path: Path) -> None:
    refused(patch(qcow2(tmp_path / "disk.qcow2"), 32, struct.pack(">I", 1)), "encrypted")


@pytest.mark.parametrize("format", ["raw", None])
def test_backing_file_outside(tmp_path: Path, format: str | None) -> None:
    path = overlay(tmp_path / "disk.qcow2", "/etc/passwd", format)
    assert "/etc" in refused(path, "backing file '/etc/passwd'")


@pytest.mark.parametrize(
    "name",
    [
        'json:{"driver":"file","filename":"/etc/passwd"}',
        "nbd:127.0.0.1:10809",
        "nbd://127.0.0.1/x",
        "http://127.0.0.1/disk",
        "fat:/etc",
        "file:/etc/passwd",
    ],
)
@pytest.mark.parametrize("format", ["raw", None])
def test_backing_file_with_a_protocol(tmp_path: Path, name: str, format: str | None) -> None:
    path = overlay(tmp_path / "disk.qcow2", name, format)
    assert "never" in refused(path, "not a plain file name", allow_backing=["/"])


def test_allowed_backing_files(tmp_path: Path) -> None:
    folder = tmp_path / "base"
    folder.mkdir()
    base = qcow2(folder / "base.qcow2")
    middle = qcow2(folder / "middle.qcow2", "-b", "base.qcow2", "-F", "qcow2")
    top = qcow2(tmp_path / "top.qcow2", "-b", str(middle), "-F", "qcow2")
    qemu_io(top, "write -q -P 6 64k 4k")
    for allowed in ([folder], [middle, base]):
        with open_image(top, allow_backing=allowed) as source:
            content = read_all(source)
    assert content[:65_536] == b"\5" * 65_536
    assert content[65_536:69_632] == b"\6" * 4096
    refused(top, "middle")
    with pytest.raises(ImageRefused, match=r"base\.qcow2"):
        open_image(top, allow_backing=[middle])


def test_way_out_of_an_allowed_folder(tmp_path: Path) -> None:
    folder = tmp_path / "base"
    folder.mkdir()
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(MIB))
    (folder / "link").symlink_to(secret)
    for name in (f"{folder}/../secret", f"{folder}/link"):
        refused(overlay(tmp_path / "disk.qcow2", name), "refers to", allow_backing=[folder])
        (tmp_path / "disk.qcow2").unlink()


def test_backing_files_in_a_circle(tmp_path: Path) -> None:
    path = overlay(tmp_path / "disk.qcow2", "disk.qcow2", "qcow2")
    refused(path, "circles", allow_backing=[tmp_path])


def test_raw_backing_file_is_not_probed(tmp_path: Path) -> None:
    """A guest that writes a qcow2 header into its raw disk gains nothing."""
    base = tmp_path / "base"
    overlay(base, "/etc/passwd")
    top = overlay(tmp_path / "top.qcow2", str(base), "raw")
    with open_image(top, allow_backing=[base]) as source:
        assert source.size == 8 * MIB


def test_external_data_file(tmp_path: Path) -> None:
    path, data = tmp_path / "disk.qcow2", tmp_path / "data"
    run("qemu-img", "create", "-q", "-f", "qcow2", "-o", f"data_file={data}", path, "8M")
    qemu_io(path, "write -q -P 9 0 64k")
    refused(path, "external data file")
    with open_image(path, allow_backing=[data]) as source:
        assert read_all(source)[:65_536] == b"\x09" * 65_536


def test_external_data_file_outside_is_never_opened(tmp_path: Path) -> None:
    path, data = tmp_path / "disk.qcow2", tmp_path / "data"
    run("qemu-img", "create", "-q", "-f", "qcow2", "-o", f"data_file={data}", path, "8M")
    data.unlink()
    os.mkfifo(data)  # who opens it waits forever
    refused(path, "external data file")


DESCRIPTOR = """# Disk DescriptorFile
version=1
CID=fffffffe
parentCID={parent_cid}
createType="monolithicFlat"
{parent}
# Extent description
RW 2048 FLAT "{extent}" 0
"""


def vmdk(path: Path, extent: str, parent: str = "") -> Path:
    hint = f'parentFileNameHint="{parent}"' if parent else ""
    cid = "fffffffe" if parent else "ffffffff"
    path.write_text(DESCRIPTOR.format(extent=extent, parent=hint, parent_cid=cid))
    return path


@pytest.mark.parametrize("extent", ["/etc/passwd", "../secret", "nbd://127.0.0.1/", "json:{}"])
def test_vmdk_extents_outside(tmp_path: Path, extent: str) -> None:
    folder = tmp_path / "vm"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(bytes(MIB))
    refused(vmdk(folder / "disk.vmdk", extent), "refers to the extent")


def test_vmdk_with_its_extents_beside_it(tmp_path: Path) -> None:
    (tmp_path / "disk-flat.vmdk").write_bytes(b"v" * MIB)
    with open_image(vmdk(tmp_path / "disk.vmdk", "disk-flat.vmdk")) as source:
        assert read_all(source) == b"v" * MIB


def test_vmdk_split_over_lines_is_still_found(tmp_path: Path) -> None:
    path = vmdk(tmp_path / "disk.vmdk", "x")
    path.write_text(path.read_text().replace('RW 2048 FLAT "x"', 'RW\t2048\nFLAT "/etc/passwd"'))
    refused(path, "/etc/passwd")


def test_vmdk_with_a_parent_outside(tmp_path: Path) -> None:
    (tmp_path / "disk-flat.vmdk").write_bytes(bytes(MIB))
    path = vmdk(tmp_path / "disk.vmdk", "disk-flat.vmdk", "/etc/passwd")
    refused(path, "backing file '/etc/passwd'")


def test_sparse_vmdk_with_a_descriptor_that_points_outside(tmp_path: Path) -> None:
    path = tmp_path / "disk.vmdk"
    run("qemu-img", "create", "-q", "-f", "vmdk", path, "1M")
    assert references(path, "vmdk") == []
    patch(path, 12, struct.pack("<Q", 0))  # no capacity: the descriptor decides
    patch(path, 512, vmdk(tmp_path / "text", "/etc/passwd").read_bytes().ljust(2048, b"\0"))
    assert references(path, "vmdk") == [Reference(Role.EXTENT, "/etc/passwd")]
    refused(path, "refers to the extent '/etc/passwd'")


@pytest.mark.parametrize("share", [0.0005, 0.4, 0.8])
@pytest.mark.parametrize("format", ["qcow2", "vmdk", "vhdx", "vdi", "vpc"])
def test_cut_images_of_any_format(tmp_path: Path, format: str, share: float) -> None:
    path = tmp_path / "disk"
    (tmp_path / "raw").write_bytes(b"x" * 16 * MIB)
    run("qemu-img", "convert", "-f", "raw", "-O", format, tmp_path / "raw", path)
    assert probe(path) == format
    os.truncate(path, int(path.stat().st_size * share))
    refused(path)


def test_differencing_vhd(tmp_path: Path) -> None:
    path = tmp_path / "disk.vhd"
    run("qemu-img", "create", "-q", "-f", "vpc", path, "8M")
    refused(patch(path, path.stat().st_size - 512 + 60, struct.pack(">I", 4)), "differencing")


def test_name_that_is_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"disk-\xff.qcow2")
    qcow2(tmp_path / "disk.qcow2").rename(path)
    with pytest.raises(ImageRefused, match="not UTF-8"):
        open_image(path)


@settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.tuples(st.integers(0, 600), st.binary(min_size=1, max_size=8)), max_size=6),
    st.sampled_from(["qcow2", "vmdk", "vhdx", "vdi", "vpc"]),
)
def test_headers_with_random_bytes_never_crash_us(
    tmp_path: Path, changes: list[tuple[int, bytes]], format: str
) -> None:
    path = tmp_path / f"{format}.img"
    run("qemu-img", "create", "-q", "-f", format, path, "1M")
    for offset, data in changes:
        patch(path, offset, data)
    try:
        for reference in references(path, format):
            assert reference.name is not None
    except HyperSDKError:
        pass
