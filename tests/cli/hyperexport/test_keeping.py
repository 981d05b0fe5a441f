"""What stays between runs: history, reports, profiles; and old exports that go."""

from __future__ import annotations

import json
import os
import stat
import time
from pathlib import Path

import pytest

from hypersdk import MockHypervisor
from hypersdk.cli.hyperexport.exits import Exit
from tests.cli.hyperexport.conftest import Export


def test_the_history_has_failures_too(export: Export, tmp_path: Path) -> None:
    assert "no export is noted yet" in export("--history").out
    export("web", "--compress", "--verify", "--quiet")
    export("gone", expect=Exit.NOT_FOUND)
    good, bad = export("--history", "--json").json["exports"]
    assert (good["vm_name"], good["success"], good["provider"]) == ("web", True, "mock")
    assert (good["compressed"], good["verified"], good["format"]) == (True, True, "ovf")
    assert (bad["vm_name"], bad["success"]) == ("gone", False)
    assert "no instance 'gone'" in bad["error_message"]
    (last,) = export("--history", "--history-limit", 1, "--json").json["exports"]
    assert last["vm_name"] == "gone"
    assert "failed: no instance 'gone'" in export("--history").out
    file = tmp_path / "state" / "hypersdk" / "exports.jsonl"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_incremental_exports_are_in_it(export: Export, tmp_path: Path) -> None:
    from hypersdk import init_repository  # noqa: PLC0415

    init_repository(tmp_path / "repo").close()
    export("web", "--incremental", "--repo", tmp_path / "repo")
    (record,) = export("--history", "--json").json["exports"]
    assert record["format"] == "repository"


def test_the_history_can_be_forgotten(export: Export) -> None:
    export("web", "--quiet")
    assert export("--clear-history").out == "1 export forgotten\n"
    assert export("--history", "--json").json["exports"] == []


def test_a_report_adds_up(export: Export) -> None:
    export("web", "--quiet")
    export("gone", expect=Exit.NOT_FOUND)
    out = export("--report").out
    assert "succeeded:      1 (50.0 %)" in out
    document = export("--report", "--json").json
    assert (document["total"], document["failed"]) == (2, 1)
    assert document["by_format"] == {"ovf": 1}


@pytest.mark.parametrize("option", ["--report", "--report-file"])
def test_a_report_in_a_file(export: Export, lab: MockHypervisor, work: Path, option: str) -> None:
    lab.create_instance("<b>bold</b>", {"vda": 1 << 20})
    export("<b>bold</b>", "--quiet")
    export(option, "all.html")
    page = (work / "all.html").read_text()
    assert "&lt;b&gt;bold" in page
    assert "<b>" not in page
    export(option, "all.json")
    assert json.loads((work / "all.json").read_text())["total"] == 1
    export(option, "all.txt")
    assert "exports:        1" in (work / "all.txt").read_text()
    assert "cannot write" in export(option, "none/all.txt", expect=Exit.USAGE).err


def test_what_is_typed_wins_over_a_profile(export: Export, work: Path) -> None:
    saved = export("--save-profile", "nightly", "--format", "raw", "--verify", "--parallel", 2)
    assert saved.out.startswith("nightly: saved in ")
    (document,) = export("web", "--profile", "nightly", "--json").json["exports"]
    assert (document["format"], document["verified"]) == ("raw", True)
    line = ("web", "--profile", "nightly", "--output", "2", "--json")
    (document,) = export(*line, "--format", "qcow2", "--no-verify").json["exports"]
    assert (document["format"], document["verified"]) == ("qcow2", False)
    (document,) = export(*line, "--overwrite", "--verify=false").json["exports"]
    assert not document["verified"]


def test_what_a_profile_leaves_out_keeps_its_default(export: Export, work: Path) -> None:
    export("web", "--profile", "Quick Export", "--upload", f"file://{work}", "--quiet")
    assert (work / "export-web" / "web.ovf").exists(), "local files are kept"


def test_a_profile_is_saved_and_used_in_one_run(export: Export, work: Path) -> None:
    line = ("web", "--save-profile", "mine", "--format", "raw", "--bandwidth-limit", "100")
    document = export(*line, "--cleanup-max-age", "48h", "--json").json
    assert document["exports"][0]["format"] == "raw"
    assert document["profile"]["options"] == {
        "format": "raw",
        "bandwidth_limit": "100",
        "cleanup_max_age": "48h",
    }
    (document,) = export("web", "--template", "mine", "--output", "2", "--json").json["exports"]
    assert document["format"] == "raw"


def test_profiles_are_listed_and_removed(export: Export) -> None:
    export("--save-profile", "mine", "--compress")
    names = [each["name"] for each in export("--list-profiles", "--json").json["profiles"]]
    assert "mine" in names
    assert {"quick-export", "production-backup", "encrypted-backup", "cloud-backup"} < set(names)
    assert export("--list-profiles", "--quiet").out.splitlines() == names
    assert export("--delete-profile", "mine").out == "mine: deleted\n"
    assert "no profile 'mine'" in export("--delete-profile", "mine", expect=Exit.NOT_FOUND).err


def test_the_built_in_ones_become_files(export: Export, tmp_path: Path) -> None:
    made = export("--create-default-profiles", "--json").json["created"]
    assert all(Path(path).is_file() for path in made)
    assert export("--create-default-profiles", "--json").json["created"] == []


def test_an_unknown_profile(export: Export) -> None:
    result = export("web", "--profile", "quick-exprot", expect=Exit.NOT_FOUND)
    assert "Did you mean quick-export?" in result.err


def test_a_profile_of_the_original(export: Export, tmp_path: Path) -> None:
    folder = tmp_path / "home" / ".hyperexport" / "profiles"
    folder.mkdir(parents=True)
    old = {"name": "old", "format": "ova", "compress": False, "parallel": 2, "gpg_recipient": "x"}
    (folder / "old.json").write_text(json.dumps(old))
    result = export("web", "--profile", "old")
    assert "web.ova" in result.out
    assert "left out: gpg_recipient" in result.err


def test_a_profile_does_not_keep_all(export: Export) -> None:
    result = export("--save-profile", "mine", "--at-once", 2, "--compress")
    assert result.err == "warning: a profile does not keep --at-once\n"


def test_a_key_that_is_typed_takes_the_place_of_the_profile_s(
    export: Export, monkeypatch: pytest.MonkeyPatch, work: Path
) -> None:
    monkeypatch.setenv("WORD", "correct horse")
    export("--save-profile", "mine", "--encrypt", "--passphrase-from", "env:GONE")
    (work / "key").write_text("battery staple\n")
    export("web", "--profile", "mine", "--keyfile", "key", "--quiet")


def make_old(folder: Path, days: float) -> None:
    moment = time.time() - days * 86400
    for path in (*folder.iterdir(), folder):
        os.utime(path, (moment, moment))


@pytest.fixture
def exports(export: Export, work: Path) -> Path:
    """Three of them: of today, ten days and forty days ago."""
    for name, days in {"today": 0.0, "ten": 10.0, "forty": 40.0}.items():
        export("web", "--output", f"all/{name}", "--quiet")
        make_old(work / "all" / name, days)
    return work / "all"


@pytest.mark.parametrize(
    ("rules", "removed"),
    [
        ([], ["forty"]),
        (["--cleanup-max-age", "5d"], ["forty", "ten"]),
        (["--cleanup-max-age", "480"], ["forty"]),
        (["--cleanup-max-count", "1"], ["forty", "ten"]),
        (["--cleanup-max-count", "5"], []),
        (["--cleanup-max-size", "5MiB"], ["forty"]),
    ],
)
def test_old_exports_go(
    export: Export, exports: Path, rules: list[str], removed: list[str]
) -> None:
    line = ("--cleanup", "--output", exports, *rules)
    for dry in ("--cleanup-dry-run", "--dry-run"):
        document = export(*line, dry, "--json").json
        assert document["dry_run"]
        assert sorted(Path(each["folder"]).name for each in document["removed"]) == sorted(removed)
    assert len(list(exports.iterdir())) == 3
    export(*line, "--quiet")
    assert sorted(path.name for path in exports.iterdir()) == sorted(
        {"today", "ten", "forty"} - set(removed)
    )


def test_where_to_clean_up_has_to_be_said(export: Export) -> None:
    assert "--output DIR" in export("--cleanup", expect=Exit.USAGE).err
