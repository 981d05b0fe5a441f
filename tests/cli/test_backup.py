from __future__ import annotations

from pathlib import Path

import pytest

from hypersdk import MockHypervisor
from tests.cli.conftest import MIB, Result, Runner


def rows(result: Result) -> list[list[str]]:
    """Cells of the table but the last two, which tell the time."""
    lines = result.out.splitlines()
    table = lines[1 : next((n for n, line in enumerate(lines) if ": restore" in line), len(lines))]
    return [line.split()[:-2] for line in table]


def test_an_image(command: Runner, place: Path, image: Path) -> None:
    result = command("backup", "--repo", place, "--image", image, "--name", "web 1/a")
    assert result.out.splitlines()[0].split() == (
        ["INSTANCE", "DISK", "KIND", "READ", "CHANGED", "STORED", "RATIO", "SECONDS", "MiB/s"]
    )
    assert "web 1/a" in result.out
    assert result.err.startswith("web 1/a/disk0: done of 16.0 MiB, read 3.0 MiB, stored 3.0 MiB in")
    again = command("backup", "--repo", place, "--image", image, "--name", "web", "--quiet")
    assert rows(again) == [["web", "disk0", "full", "3.0", "MiB", "3.0", "MiB", "0", "B", "-"]]
    assert again.err == ""


def test_instances_incrementally(command: Runner, place: Path, lab: MockHypervisor) -> None:
    first = command("backup", "--repo", place, "-H", lab.url, "web", "db", "--quiet")
    assert [row[:3] for row in rows(first)] == [
        ["web", "vda", "full"],
        ["db", "vda", "full"],
        ["db", "vdb", "full"],
    ]
    with lab.guest("db", "vdb") as guest:
        guest.write(5 * MIB, b"changed")
        guest.zero(MIB, MIB)
    second = command("backup", "--repo", place, "-H", lab.url, "db", "--json").json
    disks = {disk["name"]: disk for disk in second["points"][0]["disks"]}
    assert disks["vda"]["incremental"]
    assert disks["vda"]["statistics"]["read"] == 0
    assert disks["vdb"]["statistics"] | {"stored": 0, "seconds": 0} == {
        "read": MIB,
        "changed": 2 * MIB,
        "stored": 0,
        "zero": MIB,
        "unchanged": 6 * MIB,
        "seconds": 0,
    }


def test_what_fails_does_not_stop_the_others(
    command: Runner, place: Path, lab: MockHypervisor
) -> None:
    result = command("backup", "--repo", place, "-H", lab.url, "nope", "web", "--json", expect=3)
    assert [point["instance"] for point in result.json["points"]] == ["web"]
    assert result.json["error"]["exit_code"] == 3
    assert result.json["error"]["failures"]["nope"]["kind"] == "InstanceNotFound"
    assert "  nope: no instance 'nope'" in result.err


def test_a_single_failure_is_its_own(command: Runner, place: Path, lab: MockHypervisor) -> None:
    result = command("backup", "--repo", place, "-H", lab.url, "wep", expect=1)
    assert result.err.startswith("hypersdk: no instance 'wep'")
    assert result.out == ""


def test_options_reach_the_restore_point(command: Runner, place: Path, image: Path) -> None:
    point = command(
        *("backup", "--repo", place, "--image", image, "--name", "web", "--chunk-size", "64KiB"),
        *("--tag", "site=lab", "--tag", "by=cron", "--pin", "--lock-until", "2099-01-01", "--json"),
    ).json["points"][0]
    assert point["tags"] == {"site": "lab", "by": "cron"}
    assert (point["pinned"], point["locked_until"]) == (True, "2099-01-01T00:00:00Z")
    assert point["disks"][0]["chunk_size"] == 64 << 10


def test_the_repository_of_the_settings(
    command: Runner, place: Path, image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYPERSDK_REPOSITORY", str(place))
    command("backup", "--image", image, "--name", "web")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to back up was named"),
        (["--image", "x"], "an image needs a name"),
        (["--image", "x", "--name", "y", "web"], "--image goes with no hypervisor"),
        (["-H", "mock:///x"], "no instance was named"),
        (["-H", "mock:///x", "web", "--name", "y"], "--name goes with --image only"),
        (["-H", "mok:///x", "web"], "no driver knows the scheme 'mok'"),
        (["--image", "x", "--name", "y", "--lock-for", "1d", "--lock-until", "2099-01-01"], "excl"),
    ],
)
def test_refused_before_anything_is_done(
    command: Runner, place: Path, arguments: list[str], message: str
) -> None:
    assert message in command("backup", "--repo", place, *arguments, expect=2).err
