from __future__ import annotations

import os
from pathlib import Path

import pytest

from hypersdk.flows.exporting.cleanup import cleanup_exports
from hypersdk.flows.exporting.export import export_instance
from hypersdk.flows.exporting.options import CleanupRules
from hypersdk.model.errors import NotFound
from tests.flows.exporting.examples import MIB, mock_with

NOW = 1_000_000.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three exports, made 30, 20 and 10 seconds ago, and what is none."""
    mock = mock_with(tmp_path / "lab", disks={"vda": b"x" * MIB})
    out = tmp_path / "out"
    for number in range(3):
        made = out / f"e{number}"
        export_instance(mock, "web", made)
        moment = NOW - 30 + number * 10
        os.utime(made / "checksums.txt", (moment, moment))
    (out / "notes").mkdir()
    (out / "notes" / "checksums.txt").write_text(f"{'0' * 64}  my.txt\n")
    (out / "other").mkdir()
    (out / "under-way").mkdir()
    (out / "under-way" / "checksums.txt").write_text(f"{'0' * 64}  web.ovf\n")
    (out / "under-way" / ".web.checkpoint.json").write_text("{}")
    return out


def left(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir() if each.name.startswith("e"))


@pytest.mark.parametrize(
    ("rules", "gone"),
    [
        (CleanupRules(), []),
        (CleanupRules(max_age=25), ["e0"]),
        (CleanupRules(max_count=1), ["e0", "e1"]),
        (CleanupRules(max_size=0), ["e0", "e1", "e2"]),
        (CleanupRules(max_age=25, max_count=1), ["e0", "e1"]),
    ],
)
def test_the_oldest_go_first(folder: Path, rules: CleanupRules, gone: list[str]) -> None:
    planned = cleanup_exports(folder, rules, dry_run=True, now=lambda: NOW)
    assert left(folder) == ["e0", "e1", "e2"]
    removed = cleanup_exports(folder, rules, now=lambda: NOW)
    assert planned == removed
    assert [each.folder.name for each in removed] == gone
    assert left(folder) == sorted({"e0", "e1", "e2"} - set(gone))
    assert all(each.reason and each.size for each in removed)
    assert (folder / "notes" / "checksums.txt").exists()
    assert (folder / "under-way" / "checksums.txt").exists()
    assert (folder / "other").exists()


def test_what_somebody_else_put_there_stays(folder: Path) -> None:
    (folder / "e0" / "mine.txt").write_text("keep")
    cleanup_exports(folder, CleanupRules(max_age=25), now=lambda: NOW)
    assert os.listdir(folder / "e0") == ["mine.txt"]


def test_a_list_that_names_other_places_harms_nothing(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "precious.ovf").write_text("keep")
    evil = folder / "evil"
    evil.mkdir()
    (evil / "checksums.txt").write_text(f"{'0' * 64}  ../../precious.ovf\n")
    cleanup_exports(folder, CleanupRules(max_count=0), now=lambda: NOW)
    assert (tmp_path / "precious.ovf").read_text() == "keep"


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        cleanup_exports(tmp_path / "none", CleanupRules())
