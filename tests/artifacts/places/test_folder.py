"""A folder is a place."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from hypersdk.artifacts.places.folder import FolderPlace
from hypersdk.artifacts.places.ports import Place
from hypersdk.model.errors import InvalidInput, NotFound
from tests.artifacts.places.suite import SMALL, PlaceSuite


@pytest.fixture
def place(tmp_path: Path) -> Place:
    (tmp_path / "exports").mkdir()
    return FolderPlace(tmp_path / "exports")


class TestFolder(PlaceSuite):
    """As every place."""


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="does not exist"):
        FolderPlace(tmp_path / "mnt")


def test_files_are_for_their_owner_alone(place: Place, tmp_path: Path) -> None:
    place.put("web/a", io.BytesIO(SMALL))
    assert (tmp_path / "exports/web/a").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "exports/web").stat().st_mode & 0o777 == 0o700


def test_links_do_not_lead_out(place: Place, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "exports/web").symlink_to(tmp_path / "outside")
    with pytest.raises(InvalidInput, match="leads out"):
        place.put("web/a", io.BytesIO(SMALL))
    assert list((tmp_path / "outside").iterdir()) == []
