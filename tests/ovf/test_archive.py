"""Archives hold what was put in, in the order of the standard, also for other programs."""

from __future__ import annotations

import contextlib
import hashlib
import io
import random
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypersdk.model.errors import Damaged, ImageRefused, InvalidInput
from hypersdk.ovf.archive import OvaWriter, archive_header
from hypersdk.ovf.machine import OvfDisk, OvfMachine
from hypersdk.ovf.reading import read_ovf
from hypersdk.ovf.unpacking import read_ova
from hypersdk.ovf.writing import write_ovf

DISKS = {"web-disk1.vmdk": random.Random(1).randbytes(70_000), "web-disk2.vmdk": b""}


def descriptor(sizes: dict[str, int]) -> bytes:
    disks = tuple(
        OvfDisk(id=name[:9], file=name, capacity=1 << 20, file_size=size)
        for name, size in sizes.items()
    )
    return write_ovf(OvfMachine(name="web", vcpus=1, memory=1 << 30, disks=disks))


def archive(disks: dict[str, bytes] = DISKS) -> bytes:
    file = io.BytesIO()
    ova = OvaWriter(file, "web", list(disks))
    for name, content in disks.items():
        with ova.member(name) as output:
            for at in range(0, len(content), 1000):
                output.write(content[at : at + 1000])
    assert ova.finish(descriptor) == len(file.getvalue())
    return file.getvalue()


def read(content: bytes) -> dict[str, bytes]:
    return {member.name: member.content.read() for member in read_ova(io.BytesIO(content))}


def packed(*members: tuple[tarfile.TarInfo, bytes], format: int = tarfile.PAX_FORMAT) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=format) as tar:
        for header, content in members:
            header.size = len(content)
            tar.addfile(header, io.BytesIO(content))
    return file.getvalue()


def plain(name: str, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
    return tarfile.TarInfo(name), content


def test_a_round_trip_changes_nothing() -> None:
    found = read(archive())
    assert {name: found[name] for name in DISKS} == DISKS
    machine = read_ovf(found["web.ovf"])
    assert [disk.file_size for disk in machine.disks] == [70_000, 0]


def test_the_order_is_that_of_the_standard_and_tar_reads_it(tmp_path: Path) -> None:
    (tmp_path / "web.ova").write_bytes(archive())
    listed = subprocess.run(
        ["tar", "-tf", tmp_path / "web.ova"], capture_output=True, text=True, check=True
    )
    assert listed.stdout.split() == ["web.ovf", "web.mf", "web-disk1.vmdk", "web-disk2.vmdk"]
    subprocess.run(["tar", "-xf", tmp_path / "web.ova", "-C", tmp_path], check=True)
    lines = (tmp_path / "web.mf").read_text().splitlines()
    for line, name in zip(lines, ["web.ovf", *DISKS], strict=True):
        digest = hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
        assert line == f"SHA256({name})= {digest}"


@pytest.mark.parametrize("size", [(8 << 30) - 1, 8 << 30, 9 << 40])
def test_members_of_8_gib_and_more(tmp_path: Path, size: int) -> None:
    """Of nothing, in a sparse file; for tar and for us."""
    with (tmp_path / "big.ova").open("wb") as file:
        file.write(archive_header("big.vmdk", size))
        file.truncate(512 + size + -size % 512 + 1024)
    run = ["tar", "-tvf", str(tmp_path / "big.ova")]
    listed = subprocess.run(run, capture_output=True, text=True, check=True)
    assert f" {size} " in listed.stdout
    with (tmp_path / "big.ova").open("rb") as file:
        member = next(read_ova(file))
    assert (member.name, member.size) == ("big.vmdk", size)


def test_files_come_as_announced() -> None:
    ova = OvaWriter(io.BytesIO(), "web", list(DISKS))
    with pytest.raises(InvalidInput, match=r"'web-disk1.vmdk' has to be written before"):
        ova.member("web-disk2.vmdk")
    with pytest.raises(InvalidInput, match="announced and not written"):
        ova.finish(descriptor)


def test_a_descriptor_that_outgrows_its_room_is_refused() -> None:
    ova = OvaWriter(io.BytesIO(), "web", [], room=100)
    with pytest.raises(InvalidInput, match="100 were reserved"):
        ova.finish(descriptor)


@pytest.mark.parametrize("name", ["../x.vmdk", "a/b", "", "x" * 101, "a\nb"])
def test_we_write_plain_names_only(name: str) -> None:
    with pytest.raises(ImageRefused):
        OvaWriter(io.BytesIO(), "web", [name])


@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT])
def test_archives_of_others_without_a_manifest(format: int) -> None:
    content = packed(plain("a.ovf", b"x" * 700), plain("./a-1.vmdk", b"y"), format=format)
    assert read(content) == {"a.ovf": b"x" * 700, "a-1.vmdk": b"y"}


def test_the_manifest_may_come_last_and_be_sha1() -> None:
    line = f"SHA1 (a.ovf) = {hashlib.sha1(b'x', usedforsecurity=False).hexdigest()}\n".encode()
    assert read(packed(plain("a.ovf", b"x"), plain("a.mf", line))) == {"a.ovf": b"x"}


def test_a_changed_disk_is_found() -> None:
    content = bytearray(archive())
    at = content.index(DISKS["web-disk1.vmdk"][:64])
    content[at + 5] ^= 1
    with pytest.raises(Damaged, match=r"web-disk1\.vmdk is not what its manifest says"):
        read(bytes(content))


def test_a_file_that_the_manifest_names_must_be_there() -> None:
    lines = f"SHA256(b.vmdk)= {'0' * 64}\n".encode()
    with pytest.raises(Damaged, match="lacks"):
        read(packed(plain("a.mf", lines)))


def test_a_disk_that_nobody_read_is_compared_too() -> None:
    content = archive().replace(DISKS["web-disk1.vmdk"][:64], b"\0" * 64)
    with pytest.raises(Damaged):
        for _ in read_ova(io.BytesIO(content)):
            pass


def test_hostile_members_are_refused() -> None:
    link = tarfile.TarInfo("a.ovf")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/shadow"
    folder = tarfile.TarInfo("a")
    folder.type = tarfile.DIRTYPE
    device = tarfile.TarInfo("a")
    device.type = tarfile.CHRTYPE
    for header in (link, folder, device):
        with pytest.raises(ImageRefused, match="no plain file"):
            read(packed((header, b"")))
    for name in ("../a.ovf", "/a.ovf", "a/../b", "x" * 101):
        with pytest.raises(ImageRefused):
            read(packed(plain(name, b"")))
    with pytest.raises(ImageRefused, match="two files"):
        read(packed(plain("a", b""), plain("a", b"")))
    with pytest.raises(ImageRefused, match="too many for a manifest"):
        read(packed(plain("a.mf", bytes(2 << 20))))


def test_a_cut_archive_is_no_end() -> None:
    content = archive()
    end = content.rindex(DISKS["web-disk1.vmdk"][-64:])
    for cut in (0, 100, 512, 70_000, end):
        with pytest.raises(ImageRefused, match="cut on its way"):
            read(content[:cut])


@given(st.integers(0, 200_000), st.binary(min_size=1, max_size=512))
def test_changed_archives_give_files_or_an_error(at: int, noise: bytes) -> None:
    content = bytearray(archive())
    at %= len(content)
    content[at : at + len(noise)] = noise
    with contextlib.suppress(ImageRefused, Damaged, InvalidInput):
        read(bytes(content))


def test_an_archive_is_gone_on_with_where_an_earlier_writer_ended(tmp_path: Path) -> None:
    path, (first, second) = tmp_path / "web.ova", DISKS.items()
    with path.open("w+b") as file:
        ova = OvaWriter(file, "web", list(DISKS))
        with ova.member(first[0]) as output:
            output.write(first[1])
        done = ova.written(first[0])
        file.write(b"rest of a member that was not finished" * 100)
    with path.open("r+b") as file:
        ova = OvaWriter(file, "web", list(DISKS), written=[done])
        with ova.member(second[0]) as output:
            output.write(second[1])
        ova.finish(descriptor)
    found = read(path.read_bytes())
    assert {name: found[name] for name in DISKS} == DISKS


def test_an_archive_that_is_shorter_than_what_was_written_is_not_gone_on_with() -> None:
    with pytest.raises(InvalidInput, match="shorter"):
        OvaWriter(io.BytesIO(), "web", list(DISKS), written=[(70_000, "0" * 64)])


def test_a_member_that_failed_is_written_anew() -> None:
    file = io.BytesIO()
    ova = OvaWriter(file, "web", list(DISKS))
    name = next(iter(DISKS))
    with contextlib.suppress(RuntimeError), ova.member(name) as output:
        output.write(b"half of it")
        raise RuntimeError
    for each, content in DISKS.items():
        with ova.member(each) as output:
            output.write(content)
    ova.finish(descriptor)
    found = read(file.getvalue())
    assert {each: found[each] for each in DISKS} == DISKS


def test_two_manifests_are_refused() -> None:
    hostile = packed(plain("a.mf", b"SHA1(x)= " + b"0" * 40 + b"\n"), plain("b.mf", b""))
    with pytest.raises(ImageRefused):
        read(hostile)
