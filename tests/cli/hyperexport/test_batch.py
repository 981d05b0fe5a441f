"""Many instances at the same time, and which ones are meant."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hypersdk import MockHypervisor, load_spec
from hypersdk.cli.hyperexport.exits import Exit
from tests.cli.hyperexport.conftest import Export


def test_a_file_of_names(export: Export, work: Path) -> None:
    (work / "vms.txt").write_text("# nightly\n\nweb\n  db  \nweb\n")
    result = export("--batch", "vms.txt", "--output", "here")
    assert result.out.splitlines()[-1] == "2 of 2 instances exported"
    assert (work / "here" / "web" / "web.ovf").exists()
    assert (work / "here" / "db" / "db.ovf").exists()


def test_quiet_lines(export: Export) -> None:
    out = export("web", "db", "--quiet").out.splitlines()
    assert re.fullmatch(r"success: web exported to exports/web \(.*\)", out[0])
    assert re.fullmatch(r"success: db exported to exports/db \(.*\)", out[1])
    assert out[2:] == ["batch-summary: total=2 success=2 failed=0"]


def test_one_that_fails_stops_no_other(export: Export) -> None:
    result = export("web", "gone", "db", "--json", expect=Exit.PARTIAL)
    assert [each["name"] for each in result.json["exports"]] == ["web", "db"]
    assert result.json["batch"] == {"total": 3, "success": 2, "failed": 1}
    assert result.json["error"]["failures"]["gone"]["kind"] == "InstanceNotFound"


def test_the_reason_that_all_have_is_the_status(export: Export) -> None:
    result = export("gone", "lost", "--quiet", expect=Exit.NOT_FOUND)
    assert "2 of 2 exports failed" in result.err
    assert result.out == "batch-summary: total=2 success=0 failed=2\n"


def test_each_is_checked_before(export: Export) -> None:
    export("web", "--output", "exports/web", "--quiet")
    result = export("web", "db", "--json", expect=Exit.PARTIAL)
    assert [each["name"] for each in result.json["exports"]] == ["db"]
    assert result.json["error"]["failures"]["web"]["exit_code"] == Exit.CONCERNS


def test_limits_are_taken(export: Export) -> None:
    more = ("--at-once", 1, "--per-host", 1, "--per-datastore", 1)
    assert "2 of 2" in export("web", "db", *more).out
    assert "--at-once" in export("web", "--at-once", 0, expect=Exit.USAGE).err


@pytest.mark.parametrize("content", ["", "# nothing\n"])
def test_a_file_without_names_is_refused(export: Export, work: Path, content: str) -> None:
    (work / "vms.txt").write_text(content)
    result = export("--batch", "vms.txt", expect=Exit.USAGE)
    assert "vms.txt names no instance" in result.err


def test_a_file_that_is_not_there(export: Export) -> None:
    assert "No such file" in export("--batch", "vms.txt", expect=Exit.USAGE).err


def test_by_tag(export: Export, lab: MockHypervisor) -> None:
    lab.create_instance("tagged", {"vda": 1 << 20}, tags={"owner": "lab", "site": "a"})
    wanted = ("--filter", "owner=lab", "--filter", "site=a")
    assert "1 of 1" in export(*wanted).out
    nobody = export("--filter", "owner=lab", "--filter", "site=b", expect=Exit.NOT_FOUND)
    assert "no instance fits --filter owner=lab --filter site=b" in nobody.err
    assert "is no key=value" in export("--filter", "owner", expect=Exit.USAGE).err


def test_by_folder(export: Export, lab: MockHypervisor) -> None:
    assert lab.lifecycle
    spec = {"name": "mail", "folder": "Prod/mail", "disks": [{"size": "1MiB"}]}
    lab.lifecycle.create(load_spec(spec))
    assert "mail: " in export("--folder", "prod", "--dry-run").out
    only = export("--folder", "prod", "web", "--dry-run", expect=Exit.NOT_FOUND)
    assert "no instance fits --folder prod" in only.err
