from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.cli.vmsnap.conftest import Domain, Domains, Snap


@pytest.fixture
def web(snap: Snap, domains: Domains) -> Domain:
    made = domains("web")
    snap.backup("web")
    return made


def test_files_for_each_disk(snap: Snap, web: Domain, tmp_path: Path) -> None:
    to = tmp_path / "a" / "b"
    document = snap("--restore", "web", "--output", snap.output, "--to", to, "--json").json
    (disk,) = document["disks"]
    assert disk["path"] == str(to / "vda.qcow2")
    web.native.destroy()
    subprocess.run(["qemu-img", "compare", web.image, to / "vda.qcow2"], check=True)
    out = snap("--restore", "web", "--output", snap.output, "--to", to, "--overwrite").out
    assert out.splitlines()[1] == f"  vda: {to}/vda.qcow2, 64.0 MiB"


def test_nothing_is_replaced_unasked(snap: Snap, web: Domain, tmp_path: Path) -> None:
    (tmp_path / "vda.qcow2").write_text("mine")
    words = ("--restore", "web", "--output", snap.output, "--to", tmp_path)
    assert "already exists" in snap(*words, expect=3).err
    assert (tmp_path / "vda.qcow2").read_text() == "mine"
    snap(*words, "--format", "raw")
    assert (tmp_path / "vda.img").stat().st_size == 64 << 20


def test_an_earlier_point(snap: Snap, web: Domain, tmp_path: Path) -> None:
    first = snap("--restore", "web", "--output", snap.output, "--to", tmp_path, "--json").json
    web.write("write -P 0x42 0 1M")
    snap.backup("web")
    reference = first["point"]["id"]
    again = snap("--restore", reference, "--output", snap.output, "--to", tmp_path / "2", "--json")
    assert again.json["point"]["id"] == reference
    subprocess.run(
        ["qemu-img", "compare", tmp_path / "vda.qcow2", tmp_path / "2" / "vda.qcow2"], check=True
    )


def test_what_is_not_there(snap: Snap, web: Domain, tmp_path: Path) -> None:
    to = ("--to", tmp_path / "to")
    assert "wep" in snap("--restore", "wep", "--output", snap.output, *to, expect=3).err
    assert "--output" in snap("--restore", "web", *to, expect=2).err
    assert "--to" in snap("--restore", "web", "--output", snap.output, expect=3).err
    snap("--restore", "web", "--output", tmp_path / "none", *to, expect=2)
    (tmp_path / "file").write_text("")
    snap("--restore", "web", "--output", snap.output, "--to", tmp_path / "file", expect=2)


def test_as_a_domain(snap: Snap, web: Domain, tmp_path: Path) -> None:
    words = ("--restore", "web", "--output", snap.output, "--to", web.image.parent / "new")
    assert "'web' exists" in snap(*words, "--define", expect=3).err
    assert "--start goes with --define" in snap(*words, "--start", expect=3).err
    document = snap(*words, "--as", "web two", "--start", "--json").json
    made = web.native.connect().lookupByName("web two")
    assert made.isActive()
    assert made.UUIDString() == document["instance_id"]
    made.destroy()
    (disk,) = document["disks"]
    web.native.destroy()
    subprocess.run(["qemu-img", "compare", web.image, disk["path"]], check=True)
