"""``hyperctl logs``"""

from __future__ import annotations

import re

from tests.cli.hyperctl.conftest import Control
from tests.client.worked import Worked

LINE = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d info    backing up db to \S+repository"


def backed_up(work: Control) -> str:
    found = work("backup", "db", "-H", "lab", "-repo", "main", "-wait", "-full", "-json").json
    return str(found["job_id"])


def test_what_a_job_said(work: Control) -> None:
    id = backed_up(work)
    text = work("logs", id).out
    assert re.match(LINE, text)
    assert work("logs", "-f", id).out == text, "it ended: nothing to follow"
    document = work("logs", id, "-tail", 1, "-json").json
    assert [line["level"] for line in document["logs"]] == ["info"]
    assert document["logs"][0]["message"] in text.splitlines()[-1]


def test_following_one_to_its_end(work: Control, worked: Worked) -> None:
    folder = worked.folder / "followed"
    (id,) = work("submit", "-vm", "big", "-output", folder, "-json").json["job_ids"]
    said = work("logs", "-f", id).out
    assert said == work("logs", id, "-tail", 0).out
    assert work("query", "-id", id, "-json").json["jobs"][0]["state"] == "completed"


def test_no_such_job(work: Control) -> None:
    assert work("logs", "nope", expect=1).err.startswith("hyperctl: there is no job nope\n")
