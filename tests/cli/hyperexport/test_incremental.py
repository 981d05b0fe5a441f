"""Incremental exports: into a repository, by what changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hypersdk import MockHypervisor, Protect, init_repository
from hypersdk.cli.hyperexport.exits import Exit
from tests.cli.hyperexport.conftest import Export

MIB = 1 << 20


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    init_repository(tmp_path / "repo").close()
    return tmp_path / "repo"


def test_only_what_changed(export: Export, lab: MockHypervisor, repo: Path) -> None:
    line = ("web", "--incremental", "--repo", repo)
    assert "read in full" in export(*line).out
    with lab.guest("web", "vda") as guest:
        guest.write(4 * MIB, os.urandom(64 << 10))
    (point,) = export(*line, "--json").json["points"]
    (disk,) = point["disks"]
    assert disk["incremental"]
    assert disk["statistics"]["changed"] <= MIB
    (point,) = export("web", "--force-full", "--repo", repo, "--json").json["points"]
    assert not point["disks"][0]["incremental"]
    quiet = export(*line, "--quiet").out
    assert quiet.startswith("success: web exported to ")


def test_several_and_one_that_fails(export: Export, repo: Path) -> None:
    line = ("web", "gone", "db", "--incremental", "--repo", repo)
    result = export(*line, "--json", expect=Exit.PARTIAL)
    assert [point["instance"] for point in result.json["points"]] == ["web", "db"]


def test_disks_can_be_left_out(export: Export, repo: Path) -> None:
    line = ("db", "--incremental", "--repo", repo, "--exclude-disk", "vdb", "--no-freeze")
    (point,) = export(*line, "--bandwidth-limit", "100", "--json").json["points"]
    assert [disk["name"] for disk in point["disks"]] == ["vda"]


def test_keys(export: Export, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_bytes(os.urandom(32))
    init_repository(tmp_path / "repo", protect=Protect.key_file(key)).close()
    line = ("web", "--incremental", "--repo", tmp_path / "repo")
    assert "no key was given" in export(*line, expect=Exit.DENIED).err
    export(*line, "--repo-key-file", key)


@pytest.mark.parametrize("option", ["--encrypt", "--compress", "--snapshot", "--power-off"])
def test_what_a_repository_does_by_itself_is_refused(
    export: Export, repo: Path, option: str
) -> None:
    result = export("web", "--incremental", "--repo", repo, option, expect=Exit.USAGE)
    assert f"{option} goes with exports to files" in result.err


def test_a_repository_has_to_be_named(export: Export) -> None:
    assert "none was named" in export("web", "--incremental", expect=Exit.USAGE).err
    result = export("web", "--repo-passphrase", "env:X", expect=Exit.USAGE)
    assert "incremental exports only" in result.err


def test_the_other_keys(export: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORD", "correct horse")
    protect = Protect.passphrase("correct horse")
    init_repository(tmp_path / "repo", protect=protect).close()
    line = ("web", "--incremental", "--repo", tmp_path / "repo")
    export(*line, "--repo-passphrase", "env:WORD")
    (tmp_path / "wrong").write_text("none")
    export(*line, "--repo-identity", tmp_path / "wrong", expect=Exit.USAGE)
