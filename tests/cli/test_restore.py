from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from hypersdk import MockHypervisor
from tests.cli.conftest import Runner
from tests.components import require


@pytest.fixture
def backed_up(command: Runner, place: Path, image: Path) -> Path:
    command("backup", "--repo", place, "--image", image, "--name", "web")
    return place


def test_byte_for_byte(command: Runner, backed_up: Path, image: Path, tmp_path: Path) -> None:
    target = tmp_path / "restored.img"
    result = command("restore", "--repo", backed_up, "web", "--to", target)
    assert target.read_bytes() == image.read_bytes()
    head, row = result.out.splitlines()
    assert head.split() == ["DISK", "SIZE", "WRITTEN", "SECONDS", "MiB/s", "PATH"]
    assert row.split()[:5] == ["disk0", "16.0", "MiB", "3.0", "MiB"]
    assert row.endswith(str(target))
    assert "web/disk0: done of 16.0 MiB" in result.err


def test_nothing_is_replaced_unasked(command: Runner, backed_up: Path, tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("precious")
    command("restore", "--repo", backed_up, "web@latest", "--to", target, expect=1)
    assert target.read_text() == "precious"
    command("restore", "--repo", backed_up, "web@latest", "--to", target, "--overwrite")
    assert target.stat().st_size == 16 << 20


def test_another_format(command: Runner, backed_up: Path, image: Path, tmp_path: Path) -> None:
    require("qemu-img", "qemu-nbd")
    target = tmp_path / "restored.qcow2"
    command("restore", "--repo", backed_up, "web", "--to", target, "--format", "qcow2")
    subprocess.run(["qemu-img", "compare", "-q", "-F", "qcow2", image, target], check=True)


def test_several_disks_go_into_a_folder(
    command: Runner, place: Path, lab: MockHypervisor, tmp_path: Path
) -> None:
    command("backup", "--repo", place, "-H", lab.url, "db")
    result = command("restore", "--repo", place, "db", "--to", tmp_path / "out", "--json").json
    assert [Path(disk["path"]).name for disk in result["disks"]] == ["vda.img", "vdb.img"]
    for disk in lab.inventory.instance("db").disks:
        assert (tmp_path / "out" / f"{disk.name}.img").read_bytes() == Path(disk.path).read_bytes()
    one = tmp_path / "one.img"
    command("restore", "--repo", place, "db", "--disk", "vdb", "--to", one)
    assert one.read_bytes() == (tmp_path / "out" / "vdb.img").read_bytes()


def test_unknown_points_name_what_there_is(command: Runner, backed_up: Path) -> None:
    result = command("restore", "--repo", backed_up, "wep", "--to", "x", expect=1)
    assert "no restore point 'wep'" in result.err
    assert "Did you mean web?" in result.err
    result = command("restore", "--repo", backed_up, "web@2001-01-01", "--to", "x", expect=1)
    assert "web has no restore point at or before 2001-01-01" in result.err
