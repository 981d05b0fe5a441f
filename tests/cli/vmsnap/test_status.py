from __future__ import annotations

import json
import subprocess

import yaml

from tests.cli.vmsnap.conftest import Domains, Snap

RULE = "-" * 80


def test_text(snap: Snap, domains: Domains) -> None:
    domains("alpine-status")
    snap.backup("alpine-status")
    size = snap("--json", "--machine").json["alpine-status"]["disks"][0]["actualSize"]
    assert snap("--domains=alpine-status", "--status").out.splitlines() == [
        "Status of alpine-status:",
        "  Overall status: OK",
        "  Checkpoints found for alpine-status:",
        "    virtnbdbackup.0",
        "  Disk vda:",
        "    Virtual size: 67108864",
        f"    Actual size: {size}",
        "    Bitmaps: virtnbdbackup.0",
    ]


def test_it_is_what_is_done_when_nothing_is_said(snap: Snap, domains: Domains) -> None:
    domains("web")
    assert "  No checkpoints found for web\n" in snap().out
    assert "Overall status: OK" in snap().out


def test_json(snap: Snap, domains: Domains) -> None:
    domains("web")
    domains("db", running=False)
    snap.backup("*")
    result = snap("--json", "--machine", "--output", snap.output)
    assert result.out.count("\n") == 1
    assert ": " not in result.out
    assert list(result.json) == ["db", "web"]
    web = result.json["web"]
    assert list(web) == ["checkpoints", "disks", "overallStatus", "backupDirStats"]
    assert web["checkpoints"] == ["virtnbdbackup.0"]
    (disk,) = web["disks"]
    assert list(disk) == ["disk", "virtualSize", "actualSize", "bitmaps"]
    assert (disk["disk"], disk["virtualSize"]) == ("vda", 64 << 20)
    assert disk["bitmaps"] == ["virtnbdbackup.0"]
    assert web["overallStatus"] == 0
    stats = web["backupDirStats"]
    assert list(stats) == ["path", "totalFiles", "checkpoints", "totalSize"]
    assert stats["path"] == str(snap.output / "web")
    assert (stats["totalFiles"], stats["checkpoints"]) == (1, 1)
    assert stats["totalSize"] > 0


def test_frames(snap: Snap, domains: Domains) -> None:
    domains("web")
    plain = snap("--json", "--machine").json
    head, first, *body, last = snap("--json").out.splitlines()
    assert (head, first, last) == ("JSON:", RULE, RULE)
    assert body[1].startswith('  "web"')
    assert json.loads("\n".join(body)) == plain
    for flag in ("--yaml", "--yml"):
        head, first, *body, last = snap(flag).out.splitlines()
        assert (head, first, last) == ("YAML:", RULE, RULE)
        assert yaml.safe_load("\n".join(body)) == plain
    head, *_ = snap("--yaml", "--json").out.splitlines()
    assert head == "YAML:"
    result = snap("--yaml", "--machine")
    assert result.out.count("\n") == 1
    assert yaml.safe_load(result.out) == plain


def test_pretty(snap: Snap, domains: Domains) -> None:
    domains("web")
    assert "Virtual size: 67.1 MB" in snap("--pretty").out
    (disk,) = snap("--pretty", "--json", "--machine").json["web"]["disks"]
    assert disk["virtualSize"] == "67.1 MB"


def test_before_the_first_backup(snap: Snap, domains: Domains) -> None:
    domains("web")
    stats = snap("--json", "--machine", "--output", snap.output).json["web"]["backupDirStats"]
    assert stats == {
        "path": str(snap.output / "web"),
        "totalFiles": 0,
        "checkpoints": 0,
        "totalSize": 0,
    }
    assert not snap.output.exists()


def test_inconsistent(snap: Snap, domains: Domains) -> None:
    web = domains("web", running=False)
    domains("db")
    web.native.createWithFlags(1)  # paused
    snap.backup("web")
    snap("--strict")
    # What the old vmsnap did on every new period: one without the other.
    snap("--scrub", "--domains", "web", "--scrubType", "checkpoint")
    web.native.destroy()
    result = snap("--domains", "web")
    assert "Overall status: INCONSISTENT" in result.out
    assert "vda: bitmap virtnbdbackup.0 belongs to no checkpoint" in result.out
    result = snap("--json", "--machine", "--strict", expect=5)
    assert (result.json["web"]["overallStatus"], result.json["db"]["overallStatus"]) == (1, 0)
    assert "vmsnap: the status failed for 1 of 2 domains" in result.err
    assert "belongs to no checkpoint" in result.err
    snap("--domains", "web", "--strict", expect=5)


def test_names_are_compared_not_counted(snap: Snap, domains: Domains) -> None:
    web = domains("web", running=False)
    subprocess.run(["qemu-img", "bitmap", "--add", str(web.image), "stranger"], check=True)
    assert "bitmap stranger belongs to no checkpoint" in snap().out


def test_a_backup_whose_checkpoint_is_gone(snap: Snap, domains: Domains) -> None:
    domains("web")
    snap.backup("web")
    snap("--scrub", "--domains", "web", "--scrubType", "*")
    assert snap("--json", "--machine").json["web"]["overallStatus"] == 0
    result = snap("--output", snap.output)
    assert "INCONSISTENT" in result.out
    assert "the next backup reads the disk in full" in result.out


def test_an_unknown_domain(snap: Snap, domains: Domains) -> None:
    domains("web")
    result = snap("--domains=non-existent-vm", "--status", expect=1)
    assert "non-existent-vm" in result.err
    assert result.out == ""
    result = snap("--domains", "web,nowhere,web", expect=1)
    assert result.out.count("Status of web") == 1
    assert "nowhere" in result.err


def test_a_disk_that_is_not_there_does_not_hide_the_others(snap: Snap, domains: Domains) -> None:
    domains("a", running=False).image.unlink()
    domains("b")
    result = snap("--json", "--machine")
    assert {name: each["overallStatus"] for name, each in result.json.items()} == {"a": 1, "b": 0}
    assert "a.img" in result.err
