from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from hypersdk.model.errors import AlreadyExists, ImageRefused, Interrupted, InvalidInput, NotAllowed
from tests.app.kinds.killed import again, kill, resume
from tests.app.kinds.lab import MIB, Lab
from tests.app.kinds.running import FakeRun, cancelling, job_of
from tests.flows.examples import as_raw, disk_content, leftovers, write_image


@pytest.fixture
def images(lab: Lab) -> dict[str, Any]:
    folder = lab.root / "images"
    folder.mkdir()
    write_image(folder / "disk.img", disk_content())
    return {"source": str(folder / "disk.img"), "target": str(folder / "disk.qcow2")}


def test_to_another_format(lab: Lab, images: dict[str, Any]) -> None:
    done = lab.run("convert", **images, packing="zstd", source_format="raw")
    assert done["format"] == "qcow2"
    assert done["size"] == 4 * MIB
    assert as_raw(Path(images["target"]), "qcow2", 4 * MIB) == disk_content()
    assert leftovers(lab.root / "images") == ["disk.img", "disk.qcow2"]
    with pytest.raises(AlreadyExists):
        lab.run("convert", **images)
    back = {"source": images["target"], "target": str(lab.root / "images/back.vhd")}
    assert lab.run("convert", **back, target_format="vhd")["format"] == "vhd"


@pytest.mark.parametrize("moment", ["lost convert", "after convert"])
def test_killed_it_is_converted_once(lab: Lab, images: dict[str, Any], moment: str) -> None:
    kill(lab.root, "convert", moment, images)
    before = os.stat(images["target"]).st_ino
    run = resume(lab, "convert", images)
    assert os.stat(images["target"]).st_ino == before
    assert run.result["size"] == 4 * MIB
    assert leftovers(lab.root / "images") == ["disk.img", "disk.qcow2"]


def test_killed_while_it_copied(lab: Lab, images: dict[str, Any]) -> None:
    kill(lab.root, "convert", str(MIB), images)
    assert not Path(images["target"]).exists()
    resume(lab, "convert", images)
    assert as_raw(Path(images["target"]), "qcow2", 4 * MIB) == disk_content()


def test_cancelled_nothing_is_left(lab: Lab, images: dict[str, Any]) -> None:
    runs: list[FakeRun] = []
    run = FakeRun(
        job_of("convert", images), reporter=cancelling(lambda: runs[0], 1), share=lambda: MIB
    )
    runs.append(run)
    with pytest.raises(Interrupted):
        lab.kinds()["convert"].work(images, run)
    assert leftovers(lab.root / "images") == ["disk.img"]
    again(lab, "convert", images)
    assert Path(images["target"]).exists()


def test_refused(lab: Lab, images: dict[str, Any]) -> None:
    kinds = lab.kinds(lab.root / "images")
    with pytest.raises(InvalidInput, match="vmdk images are not packed"):
        kinds["convert"].plan({**images, "target_format": "vmdk", "packing": "zlib"})
    with pytest.raises(NotAllowed, match=r"request.target: .* outside"):
        kinds["convert"].plan({**images, "target": "/etc/passwd"})
    (lab.root / "images/way-out").symlink_to("/etc")
    with pytest.raises(NotAllowed, match="which leads to /etc/x"):
        kinds["convert"].plan({**images, "target": str(lab.root / "images/way-out/x")})
    Path(images["source"]).write_bytes(b"QFI\xfb" + bytes(100))
    with pytest.raises(ImageRefused):
        lab.run("convert", **images)
    assert leftovers(lab.root / "images") == ["disk.img", "way-out"]
