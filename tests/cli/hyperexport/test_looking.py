"""What changes nothing: --vm-info, --dry-run, --validate-only."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from hypersdk import MockHypervisor
from hypersdk.cli.hyperexport.exits import Exit
from tests.cli.hyperexport.conftest import Export


def test_info_for_a_person(export: Export) -> None:
    lines = export("db", "--vm-info").out.splitlines()
    assert lines[0].split() == ["name:", "db"]
    assert any(line.split()[:2] == ["vdb", "8.0"] for line in lines)


def test_info_for_a_script(export: Export, lab: MockHypervisor) -> None:
    lines = export("web", "-vm-info", "-quiet").out.splitlines()
    found = dict(line.split("=", 1) for line in lines)
    assert list(found) == [
        "name", "path", "power_state", "guest_os", "cpu", "memory_mb", "storage_bytes",
    ]  # fmt: skip
    assert found["name"] == "web"
    assert found["power_state"] == "stopped"
    assert int(found["storage_bytes"]) > 0


def test_info_as_a_document(export: Export) -> None:
    (found,) = export("db", "--vm-info", "--json").json["instances"]
    assert [disk["name"] for disk in found["disks"]] == ["vda", "vdb"]


def test_a_dry_run_says_what_would_be(export: Export, work: Path) -> None:
    result = export("web", "--dry-run", "--format", "ova", "--snapshot", "--upload", "s3://b/p")
    assert "web: would be exported to export-web as ova" in result.out
    assert "web.ova" in result.out
    assert "uploaded to s3://b/p" in result.out
    assert re.search(r"snapshot \S+ is made", result.out)
    assert not (work / "export-web").exists()


def test_a_dry_run_in_one_line(export: Export) -> None:
    out = export("web", "-dry-run", "-quiet").out
    assert out == "dry-run: web -> export-web (ovf, 8.0 MiB)\n"


def test_a_dry_run_of_several(export: Export) -> None:
    plans = export("web", "db", "--dry-run", "--json").json["plans"]
    assert [plan["folder"] for plan in plans] == ["exports/web", "exports/db"]
    assert plans[1]["to_read"] == 4 << 20


def test_nothing_to_say(export: Export) -> None:
    result = export("web", "--validate-only", "--json")
    (found,) = result.json["instances"]
    assert not found["blocked"]


def test_something_critical_is_a_status_of_its_own(export: Export) -> None:
    export("web", "--quiet")
    result = export("web", "--validate-only", expect=Exit.CONCERNS)
    assert "destination.exists" in result.out
    assert "1 critical concern about web" in result.err
    quiet = export("web", "--validate-only", "--quiet", expect=Exit.CONCERNS).out
    assert quiet.startswith("critical: web: destination.exists: ")


@pytest.mark.parametrize("option", ["--report", "--report-file"])
def test_reports_on_checks(export: Export, work: Path, option: str) -> None:
    export("web", "--quiet")
    line = ("web", "--validate-only", "--quiet")
    export(*line, option, "found.html", expect=Exit.CONCERNS)
    page = (work / "found.html").read_text()
    assert "destination.exists" in page
    assert "2026-11-21T12:00:00Z" in page
    export(*line, option, "found.json", expect=Exit.CONCERNS)
    assert json.loads((work / "found.json").read_text())["instances"][0]["blocked"]
    export(*line, option, "found.txt", expect=Exit.CONCERNS)
    assert "[destination.exists]" in (work / "found.txt").read_text()


def test_html_is_escaped(export: Export, lab: MockHypervisor, work: Path) -> None:
    name = "<script>alert(1)</script>"
    lab.create_instance(name, {"vda": 1 << 20})
    export(name, "--validate-only", "--report", "found.html")
    page = (work / "found.html").read_text()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize("mode", ["--vm-info", "--dry-run", "--validate-only"])
def test_an_instance_has_to_be_named(export: Export, mode: str) -> None:
    assert "no instance was named" in export(mode, expect=Exit.USAGE).err


def test_incremental_info(export: Export, tmp_path: Path) -> None:
    from hypersdk import init_repository  # noqa: PLC0415

    init_repository(tmp_path / "repo").close()
    line = ("web", "--incremental-info", "--repo", tmp_path / "repo")
    assert "never" in export(*line).out
    export("web", "--incremental", "--repo", tmp_path / "repo")
    assert "only what changed" in export(*line).out
    (found,) = export(*line, "--json").json["instances"]
    assert found["incremental"]
