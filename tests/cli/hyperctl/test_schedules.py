"""``hyperctl schedules``"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.hyperctl.conftest import Control
from tests.client.worked import Worked

NIGHTLY = "0 2 * * *"


def test_the_life_of_one(control: Control, tmp_path: Path) -> None:
    words = ("schedules", "create", "nightly", NIGHTLY, "-vm", "/DC/vm/web", "-output", tmp_path)
    made = control(*words)
    assert made.out.startswith("schedule-created: nightly\n")
    listed = control("schedules", "list").out.splitlines()
    titles = ["ID", "Name", "Cron", "Zone", "Kind", "Enabled", "Next", "Last", "Skipped"]
    assert re.split("  +", listed[0]) == titles
    row = re.split("  +", next(line for line in listed if "nightly" in line))
    id, rest = row[0], row[1:6]
    assert len(id) == 26, "in full: it is typed again"
    assert rest == ["nightly", NIGHTLY, "UTC", "export", "yes"]
    shown = control("schedules", "show", "nightly").out
    assert len(re.findall(r"(?m)^next: \d{4}-\d\d-\d\d 02:00 UTC$", shown)) == 5
    assert control("schedules", "disable", id).out == f"{id} disabled\n"
    assert control("schedules", "enable", "nightly", "-json").json["enabled"] is True
    triggered = control("schedules", "trigger", "nightly")
    (job,) = re.findall(r"^Job ID: (\S+)\n$", triggered.out)
    (record,) = control("query", "-id", job, "-json").json["jobs"]
    assert record["request"]["instance"] == "web"
    assert control("schedules", "delete", "nightly").out == "nightly deleted\n"
    assert "nightly" not in control("schedules", "list").out


def test_a_backup_in_another_zone(control: Control, tmp_path: Path) -> None:
    control("repo", "add", "nightly", tmp_path / "repo")
    words = ("schedules", "create", "backups", NIGHTLY, "-vm", "web", "-repo", "nightly")
    made = control(*words, "-zone", "Europe/Berlin", "-json").json
    assert (made["zone"], made["job"]["kind"]) == ("Europe/Berlin", "backup")
    again = control(*words, expect=1)
    assert "backups" in again.err


def test_of_a_file(control: Control, tmp_path: Path) -> None:
    file = tmp_path / "schedule.yaml"
    file.write_text(
        "name: weekly\ncron: '@weekly'\nskip_if_running: false\n"
        "windows: [{start: '22:00', end: '06:00', days: [sat, sun]}]\n"
        "job: {kind: inventory, request: {hypervisor: lab}}\n"
    )
    made = control("schedules", "create", "-file", file, "-json").json
    assert made["windows"][0]["days"] == ["sat", "sun"]
    file.write_text("name: x\ncrn: '@weekly'\njob: {kind: inventory, request: {}}\n")
    assert "did you mean cron?" in control("schedules", "create", "-file", file, expect=1).err


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["x", "bad", "-vm", "web", "-output", "/x"], 1, "'bad' is no cron expression"),
        (["x", NIGHTLY, "-vm", "wbe", "-output", "/x"], 1, "Did you mean web?"),
        (["x", NIGHTLY, "-vm", "web"], 2, "it needs NAME CRON --vm and --output or --repo"),
        (["x", NIGHTLY, "-vm", "web", "-output", "/x", "-zone", "Nowhere"], 1, "Nowhere"),
    ],
)
def test_what_is_wrong(control: Control, words: list[str], status: int, said: str) -> None:
    assert said in control("schedules", "create", *words, expect=status).err


def test_waiting_for_its_job(work: Control, worked: Worked) -> None:
    folder = worked.folder / "scheduled"
    work("schedules", "create", "hourly", "0 * * * *", "-vm", "db", "-output", folder)
    result = work("schedules", "trigger", "hourly", "-wait")
    assert result.out.endswith(" completed\n")
    assert (folder / "db.ovf").exists()
    work("schedules", "delete", "hourly")
