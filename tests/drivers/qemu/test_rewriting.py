"""Images and files of a stopped machine are written in place, and nothing stays open."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from hypersdk.datapath.imageinspect import ImageInfo, inspect
from hypersdk.drivers.qemu.rewriting import ImageRewriting
from hypersdk.model.errors import HyperSDKError
from hypersdk.model.instances import Disk, Purpose
from tests.components import require

MIB = 1 << 20


@pytest.fixture
def image(tmp_path: Path) -> ImageInfo:
    require("qemu-img", "qemu-nbd", "qemu-io")
    path = tmp_path / "disk.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(path), str(4 * MIB)], check=True)
    return inspect(path, "qcow2")


def rewriting(image: ImageInfo, folder: Path) -> ImageRewriting:
    (folder / "nvram").write_bytes(b"a" * 4096)
    disks = [Disk("vda", 4 * MIB), Disk("nvram", 4096, purpose=Purpose.NVRAM)]
    return ImageRewriting(disks, {"vda": image}, {"nvram": str(folder / "nvram")})


def unlocked(image: ImageInfo) -> bool:
    """Whether QEMU would let somebody write to it."""
    write = ["qemu-io", "-f", "qcow2", "-c", "write -P 7 1M 4k", str(image.path)]
    return subprocess.run(write, capture_output=True, check=False).returncode == 0


def test_what_is_written_stays(image: ImageInfo, tmp_path: Path) -> None:
    with rewriting(image, tmp_path) as open_:
        assert not unlocked(image)
        with open_.sink("vda") as sink:
            sink.write(MIB, memoryview(b"x" * 4096))
            sink.flush()
        with open_.sink("nvram") as sink:
            sink.write(0, memoryview(b"y" * 512))
            sink.flush()
        buffer = bytearray(4096)
        with open_.source("vda") as source:
            source.readinto(MIB, memoryview(buffer))
        assert buffer == b"x" * 4096
    assert (tmp_path / "nvram").read_bytes() == b"y" * 512 + b"a" * 3584
    assert unlocked(image)


def test_nothing_stays_open_when_one_cannot_be(image: ImageInfo, tmp_path: Path) -> None:
    taken = tmp_path / "taken.qcow2"
    taken.write_bytes(image.path.read_bytes())
    with ImageRewriting([], {"vda": inspect(taken, "qcow2")}, {}):
        with pytest.raises(HyperSDKError):
            ImageRewriting([], {"vda": image, "vdb": inspect(taken, "qcow2")}, {})
        assert unlocked(image)
