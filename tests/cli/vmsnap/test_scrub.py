from __future__ import annotations

import subprocess

import libvirt
import pytest

from tests.cli.vmsnap.conftest import Domain, Domains, Snap


@pytest.fixture
def web(snap: Snap, domains: Domains) -> Domain:
    """With three checkpoints."""
    made = domains("web")
    for _ in range(3):
        snap.backup("web")
    assert made.checkpoints == [f"virtnbdbackup.{number}" for number in range(3)]
    return made


def scrub(snap: Snap, what: str, *more: str, expect: int = 0) -> list[tuple[list[str], list[str]]]:
    result = snap(
        "--scrub", "--domains", "web", "--scrubType", what, "--json", *more, expect=expect
    )
    return [(each["checkpoints"], each["bitmaps"]) for each in result.json["domains"]]


def bitmaps(snap: Snap) -> list[str]:
    (disk,) = snap("--json", "--machine", "--domains", "web").json["web"]["disks"]
    return list(disk["bitmaps"])


def test_one_by_name(snap: Snap, web: Domain) -> None:
    assert scrub(snap, "both", "--checkpointName", "virtnbdbackup.1") == [(["virtnbdbackup.1"], [])]
    assert web.checkpoints == ["virtnbdbackup.0", "virtnbdbackup.2"]
    assert sorted(bitmaps(snap)) == ["virtnbdbackup.0", "virtnbdbackup.2"]
    snap("--strict")
    # The next backup still finds its own.
    (entry,) = snap.backup("web").json["domains"]
    assert entry["point"]["disks"][0]["incremental"]


def test_all_of_a_running_domain(snap: Snap, web: Domain) -> None:
    ((removed, _),) = scrub(snap, "*", "--checkpointName", "is ignored")
    assert removed == [f"virtnbdbackup.{number}" for number in range(3)]
    assert web.checkpoints == []
    web.native.destroy()
    assert bitmaps(snap) == []


def test_all_of_a_domain_that_is_off(snap: Snap, web: Domain) -> None:
    web.native.destroy()
    ((removed, _),) = scrub(snap, "both")
    assert len(removed) == 3
    assert web.checkpoints == []
    assert bitmaps(snap) == []
    assert scrub(snap, "both") == [([], [])]


def test_checkpoints_only_then_bitmaps_only(snap: Snap, web: Domain) -> None:
    ((removed, _),) = scrub(snap, "checkpoint")
    assert len(removed) == 3
    assert web.checkpoints == []
    web.native.destroy()
    assert len(bitmaps(snap)) == 3
    ((checkpoints, removed),) = scrub(snap, "bitmap")
    assert (checkpoints, len(removed)) == ([], 3)
    assert bitmaps(snap) == []


def test_bitmaps_that_checkpoints_need_stay(snap: Snap, web: Domain) -> None:
    result = snap("--scrub", "--domains", "web", "--scrubType", "bitmap", expect=5)
    assert "still needs its bitmap" in result.err
    assert len(web.checkpoints) == 3


def test_those_of_other_programs_stay(snap: Snap, domains: Domains) -> None:
    web = domains("web", running=False)
    subprocess.run(["qemu-img", "bitmap", "--add", str(web.image), "theirs"], check=True)
    assert scrub(snap, "*") == [([], [])]
    assert bitmaps(snap) == ["theirs"]
    assert scrub(snap, "bitmap", "--checkpointName", "theirs") == [([], ["theirs"])]
    assert bitmaps(snap) == []


def test_nothing_of_that_name(snap: Snap, web: Domain) -> None:
    result = snap(
        "--scrub", "--domains=web", "--scrubType=both", "--checkpointName=nobody", expect=5
    )
    assert "has no checkpoint nobody" in result.err


def test_the_text_for_a_person(snap: Snap, web: Domain) -> None:
    words = ("--scrub", "--domains", "web", "--scrubType")
    out = snap(*words, "checkpoint", "--checkpointName", "virtnbdbackup.0").out
    assert out == "web: removed checkpoint virtnbdbackup.0\n"
    snap(*words, "both")
    assert snap(*words, "both").out == "web: nothing to remove\n"


@pytest.mark.parametrize("words", [(), ("--scrubType", "everything"), ("--scrubType=",)])
def test_an_unknown_type(snap: Snap, words: tuple[str, ...]) -> None:
    err = snap("--scrub", "--domains", "web", *words, expect=8).err
    assert "checkpoint, bitmap, both or '*'" in err


def test_without_or_with_an_unknown_domain(snap: Snap, domains: Domains) -> None:
    domains("web")
    assert "--domains" in snap("--scrub", "--scrubType", "both", expect=1).err
    assert "nowhere" in snap("--scrub", "--scrubType", "both", "--domains", "nowhere", expect=1).err
    assert (
        "nowhere"
        in snap("--scrub", "--scrubType", "both", "--domains", "web,nowhere", expect=1).err
    )


def test_after_scrubbing_a_backup_is_full_and_says_why(snap: Snap, web: Domain) -> None:
    scrub(snap, "*")
    (entry,) = snap.backup("web").json["domains"]
    (disk,) = entry["point"]["disks"]
    assert not disk["incremental"]
    assert disk["reason"]
    assert web.native.state()[0] == libvirt.VIR_DOMAIN_PAUSED
