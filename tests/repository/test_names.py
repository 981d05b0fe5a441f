"""Instance names as people and hypervisors choose them, through real folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from hypersdk.model.errors import InvalidInput
from hypersdk.model.points import VerifyLevel
from hypersdk.repository.keys import Protect
from hypersdk.repository.layout import instance_folder
from hypersdk.repository.repository import Repository
from hypersdk.repository.store.local import LocalStore
from hypersdk.repository.store.memory import MemoryStore
from hypersdk.repository.store.ports import Store
from tests.repository.examples import CHUNK, back_up, chunks, content_of
from tests.repository.lab import NO_GRACE

LONG = "n" * 300
NAMES = [
    "web 1",
    " leading and trailing ",
    "a/b/c",
    "/etc/passwd",
    "../../outside",
    "..",
    ".",
    ".hypersdk",
    ".hidden",
    "trailing.",
    "-rf",
    "=2E",
    "a=2Fb",
    "a\\b",
    "lost+found",
    "tab\tand\nline",
    "nul\0byte",
    "\x7f\x9b",
    "Ümläut",
    "U\u0308mla\u0308ut",  # the same to the eye
    "数据库 服务器",
    "🦀",
    "ﷺ" * 30,
    "x.rp",
    "n" * 255,
    "数" * 85,
    "数" * 341,
    "m" * 1024,
    LONG + "1",  # alike for longer than a folder's name may be
    LONG + "2",
    LONG + "/",
]


@pytest.fixture(params=["memory", "local"])
def repository(tmp_path: Path, request: pytest.FixtureRequest) -> Repository:
    root = tmp_path / "repository"
    store: Store = MemoryStore() if request.param == "memory" else LocalStore(root, create=True)
    return Repository.create(store, Protect.none(), chunk_size=CHUNK, cache=tmp_path / "cache")


def test_every_name_is_an_instance_of_its_own(repository: Repository, tmp_path: Path) -> None:
    points = {name: back_up(repository, name, chunks(n)) for n, name in enumerate(NAMES)}
    with repository:
        assert {point.instance for point in repository.points()} == set(NAMES)
        assert len(repository.entries()) == len(NAMES)
        repository.collect(NO_GRACE)
        assert repository.verify(None, VerifyLevel.CONTENT).ok
        for number, name in enumerate(NAMES):
            (point,) = repository.points(name)
            assert point.id == points[name].id == repository.find(name).id
            assert repository.latest(name) == point
            assert content_of(repository, point) == chunks(number)
            assert repository.find(f"{name}@latest").id == point.id
    assert {path.name for path in tmp_path.iterdir()} <= {"repository", "cache"}


def test_removing_one_leaves_the_one_that_is_alike(repository: Repository) -> None:
    with repository:
        first, second = (back_up(repository, LONG + end, chunks(5)) for end in "12")
        repository.remove(first, "test")
        repository.collect(NO_GRACE)
        assert [point.id for point in repository.points()] == [second.id]
        assert content_of(repository, second) == chunks(5)


@pytest.mark.parametrize("name", ["", "n" * 1025, "数" * 342, "broken\udcff"])
def test_what_is_no_name(repository: Repository, name: str) -> None:
    with repository, pytest.raises(InvalidInput, match="instance name"):
        back_up(repository, name, chunks(1))


def test_folders_can_be_told_apart_on_any_filesystem() -> None:
    folders = [instance_folder(name) for name in NAMES]
    assert len(set(folders)) == len(NAMES)
    for folder in folders:
        assert len(folder.encode()) <= 200
        assert "/" not in folder
        assert folder[0] not in ". "
        assert folder[-1] not in ". "
        assert folder.isprintable()
        assert folder != "lost+found"
