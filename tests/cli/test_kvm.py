"""The commands on a real libvirtd: what a person types, and what is then there."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import libvirt
import pytest

from hypersdk import init_repository
from tests.cli.conftest import Runner
from tests.kvm.domains import DiskSpec, domain_xml, qemu_io
from tests.kvm.fixtures import Lab, lab, libvirtd  # noqa: F401


@pytest.fixture
def place(tmp_path: Path) -> Path:
    place = tmp_path / "repository"
    init_repository(place, cache=tmp_path / "cache").close()
    return place


@pytest.fixture
def domain(lab: Lab) -> libvirt.virDomain:  # noqa: F811 - the fixture
    """Paused, without a system, with a disk that keeps records and one that does not."""
    disks = [
        DiskSpec(lab.image("web.qcow2")),
        DiskSpec(lab.image("web.img", format="raw"), target="vdb", format="raw"),
    ]
    made = lab.connection.defineXML(domain_xml("web", disks))
    made.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
    qemu_io(made, "vda", "write -P 0x41 0 4M", "flush")
    return made


def identical(image: Path, other: Path) -> None:
    subprocess.run(["qemu-img", "compare", "-q", "-U", str(image), str(other)], check=True)


def test_a_backup_says_what_it_reached_and_why_it_read_all(
    command: Runner,
    place: Path,
    lab: Lab,  # noqa: F811
    domain: libvirt.virDomain,
) -> None:
    first = command("backup", "--repo", place, "-H", lab.url, "web")
    assert "crash-consistent, as after a power cut" in first.out
    assert "web/vda: read in full: there is no earlier checkpoint of this disk" in first.out
    assert "web/vdb: read in full: raw images keep no record of changes" in first.out
    second = command("backup", "--repo", place, "-H", lab.url, "web", "--exclude-disk", "vdb")
    assert re.search(r"web +vda +incremental", second.out)
    assert "vdb" not in second.out
    result = command(
        "backup", "--repo", place, "-H", lab.url, "web", "--exclude-disk", "vdz", expect=1
    )
    assert "'web' has no disk vdz to exclude" in result.err


def test_restored_as_an_instance(
    command: Runner,
    place: Path,
    lab: Lab,  # noqa: F811
    domain: libvirt.virDomain,
) -> None:
    command("backup", "--repo", place, "-H", lab.url, "web")
    target = ("restore", "--repo", place, "web", "--to-hypervisor", lab.url)
    refused = command(*target, expect=1)
    assert "'web' exists" in refused.err
    assert "--as" in refused.err
    document = command(*target, "--as", "we b2", "--start", "--json").json
    assert document["started"] is True
    made = lab.connection.lookupByName("we b2")
    assert made.isActive()
    assert made.UUIDString() == document["instance_id"] != domain.UUIDString()
    made.destroy()
    for disk, name in zip(document["disks"], ("web.qcow2", "web.img"), strict=True):
        identical(lab.folder / name, Path(disk["path"]))


def test_put_back_in_place(
    command: Runner,
    place: Path,
    lab: Lab,  # noqa: F811
    domain: libvirt.virDomain,
) -> None:
    command("backup", "--repo", place, "-H", lab.url, "web")
    before = lab.folder / "before.qcow2"
    subprocess.run(["cp", lab.folder / "web.qcow2", before], check=True)
    qemu_io(domain, "vda", "write -P 0x55 1M 128k", "flush")
    target = ("restore", "--repo", place, "web", "--to-hypervisor", lab.url, "--in-place")
    assert "runs, its disks cannot be written" in command(*target, expect=1).err
    domain.destroy()
    result = command(*target, "--json").json
    assert [disk["written"] for disk in result["disks"]] == [128 << 10, 0]
    identical(before, lab.folder / "web.qcow2")


def test_booted_in_isolation(
    command: Runner,
    place: Path,
    lab: Lab,  # noqa: F811
    tmp_path: Path,
) -> None:
    lab.connection.defineXML(
        domain_xml("boots", [DiskSpec(lab.image("boots.qcow2"))], system=lab.system)
    )
    command("backup", "--repo", place, "-H", lab.url, "boots")
    screen = tmp_path / "screen.png"
    result = command(
        *("restore", "--repo", place, "boots", "--to-hypervisor", lab.url, "--dir", lab.folder),
        *("--test-boot", "--wait-for", "serial:LAB READY", "--timeout", "60s"),
        *("--screenshot", screen),
    )
    assert re.search(r"RTO \d+\.\d s: restored in \d+\.\d s, booted in \d+\.\d s", result.out)
    assert "was removed" in result.out
    assert screen.read_bytes().startswith(b"\x89PNG")
    assert [each.name() for each in lab.connection.listAllDomains()] == ["boots"]
    assert [path.name for path in lab.folder.iterdir()] == ["boots.qcow2"]
    late = command(
        *("restore", "--repo", place, "boots", "--to-hypervisor", lab.url, "--dir", lab.folder),
        *("--test-boot", "--wait-for", "serial:never", "--timeout", "4s"),
        expect=1,
    )
    assert "gave no sign (serial) within 4 s" in late.err
    assert [path.name for path in lab.folder.iterdir()] == ["boots.qcow2"]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ([], "say where to restore to"),
        (["--to", "x", "--to-hypervisor", "mock:///x"], "say where to restore to, once"),
        (["--to", "x", "--start"], "--start does nothing here"),
        (["--to-hypervisor", "mock:///x", "--format", "raw"], "--format does nothing here"),
        (["--to-hypervisor", "mock:///x", "--in-place", "--pool", "p"], "--pool does nothing here"),
        (["--to-hypervisor", "mock:///x", "--timeout", "1m"], "--timeout does nothing here"),
        (["--to-hypervisor", "mock:///x", "--in-place", "--test-boot"], "exclude each other"),
        (["--to-hypervisor", "mock:///x", "--map-network", "lan"], "names no pair"),
        (
            ["--to-hypervisor", "mock:///x", "--test-boot", "--wait-for", "luck"],
            "no sign of a booted",
        ),
    ],
)
def test_options_that_contradict_each_other(
    command: Runner, place: Path, options: list[str], complaint: str
) -> None:
    assert complaint in command("restore", "--repo", place, "web", *options, expect=2).err


def test_what_a_killed_backup_left_is_reaped(
    command: Runner,
    place: Path,
    lab: Lab,  # noqa: F811
    domain: libvirt.virDomain,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scratch = lab.folder / "scratch"
    scratch.mkdir()
    scratch.chmod(0o755)
    monkeypatch.setenv("HYPERSDK_SCRATCH_DIR", str(scratch))
    words = ["backup", "--repo", str(place), "-H", lab.url, "web", "--throttle", "256KiB/s"]
    with subprocess.Popen(
        [Path(sys.executable).with_name("hypersdk"), *words], stderr=subprocess.DEVNULL
    ) as backup:
        (run,) = wait_for(lambda: list(scratch.glob("*/qemu/nbd")))
        # Its watcher first, or there would be nothing left to do.
        kill_all_that_name(run.parents[1])
        backup.send_signal(signal.SIGKILL)
    said = command("doctor", "--reap", "-H", lab.url, "--dry-run").out
    assert "web: ended its backup job" in said
    assert run.exists()
    assert "web: ended its backup job" in command("doctor", "--reap", "-H", lab.url).out
    assert list(scratch.iterdir()) == []
    assert domain.listAllCheckpoints() == []
    assert "Nothing was left behind." in command("doctor", "--reap", "-H", lab.url).out
    command("backup", "--repo", place, "-H", lab.url, "web")


def kill_all_that_name(folder: Path) -> None:
    """SIGKILL for processes with the folder among their arguments."""
    found = [
        int(process.name)
        for process in Path("/proc").iterdir()
        if process.name.isdigit() and _names(process, folder)
    ]
    assert found
    for number in found:
        os.kill(number, signal.SIGKILL)


def _names(process: Path, folder: Path) -> bool:
    try:
        return os.fsencode(folder) in (process / "cmdline").read_bytes().split(b"\0")
    except OSError:  # it has ended
        return False


def wait_for(look: object, seconds: float = 20) -> list[Path]:
    assert callable(look)
    ends = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < ends
        time.sleep(0.05)
    return list(found)
