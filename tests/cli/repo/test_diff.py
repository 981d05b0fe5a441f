from __future__ import annotations

from pathlib import Path

from hypersdk import MockHypervisor
from tests.cli.conftest import MIB, Runner


def test_what_changed(command: Runner, history: Path) -> None:
    points = command("repo", "list", history, "web", "--json").json["points"]
    result = command("repo", "diff", history, points[0]["id"], "web", "--areas")
    assert result.out == (
        "DISK   IN    CHANGED  AREAS\n"
        "disk0  both  1.0 MiB      1\n"
        "\n"
        "DISK     START   LENGTH\n"
        "disk0  1048576  1048576\n"
    )
    same = command("repo", "diff", history, "web", "db", "--json").json
    assert same["disks"] == [{"disk": "disk0", "presence": "both", "changed": 0, "areas": []}]


def test_disks_that_came_and_went(command: Runner, place: Path, lab: MockHypervisor) -> None:
    command("backup", "--repo", place, "-H", lab.url, "web", "db")
    disks = command("repo", "diff", place, "web", "db", "--json").json["disks"]
    assert [(disk["disk"], disk["presence"]) for disk in disks] == [
        ("vda", "both"),
        ("vdb", "added"),
    ]
    assert disks[1]["changed"] == 2 * MIB
    back = command("repo", "diff", place, "db", "web", "--json").json["disks"]
    assert [(disk["disk"], disk["presence"]) for disk in back] == [
        ("vda", "both"),
        ("vdb", "removed"),
    ]
