"""``hyperctl manifest`` and ``workflow``"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.cli.hyperctl.conftest import Control
from tests.client.worked import Worked


@pytest.fixture(scope="module")
def exported(worked: Worked) -> Path:
    """A folder with an export and its manifest."""
    folder = worked.folder / "manifested"
    Control(worked.url)("submit", "-vm", "web", "-output", folder, "-wait")
    return folder


def test_one_of_an_export_is_valid(work: Control, exported: Path) -> None:
    file = exported / "artifact-manifest.json"
    assert work("manifest", "validate", file).out == f"{file} is valid\n"
    assert work("manifest", "validate", "-file", file, "-json").json["valid"] is True


def test_what_is_wrong_with_one(work: Control, exported: Path) -> None:
    found = json.loads((exported / "artifact-manifest.json").read_text())
    found["disks"][0]["source_format"] = "vmkd"
    broken = exported / "broken.json"
    broken.write_text(json.dumps(found))
    result = work("manifest", "validate", broken, expect=2)
    assert result.err.startswith(f"hyperctl: {broken} is not valid\n")
    assert "disks[0].source_format: input should be 'vmdk'" in result.err
    (exported / "list.json").write_text("[]")
    assert "holds no fields" in work("manifest", "validate", exported / "list.json", expect=2).err
    assert "name one file" in work("manifest", "validate", expect=2).err


def test_its_disks_are_converted(work: Control, exported: Path) -> None:
    result = work("manifest", "submit", exported / "artifact-manifest.json", "-wait")
    ids = re.findall(r"(?m)^Job ID: (\S+)$", result.out)
    assert ids
    assert result.out.endswith("".join(f"{id} completed\n" for id in ids))
    status = work("workflow").out
    assert re.search(r"(?m)^mode: +\S+$", status)
    listed = work("workflow", "-op", "list", "-json").json["jobs"]
    assert set(ids) <= {job["id"] for job in listed}
    assert work("workflow", "-op", "queue").err == "There are no jobs.\n"
    assert work("workflow", "-op", "watch").out == ""
