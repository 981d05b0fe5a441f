from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from hypersdk import open_repository
from tests.cli.conftest import Result
from tests.cli.vmsnap.conftest import Domains, Snap
from tests.kvm.fixtures import Lab


def by_domain(result: Result) -> dict[str, Any]:
    return {each["domain"]: each for each in result.json["domains"]}


def stored(entry: Any) -> int:
    return sum(disk["statistics"]["stored"] for disk in entry["point"]["disks"])


def same(image: Path, restored: Path) -> bool:
    """Whether both hold the same for a guest; the image may be in use."""
    compared = subprocess.run(
        ["qemu-img", "compare", "-U", "-f", "qcow2", "-F", "qcow2", image, restored], check=False
    )
    return compared.returncode == 0


def test_a_single_domain(snap: Snap, domains: Domains) -> None:
    web = domains("web")
    (entry,) = snap.backup("web").json["domains"]
    assert entry["point"]["consistency"] == "crash"
    assert [disk["name"] for disk in entry["point"]["disks"]] == ["vda"]
    assert web.checkpoints == ["virtnbdbackup.0"]
    assert len(list((snap.output / "web").iterdir())) == 1


def test_all_domains_by_a_wildcard(snap: Snap, domains: Domains) -> None:
    made = [domains("multi-1"), domains("multi-2", running=False)]
    assert set(by_domain(snap.backup("*"))) == {"multi-1", "multi-2"}
    for domain in ("multi-1", "multi-2"):
        assert (snap.output / domain).is_dir()
    assert made[0].checkpoints == ["virtnbdbackup.0"]


def test_the_second_stores_only_what_changed(snap: Snap, domains: Domains) -> None:
    web = domains("web")
    # Of different bytes, since a repository stores equal chunks once.
    web.write(*(f"write -P {0x42 + at} {at}M 1M" for at in range(1, 21)))
    first = by_domain(snap.backup("web"))["web"]
    web.write("write -P 0x77 30M 64k", "write -z 5M 1M", "discard 9M 1M")
    second = by_domain(snap.backup("web"))["web"]
    (disk,) = second["point"]["disks"]
    assert disk["incremental"]
    assert disk["statistics"]["read"] <= first["point"]["disks"][0]["statistics"]["read"] // 5
    assert stored(second) < stored(first) / 2
    assert second["cleared"] == []
    assert web.checkpoints == ["virtnbdbackup.0", "virtnbdbackup.1"]


def test_what_was_backed_up_comes_back(snap: Snap, domains: Domains, tmp_path: Path) -> None:
    web = domains("web")
    web.write("write -P 0x42 10M 4M", "flush")
    snap.backup("web")
    web.write("write -P 0x43 11M 1M", "write -z 12M 1M", "discard 13M 1M", "flush")
    snap.backup("web")
    web.native.destroy()
    snap("--restore", "web", "--output", snap.output, "--to", tmp_path / "back")
    assert same(web.image, tmp_path / "back" / "vda.qcow2")


def test_names_with_spaces(snap: Snap, domains: Domains) -> None:
    name = "my web & 'db' <1>"
    domain = domains(name)
    snap.backup(name)
    snap.backup(f" {name} ")
    assert domain.checkpoints == ["virtnbdbackup.0", "virtnbdbackup.1"]
    status = snap("--domains", name, "--output", snap.output, "--json", "--machine").json
    stats = status[name]["backupDirStats"]
    assert Path(stats["path"]).is_dir()
    assert (stats["totalFiles"], stats["checkpoints"]) == (2, 2)


def test_one_that_fails_does_not_stop_the_others(snap: Snap, domains: Domains) -> None:
    domains("a", running=False).image.write_bytes(b"no image at all")
    domains("b")
    result = snap.backup("a,b,nowhere", "--parallel", 1, expect=3)
    found = by_domain(result)
    assert found["a"]["point"] is None
    assert found["a"]["error"]["exit_code"] == 3
    assert found["b"]["error"] is None
    assert found["nowhere"]["error"]["exit_code"] == 1
    assert "the backup failed for 2 of 3 domains" in result.err
    assert "\n  a: " in result.err
    assert "no domain 'nowhere'" in result.err


def test_a_failed_backup_keeps_no_checkpoint(snap: Snap, domains: Domains) -> None:
    web = domains("web", running=False)
    web.image.rename(web.image.with_suffix(".away"))
    assert "web.img" in snap.backup("web", expect=3).err
    web.image.with_suffix(".away").rename(web.image)
    snap.backup("web")


def test_several_at_once(snap: Snap, domains: Domains) -> None:
    names = [f"vm{number}" for number in range(5)]
    for name in names:
        domains(name)
    result = snap.backup("vm*", "--parallel", 5)
    assert [entry["domain"] for entry in result.json["domains"]] == names
    assert all(entry["point"] for entry in result.json["domains"])


def test_an_unknown_domain(snap: Snap, domains: Domains) -> None:
    domains("web")
    result = snap.backup("wep", expect=1)
    assert "no domain 'wep'" in result.err
    assert "Did you mean 'web'?" in result.err
    assert not snap.output.exists()
    assert "matches 'x*'" in snap.backup("x*", expect=1).err
    assert "no domains x, y" in snap.backup("x,y", expect=1).err


def test_no_domain_and_no_output(snap: Snap) -> None:
    assert "--domains" in snap("--backup", "--output", snap.output, expect=1).err
    assert "--domains" in snap("--backup", "--domains", " , ", "--output", "x", expect=1).err
    assert "--output" in snap("--backup", "--domains", "web", expect=2).err


def test_an_output_that_cannot_be_one(snap: Snap, domains: Domains, tmp_path: Path) -> None:
    domains("web")
    snap.output.write_text("a file")
    snap.backup("web", expect=2)
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "photos").mkdir()
    result = snap("--backup", "--domains", "web", "--output", foreign, expect=2)
    assert "Choose an empty folder" in result.err
    assert not (foreign / "web").exists()


def test_raw_disks_are_left_out_unless_asked_for(snap: Snap, domains: Domains, lab: Lab) -> None:
    domains("raw", raw=True)
    assert "--raw" in snap.backup("raw", expect=3).err
    (entry,) = snap.backup("raw", "--raw").json["domains"]
    (disk,) = entry["point"]["disks"]
    assert not disk["incremental"]
    (again,) = snap.backup("raw", "--raw").json["domains"]
    assert stored(again) == 0


def test_checkpoints_of_another_output_do_not_stop_the_first_backup(
    snap: Snap, domains: Domains, tmp_path: Path
) -> None:
    web = domains("web")
    snap.backup("web")
    snap.backup("web")
    other = Snap(snap.uri, tmp_path / "other", snap.environment)
    (entry,) = other.backup("web").json["domains"]
    assert entry["cleared"] == ["virtnbdbackup.0", "virtnbdbackup.1"]
    assert web.checkpoints == ["virtnbdbackup.0"]
    # The first output's next backup cannot build on what is gone, and says so.
    (entry,) = snap.backup("web").json["domains"]
    assert not entry["point"]["disks"][0]["incremental"]
    assert "checkpoint" in entry["point"]["disks"][0]["reason"]


def test_retention(snap: Snap, domains: Domains) -> None:
    domains("web")
    for _ in range(3):
        last = snap.backup("web", "--keep-last", 2)
    (entry,) = last.json["domains"]
    assert len(entry["removed"]) == 1
    with open_repository(snap.output) as repository:
        assert len(repository.points("web")) == 2


def test_verifying_in_the_same_run(snap: Snap, domains: Domains) -> None:
    domains("web")
    (entry,) = snap.backup("web", "--verify").json["domains"]
    assert entry["verified"]


def test_a_socket_of_ones_own(snap: Snap, domains: Domains, lab: Lab) -> None:
    domains("web")
    domains("db")
    snap.backup("web,db", "--socketfile", lab.folder / "backup.sock")


def test_the_text_for_a_person(snap: Snap, domains: Domains) -> None:
    domains("web")
    where = ("--backup", "--domains", "web", "--output", snap.output)
    result = snap(*where)
    head, row, summary, reason = result.out.splitlines()
    assert head.split()[:3] == ["INSTANCE", "DISK", "KIND"]
    assert row.split()[:3] == ["web", "vda", "full"]
    assert summary.startswith("web: restore point ")
    assert "crash-consistent" in summary
    assert reason.startswith("  vda was read in full: ")
    assert "not encrypted" in result.err
    assert len(snap(*where, "--quiet").out.splitlines()) == 3
    assert snap(*where, "--quiet").err == ""


def test_encryption(snap: Snap, domains: Domains, tmp_path: Path) -> None:
    domains("web")
    secret = tmp_path / "passphrase"
    secret.write_text("correct horse")
    secret.chmod(0o600)
    named = ("--passphrase", f"file:{secret}")
    assert "Add --encrypt" in snap.backup("web", *named, expect=3).err
    snap.backup("web", "--encrypt", *named)
    assert "no key was given" in snap.backup("web", "--encrypt", expect=3).err
    snap.backup("web", *named)
    with open_repository(snap.output) as repository:
        assert repository.encrypted
        assert len(repository.entries("web")) == 2
    # A status without a key counts what can be seen without one.
    status = snap("--output", snap.output, "--json", "--machine").json
    assert status["web"]["backupDirStats"]["totalFiles"] == 2
    snap("--verify", "--output", snap.output, *named)


def test_what_is_not_encrypted_does_not_become_it(snap: Snap, domains: Domains) -> None:
    domains("web")
    snap.backup("web")
    environment = {**snap.environment, "HYPERSDK_PASSPHRASE": "correct horse"}
    encrypting = Snap(snap.uri, snap.output, environment)
    assert "is not encrypted" in encrypting.backup("web", "--encrypt", expect=2).err


@pytest.mark.parametrize("words", [("--prune=maybe",), ("--parallel", "0"), ("--wait", "-1")])
def test_values_without_sense(snap: Snap, words: tuple[str, ...]) -> None:
    snap.backup("web", *words, expect=3)
