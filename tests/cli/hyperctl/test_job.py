"""``hyperctl job`` and ``cancel``: steps with jobs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.hyperctl.conftest import Control
from tests.client.worked import Worked


@pytest.fixture
def ids(control: Control, tmp_path: Path) -> list[str]:
    """Three that wait."""
    file = tmp_path / "jobs.json"
    job = {"kind": "inventory", "request": {"hypervisor": "lab"}, "dedup": ""}
    file.write_text(json.dumps([job] * 3))
    found: list[str] = control("submit", "-file", file, "-json").json["job_ids"]
    return found


def test_cancelling(control: Control, ids: list[str]) -> None:
    assert control("cancel", ids[0]).out == f"{ids[0]} cancelled\n"
    result = control("cancel", "-id", f"{ids[1]},{ids[2]}", "-json")
    assert result.json == {"cancelled": ids[1:]}
    control("cancel", expect=2)


def test_some_cannot_be_cancelled(control: Control, ids: list[str]) -> None:
    result = control("cancel", ids[0], "nope", expect=3)
    assert result.out == f"{ids[0]} cancelled\n"
    assert result.err.startswith(
        "hyperctl: 1 of 2 jobs were not cancelled\n  nope: there is no job nope\n"
    )
    assert control("cancel", "nope", expect=1).err.startswith("hyperctl: there is no job nope")


def test_one_that_runs_is_cancelled(work: Control, worked: Worked) -> None:
    folder = worked.folder / "cancelled"
    file = worked.folder / "slow.json"
    request = {"hypervisor": "lab", "instance": "big", "output": str(folder), "bandwidth": 1 << 20}
    file.write_text(json.dumps({"kind": "export", "request": request}))
    (id,) = work("submit", "-file", file, "-json").json["job_ids"]
    work("cancel", id)
    assert work("watch", id, expect=130).out == f"{id} cancelled\n"
    assert not [path for path in folder.glob("*") if path.suffix in {".vmdk", ".ovf"}]


def test_the_life_of_a_job(control: Control, ids: list[str]) -> None:
    id = ids[0]
    assert control("job", "priority", id, 90).out == f"{id} has priority 90\n"
    assert control("job", "pause", id).out == f"{id} paused\n"
    assert control("job", "resume", id).out == f"{id} pending\n"
    control("cancel", id)
    assert control("job", "retry", id).out == f"{id} pending\n"
    assert "is pending" in control("job", "delete", id, expect=1).err
    control("cancel", id)
    assert control("job", "delete", id, "-json").json == {"deleted": id}
    assert control("query", "-id", id, expect=1).out == ""


def test_kinds(control: Control) -> None:
    assert "export " in control("job", "kinds").out
    schema = control("job", "kinds", "export", "-json").json
    assert "instance" in schema["request"]["properties"]
    assert control("job", "kinds", "nope", expect=1).err == (
        "hyperctl: there is no kind 'nope'\n  List them: hyperctl job kinds\n"
    )
