"""``hyperctl query``"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.cli.hyperctl.conftest import Control
from tests.client.worked import Worked


@pytest.fixture
def ids(control: Control, tmp_path: Path) -> list[str]:
    """Two jobs that wait."""
    file = tmp_path / "jobs.json"
    request = {"hypervisor": "lab", "instance": "web", "output": str(tmp_path)}
    job = {"kind": "export", "request": request, "dedup": ""}
    file.write_text(json.dumps([{**job, "name": f"{name} {tmp_path}"} for name in ("one", "two")]))
    found: list[str] = control("submit", "-file", file, "-json").json["job_ids"]
    return found


def test_newest_first(control: Control, ids: list[str], tmp_path: Path) -> None:
    result = control("query", "-text", tmp_path)
    head, newest, oldest = result.out.splitlines()
    assert re.split("  +", head) == [
        "Job ID", "Name", "VM Path", "Status", "Progress", "Started", "Took"
    ]  # fmt: skip
    assert re.split("  +", newest) == [ids[1], f"two {tmp_path}", "lab/web", "pending"]
    assert re.split("  +", oldest) == [ids[0], f"one {tmp_path}", "lab/web", "pending"]


def test_by_ids(control: Control, ids: list[str]) -> None:
    result = control("query", "-id", ",".join(ids))
    assert [line.split()[0] for line in result.out.splitlines()] == ["Job", *ids]
    one = control("query", "-id", ids[0]).out
    assert f"\nJob ID: {ids[0]}\nStatus: pending\nOwner: local\nRun: 0\n" in one
    refused = control("query", "-id", "01J00000000000000000000000", expect=1)
    assert refused.err.startswith("hyperctl: there is no job 01J00000000000000000000000\n")


def test_by_state(control: Control, ids: list[str], tmp_path: Path) -> None:
    control("cancel", ids[0])
    found = control("query", "-text", tmp_path, "-status", "cancelled, failed", "-json").json
    assert [job["id"] for job in found["jobs"]] == [ids[0]]
    none = control("query", "-text", tmp_path, "-status", "running")
    assert none.out.splitlines()[1:] == []
    assert none.err == "There are no such jobs.\n"


def test_all_of_them(control: Control, ids: list[str], tmp_path: Path) -> None:
    words = ("query", "-text", tmp_path, "-limit", 1, "-json")
    assert len(control(*words).json["jobs"]) == 1
    assert len(control(*words, "-all").json["jobs"]) == 2


def test_one_that_completed(work: Control, worked: Worked) -> None:
    folder = worked.folder / "queried"
    (id,) = work("submit", "-vm", "web", "-output", folder, "-wait", "-json").json["job_ids"]
    text = work("query", "-id", id).out
    assert re.search(rf"(?m)^{id}  export of web  lab/web  completed      100%  2", text)
    assert re.search(r"(?m)^Worker: \S+$", text)
    assert re.search(rf"(?m)^folder: +{re.escape(str(folder))}$", text)
    assert "{" not in text, "nothing is shown as Python writes it"


def test_one_that_failed(work: Control, worked: Worked) -> None:
    folder = worked.folder / "failing"
    words = ("submit", "-vm", "nobody", "-output", folder, "-wait", "-json")
    (id,) = work(*words, expect=1).json["job_ids"]
    text = work("query", "-id", id).out
    assert "Status: failed\n" in text
    assert re.search(r"(?m)^Error: no instance 'nobody' on .*\n  There are: .*web", text)
