"""``hyperctl submit``"""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path

import pytest
import yaml

from tests.cli.hyperctl.conftest import Control
from tests.client.worked import Worked

ID = r"[0-9A-HJKMNP-TV-Z]{26}"


@pytest.fixture(autouse=True)
def _none_active(control: Control) -> None:
    """Of another test: the same once more would be the same job."""
    states = "scheduled,pending,paused"
    active = control("query", "-all", "-status", states, "-json").json["jobs"]
    if active:
        control("cancel", *[job["id"] for job in active])


def export(folder: Path, **more: object) -> dict[str, object]:
    return {"vm_path": "web", "output_path": str(folder), **more}


def ids(text: str) -> list[str]:
    return re.findall(rf"(?m)^Job ID: ({ID})$", text)


def test_an_export(control: Control, tmp_path: Path) -> None:
    line = f"submit -vm /DC/vm/web -output {tmp_path} -format ova -parallel 2 -name nightly"
    result = control(*line.split())
    (id,) = ids(result.out)
    assert result.out == f"Job ID: {id}\n"
    assert result.err == f"Follow with: hyperctl watch {id}\n"
    (job,) = control("query", "-id", id, "-json").json["jobs"]
    assert (job["kind"], job["name"]) == ("export", "nightly")
    wanted = {"hypervisor": "lab", "instance": "web", "output": str(tmp_path), "format": "ova"}
    assert wanted.items() <= job["request"].items()
    assert job["request"]["parallel"] == 2


def test_quietly(control: Control, tmp_path: Path) -> None:
    result = control("submit", "-vm", "web", "-output", tmp_path, "-quiet")
    assert ids(result.out)
    assert result.err == ""


@pytest.mark.parametrize("form", ["one", "list", "jobs"])
@pytest.mark.parametrize("suffix", [".json", ".yaml", "-"])
def test_a_file(
    control: Control, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, suffix: str
) -> None:
    jobs = [export(tmp_path / "a"), export(tmp_path / "b")]
    content = {"one": jobs[0], "list": jobs, "jobs": {"jobs": jobs}}[form]
    text = json.dumps(content) if suffix == ".json" else yaml.safe_dump(content)
    file = tmp_path / f"jobs{suffix}"
    file.write_text(text)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    result = control("submit", "-file", "-" if suffix == "-" else file)
    assert len(ids(result.out)) == (1 if form == "one" else 2)


def test_jobs_of_any_kind(control: Control, tmp_path: Path) -> None:
    file = tmp_path / "jobs.yaml"
    file.write_text("kind: inventory\nrequest: {hypervisor: lab}\npriority: 90\nname: look\n")
    (id,) = ids(control("submit", "-file", file).out)
    (job,) = control("query", "-id", id, "-json").json["jobs"]
    assert (job["kind"], job["priority"]) == ("inventory", 90)


def test_some_are_refused(control: Control, tmp_path: Path) -> None:
    file = tmp_path / "jobs.json"
    good = {"kind": "inventory", "request": {"hypervisor": "lab"}, "dedup": ""}
    file.write_text(json.dumps([good, {"kind": "inventry", "request": {}}]))
    result = control("submit", "-file", file, expect=3)
    assert len(ids(result.out)) == 1
    assert "hyperctl: 1 of 2 jobs were not taken\n  jobs[1]: " in result.err
    assert "inventry" in result.err


def test_the_one_that_there_is_is_refused(control: Control, tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text("kind: inventory\nrequest: {hypervisor: lba}\n")
    result = control("submit", "-file", file, expect=1)
    assert result.out == ""
    assert result.err.startswith("hyperctl: there is no hypervisor 'lba'\n  Did you mean lab?")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind: inventory\nrequest: {hypervisor: lab}\npriorty: 1\n", "did you mean priority?"),
        ("vm_path: web\noutput_pth: /x\n", "Did you mean output_path?"),
        ("[1, 2]", "holds no jobs"),
        ("[", "is neither JSON nor YAML"),
        ("", "holds no jobs"),
    ],
)
def test_what_is_wrong_with_a_file(control: Control, tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "jobs.yaml"
    file.write_text(text)
    result = control("submit", "-file", file, expect=1 if "pri" in text or "pth" in text else 2)
    assert said in result.err
    assert result.out == ""


def test_no_such_file(control: Control) -> None:
    result = control("submit", "-file", "/not/there", expect=2)
    assert result.err.startswith("hyperctl: cannot read /not/there: No such file or directory\n")


def test_waiting_for_it(work: Control, worked: Worked) -> None:
    folder = worked.folder / "submitted"
    result = work("submit", "-vm", "db", "-output", folder, "-wait")
    (id,) = ids(result.out)
    assert result.out == f"Job ID: {id}\n{id} completed\n"
    assert (folder / "db.ovf").exists()
    failed = work("submit", "-vm", "nobody", "-output", folder, "-wait", expect=1)
    assert failed.out.splitlines()[1].endswith(" failed")
    assert ": no instance 'nobody' on " in failed.err
    document = work("submit", "-vm", "db", "-output", folder, "-wait", "-json", expect=1).json
    assert document["jobs"][0]["error"]["kind"] == "AlreadyExists"
