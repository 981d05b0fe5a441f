from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hypersdk import BackupOptions, NotARepository, Repository, init_repository, open_repository
from hypersdk.flows.backup import backup_image
from hypersdk.flows.retire import retire


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "image"
    path.write_bytes(b"\x55" * (2 << 20))
    return path


@pytest.fixture
def place(tmp_path: Path, image: Path) -> Path:
    """Two points of ``web`` and one of ``my db``."""
    place = tmp_path / "repository"
    with init_repository(place, cache=tmp_path / "cache") as repository:
        for name in ("web", "web", "my db"):
            backup_image(repository, image, name)
    return place


def reopened(place: Path) -> Repository:
    return open_repository(place, cache=place.parent / "cache")


def test_one_instance_after_the_other(place: Path) -> None:
    with reopened(place) as repository:
        gone = retire(repository, "web", "test")
        assert (gone.points, gone.kept, gone.whole) == (2, (), False)
        assert [point.instance for point in repository.points()] == ["my db"]
        assert retire(repository, "web", "test").points == 0
        gone = retire(repository, "my db", "test")
        assert (gone.points, gone.whole) == (1, True)
    assert not place.exists()


def test_protected_points_stay(place: Path, image: Path) -> None:
    soon = datetime.now(UTC) + timedelta(days=1)
    with reopened(place) as repository:
        backup_image(repository, image, "web", options=BackupOptions(pinned=True))
        backup_image(repository, image, "web", options=BackupOptions(locked_until=soon))
        gone = retire(repository, "web", "test")
        assert gone.points == 2
        assert ["pinned" in text or "locked" in text for text in gone.kept] == [True, True]
        assert len(repository.points("web")) == 2


def test_what_cannot_be_read_goes_too(place: Path) -> None:
    with reopened(place) as repository:
        retire(repository, "web", "test")
        (point,) = (place / "my db").iterdir()
        point.chmod(0o600)
        point.write_bytes(b"damaged")
        assert retire(repository, "my db", "test").whole


def test_a_repository_somebody_writes_to_stays(place: Path) -> None:
    with reopened(place) as repository:
        retire(repository, "web", "test")
        with repository.write():
            assert not retire(repository, "my db", "test").whole
        assert retire(repository, "my db", "test").whole
    assert not place.exists()


def test_foreign_files_stay(place: Path) -> None:
    (place / "notes.txt").write_text("mine")
    (place / "web" / "also.txt").write_text("mine")
    with reopened(place) as repository:
        retire(repository, "web", "test")
        assert retire(repository, "my db", "test").whole
    left = {path.relative_to(place).as_posix() for path in place.rglob("*")}
    assert left == {"notes.txt", "web", "web/also.txt"}
    with pytest.raises(NotARepository):
        reopened(place)
