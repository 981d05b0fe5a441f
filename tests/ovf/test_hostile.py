"""Hostile descriptors, manifests and archives are errors of ours: no crash, no lost memory."""

from __future__ import annotations

import io
import tarfile
import time
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypersdk.model.errors import HyperSDKError, ImageRefused, InvalidInput
from hypersdk.ovf import manifest
from hypersdk.ovf.machine import OvfDisk, OvfMachine, OvfNic
from hypersdk.ovf.reading import read_ovf
from hypersdk.ovf.unpacking import read_ova
from hypersdk.ovf.writing import write_ovf

MIB = 1 << 20
#: 64 TiB: more than any hypervisor's disk.
LARGEST = 64 << 40
DESCRIPTOR = write_ovf(
    OvfMachine(
        name="web",
        vcpus=2,
        memory=1 << 30,
        disks=(OvfDisk(id="vmdisk1", file="a.vmdk", capacity=1 << 30, boot_order=1),),
        nics=(OvfNic(network="VM Network", mac="00:50:56:00:00:01"),),
        firmware="uefi",
    )
)
#: What numbers are written as by those who want to break a reader.
NUMBERS = ["", "-1", "0", "²", "٣", "1e9", "0x10", "NaN", "9" * 18, "9" * 30, "9" * 5000, "1 000"]
UNITS = ["", "²", "byte * 2^²", "byte * 2^99", "byte * 9^9", "*", "byte*" * 40_000, "byte * 10^60",
         "byte * 2^60 * 2^60 * 2^60", "2^" + "9" * 5000, "MegaBytes", "byte * 2^20"]  # fmt: skip


def opened(content: bytes) -> None:
    """Whatever comes is ours, and no disk or memory is larger than can be."""
    try:
        machine = read_ovf(content)
    except HyperSDKError:
        return
    assert all(disk.capacity <= LARGEST for disk in machine.disks)
    assert machine.memory <= LARGEST
    assert machine.vcpus <= 1 << 20


def changed(old: str, new: str) -> bytes:
    text = DESCRIPTOR.decode()
    assert old in text
    return text.replace(old, new, 1).encode()


@pytest.mark.parametrize("number", NUMBERS, ids=lambda text: text[:12])
def test_numbers(number: str) -> None:
    opened(changed(f'capacity="{1 << 30}"', f'capacity="{number}"'))
    opened(changed("VirtualQuantity>2<", f"VirtualQuantity>{number}<"))
    opened(changed("VirtualQuantity>1024<", f"VirtualQuantity>{number}<"))
    opened(changed("ResourceType>17<", f"ResourceType>{number}<"))
    opened(changed("BootOrder>1<", f"BootOrder>{number}<"))
    opened(changed("AddressOnParent>0<", f"AddressOnParent>{number}<"))


@pytest.mark.parametrize("unit", UNITS, ids=lambda text: text[:12])
def test_units(unit: str) -> None:
    opened(changed('AllocationUnits="byte"', f'AllocationUnits="{unit}"'))
    opened(changed("byte * 2^20", unit))


@given(st.data())
def test_changed_text(data: st.DataObject) -> None:
    text = bytearray(DESCRIPTOR)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text) - 1))
        end = at + data.draw(st.integers(0, 12))
        text[at:end] = data.draw(st.binary(max_size=12))
    opened(bytes(text))


@given(st.binary(max_size=300))
def test_any_bytes(content: bytes) -> None:
    opened(content)
    opened(b"<Envelope>" + content + b"</Envelope>")


@pytest.mark.parametrize(
    "content",
    [
        b"<a>" * 1_300_000,
        b"<Envelope>" + b"<a/>" * 1_000_000 + b"</Envelope>",
        b"<Envelope>" + b"<a>" * 100_000 + b"</a>" * 100_000 + b"</Envelope>",
        b"<Envelope " + b" ".join(b'a%d=""' % number for number in range(330_000)) + b"/>",
        b"<Envelope>" + b"a" * 4_100_000 + b"</Envelope>",
        b"<?xml version='1.0' encoding='cp037'?>" + b"\x4c\x81\x6e" * 1_300_000,
    ],
    ids=["open", "many", "deep", "attributes", "text", "ebcdic"],
)
def test_large_descriptors_cost_little(content: bytes) -> None:
    tracemalloc.start()
    began = time.process_time()
    try:
        with pytest.raises(InvalidInput):
            read_ovf(content)
        assert tracemalloc.get_traced_memory()[1] < 160 * MIB
        assert time.process_time() - began < 60
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "begin",
    [
        '<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;">]>',
        '<!DOCTYPE a SYSTEM "file:///etc/passwd">',
        '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>',
    ],
)
def test_no_document_type_is_taken(begin: str) -> None:
    text = DESCRIPTOR.decode()
    head, _, body = text.partition("?>")
    with pytest.raises(InvalidInput):
        read_ovf(f"{head}?>{begin}{body}".encode())


@pytest.mark.parametrize(
    "href", ["../a", "/etc/passwd", "a/b", "..", ".", "", "a\\b", "http://x/a", "a&#10;b"]
)
def test_files_lead_nowhere_else(href: str) -> None:
    with pytest.raises(InvalidInput):
        read_ovf(changed('href="a.vmdk"', f'href="{href}"'))


@given(st.text(max_size=200))
def test_any_manifest(text: str) -> None:
    try:
        manifest.read(text)
    except HyperSDKError:
        return


def test_a_manifest_of_one_long_line_is_quick() -> None:
    began = time.process_time()
    for line in ("SHA256(" * 100_000, "SHA256(" + ")" * 900_000, "SHA256(a)" + " " * 900_000):
        with pytest.raises(InvalidInput):
            manifest.read(line)
    assert time.process_time() - began < 20


def archive(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for header, content in members:
            header.size = len(content)
            tar.addfile(header, io.BytesIO(content))
    return file.getvalue()


OVA = archive(
    (tarfile.TarInfo("web.ovf"), DESCRIPTOR),
    (tarfile.TarInfo("web-disk1.vmdk"), b"disk" * 300),
)


def unpacked(content: bytes) -> None:
    try:
        for member in read_ova(io.BytesIO(content)):
            assert "/" not in member.name
            while member.content.read(1 << 16):
                pass
    except HyperSDKError as error:
        str(error).encode()
        repr(error.message)


@settings(max_examples=200)
@given(st.data())
def test_changed_archives(data: st.DataObject) -> None:
    content = bytearray(OVA)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, 511)) + 512 * data.draw(
            st.sampled_from([0, *range(len(content) // 512)])
        )
        new = data.draw(st.binary(min_size=1, max_size=16))
        content[at : at + len(new)] = new
        # With the right sum of the header, or the change would be noticed at once.
        block = content[at - at % 512 :][:512]
        block[148:156] = b" " * 8
        content[at - at % 512 + 148 : at - at % 512 + 156] = b"%06o\0 " % sum(block)
    unpacked(bytes(content[: data.draw(st.integers(0, len(content)))]))


@given(st.binary(max_size=1500))
def test_any_archive(content: bytes) -> None:
    unpacked(content)


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE,
     tarfile.FIFOTYPE, tarfile.GNUTYPE_SPARSE, tarfile.GNUTYPE_LONGNAME],
)  # fmt: skip
def test_only_plain_files(kind: bytes) -> None:
    header = tarfile.TarInfo("web.ovf")
    header.type = kind
    header.linkname = "/etc/passwd"
    content = header.tobuf(tarfile.GNU_FORMAT) + bytes(1024)
    with pytest.raises(ImageRefused):
        list(read_ova(io.BytesIO(content)))


def drained(content: bytes) -> None:
    for member in read_ova(io.BytesIO(content)):
        member.content.drain()


def test_a_member_larger_than_the_archive_costs_nothing() -> None:
    header = tarfile.TarInfo("web.vmdk")
    header.size = 1 << 50
    content = header.tobuf(tarfile.GNU_FORMAT) + b"x" * 5000
    tracemalloc.start()
    try:
        with pytest.raises(ImageRefused, match="ends within"):
            drained(content)
        assert tracemalloc.get_traced_memory()[1] < 8 * MIB
    finally:
        tracemalloc.stop()
