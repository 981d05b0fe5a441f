"""Descriptors of disks say whether one flat file holds the disk."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypersdk.drivers.vsphere.descriptor import DatastorePath, DiskDescriptor, FileExtent
from hypersdk.model.errors import HyperSDKError, ImageRefused, InvalidInput

FLAT = """# Disk DescriptorFile
version=1
CID=fffffffe
parentCID=ffffffff
createType="vmfs"

# Extent description
RW 16384 VMFS "web-flat.vmdk"

ddb.virtualHWVersion = "19"
"""
DELTA = """# Disk DescriptorFile
version=1
CID=fffffffe
parentCID=fffffffe
createType="seSparse"
parentFileNameHint="web.vmdk"
RW 16384 SESPARSE "web-000001-sesparse.vmdk"
"""


def test_a_flat_file_is_found() -> None:
    found = DiskDescriptor.parse(FLAT).flat_file(8 << 20)
    assert found == FileExtent("VMFS", 8 << 20, "web-flat.vmdk")


@pytest.mark.parametrize(
    ("text", "size", "words"),
    [
        (DELTA, 8 << 20, "layer of a snapshot"),
        (FLAT, 9 << 20, "the disk has"),
        (FLAT + 'RW 16384 VMFS "b-flat.vmdk"\n', 16 << 20, "in 2 files"),
        (FLAT.replace("VMFS", "VMFSRDM"), 8 << 20, "VMFSRDM"),
        (FLAT.replace("web-flat", "../web-flat"), 8 << 20, "no flat file"),
    ],
)
def test_others_are_not_read_by_ranges(text: str, size: int, words: str) -> None:
    found = DiskDescriptor.parse(text).flat_file(size)
    assert isinstance(found, str)
    assert words in found


@given(st.text(max_size=400))
def test_garbage_is_refused_or_harmless(text: str) -> None:
    for content in (text, "# Disk DescriptorFile\n" + text):
        try:
            DiskDescriptor.parse(content).flat_file(512)
        except HyperSDKError:
            continue


def test_other_files_are_no_descriptors() -> None:
    with pytest.raises(ImageRefused):
        DiskDescriptor.parse("KDMV")


def test_paths_become_addresses() -> None:
    path = DatastorePath.parse("[my store] a b/web.vmdk")
    assert str(path.beside("web-flat.vmdk")) == "[my store] a b/web-flat.vmdk"
    assert path.url("https://vc", "Europe/DC 0") == (
        "https://vc/folder/a%20b/web.vmdk?dcPath=Europe%2FDC%200&dsName=my%20store"
    )
    with pytest.raises(InvalidInput):
        DatastorePath.parse("/vmfs/volumes/web.vmdk")
