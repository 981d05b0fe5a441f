from __future__ import annotations

import time
from pathlib import Path

import pytest

from hypersdk.datapath.cancel import CancelToken
from hypersdk.flows.convert import ConvertOptions, convert_image, find_converted
from hypersdk.model.errors import AlreadyExists, ImageRefused, Interrupted, InvalidInput
from tests.flows.examples import MIB, as_raw, disk_content, leftovers, write_image

SIZE = 4 * MIB


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_image(tmp_path / "disk.img", disk_content())


@pytest.mark.parametrize("format", ["raw", "qcow2", "vmdk", "vhdx", "vdi", "vhd"])
def test_each_format(source: Path, tmp_path: Path, format: str) -> None:
    target = tmp_path / f"out.{format}"
    done = convert_image(source, target, options=ConvertOptions(format=format))
    driver = "vpc" if format == "vhd" else format
    assert as_raw(target, driver, SIZE) == disk_content()
    assert (done.path, done.format, done.size) == (target, format, SIZE)
    assert 2 * MIB <= done.written <= SIZE
    found = find_converted(target, format)
    assert (found.size, found.stored) == (SIZE, done.stored)


def test_packed(source: Path, tmp_path: Path) -> None:
    plain = convert_image(source, tmp_path / "plain.qcow2")
    packed = convert_image(
        source, tmp_path / "packed.qcow2", options=ConvertOptions(packing="zstd")
    )
    assert packed.stored < plain.stored
    assert as_raw(tmp_path / "packed.qcow2", "qcow2", SIZE) == disk_content()


def test_what_is_there_stays(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.qcow2"
    target.write_text("mine")
    with pytest.raises(AlreadyExists):
        convert_image(source, target)
    assert target.read_text() == "mine"
    convert_image(source, target, options=ConvertOptions(overwrite=True))
    assert as_raw(target, "qcow2", SIZE) == disk_content()
    with pytest.raises(InvalidInput, match="to itself"):
        convert_image(target, target, options=ConvertOptions(overwrite=True))


def test_cancelled_nothing_is_left(source: Path, tmp_path: Path) -> None:
    token = CancelToken()
    options = ConvertOptions(throttle=lambda: MIB)
    stopped: list[float] = []

    def report(_: object) -> None:
        stopped.append(time.monotonic())
        token.cancel()

    with pytest.raises(Interrupted):
        convert_image(
            source, tmp_path / "out.qcow2", options=options, reporter=report, cancel=token
        )
    assert time.monotonic() - stopped[0] < 2
    assert leftovers(tmp_path) == ["disk.img"]


def test_a_source_that_leads_elsewhere(tmp_path: Path) -> None:
    base = write_image(tmp_path / "base.img", bytes(MIB))
    from tests.datapath.servers import run  # noqa: PLC0415

    overlay = tmp_path / "overlay.qcow2"
    run("qemu-img", "create", "-f", "qcow2", "-b", base, "-F", "raw", overlay)
    with pytest.raises(ImageRefused):
        convert_image(overlay, tmp_path / "out.raw", options=ConvertOptions(format="raw"))
    allowed = ConvertOptions(format="raw", allow_backing=[base])
    assert convert_image(overlay, tmp_path / "out.raw", options=allowed).size == MIB
