from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hypersdk.repository.store.publish import look_and_rename, publish, rename_exclusively

WAYS = [publish, rename_exclusively, look_and_rename]


@pytest.mark.parametrize("way", WAYS)
def test_gives_the_name(way: Callable[[str, str], None], tmp_path: Path) -> None:
    (tmp_path / "tmp").write_bytes(b"new")
    way(str(tmp_path / "tmp"), str(tmp_path / "ü final"))
    assert (tmp_path / "ü final").read_bytes() == b"new"


@pytest.mark.parametrize("way", WAYS)
def test_never_replaces(way: Callable[[str, str], None], tmp_path: Path) -> None:
    (tmp_path / "tmp").write_bytes(b"new")
    (tmp_path / "final").write_bytes(b"old")
    with pytest.raises(FileExistsError):
        way(str(tmp_path / "tmp"), str(tmp_path / "final"))
    assert (tmp_path / "final").read_bytes() == b"old"


@pytest.mark.parametrize("way", WAYS)
def test_says_that_the_folder_is_missing(way: Callable[[str, str], None], tmp_path: Path) -> None:
    (tmp_path / "tmp").write_bytes(b"new")
    with pytest.raises(FileNotFoundError):
        way(str(tmp_path / "tmp"), str(tmp_path / "folder" / "final"))
    assert (tmp_path / "tmp").exists()
