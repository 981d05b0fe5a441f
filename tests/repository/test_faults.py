"""A full, read-only, vanished or overloaded storage: clear errors, and nothing lost."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hypersdk.model.errors import (
    StoreDenied,
    StoreError,
    StoreFull,
    StoreUnavailable,
)
from hypersdk.model.points import VerifyLevel
from hypersdk.repository.keys import Protect
from hypersdk.repository.repository import Repository
from hypersdk.repository.store.faults import FaultStore, Operation
from hypersdk.repository.store.local import LocalStore
from hypersdk.repository.store.retrying import Patience, Retrying
from tests.repository.examples import CHUNK, back_up, chunks, content_of
from tests.repository.lab import NO_GRACE, Place, Writer, disk_of

FIRST = disk_of(100)
SECOND = disk_of(200)


@pytest.fixture
def place(tmp_path: Path, small_packs: None) -> Place:
    place = Place(tmp_path)
    place.init()
    place.back_up("web", FIRST)
    place.clock.pass_(minutes=1)
    return place


@pytest.mark.parametrize("error", [StoreFull("no space left"), StoreDenied("read-only")])
def test_a_place_that_takes_no_more_loses_nothing(place: Place, error: StoreError) -> None:
    """From any write on; also when nothing more can be published or released."""
    written = 0
    while True:
        trial = place.copy()
        faults = FaultStore(trial.store)
        faults.fail("put_if_absent", error, times=None, skip=written)
        with trial.open(faults) as repository:
            try:
                trial.back_up("web", SECOND, None, repository)
            except type(error):
                written += 1
            else:
                break
        trial.check()
        trial.back_up("web", SECOND)
        trial.check()
        assert trial.keys(".hypersdk/leases") == []
    assert written >= 6  # a lease, packs, a renewal, a run and the point


def test_what_was_stored_before_the_place_was_full_is_reused(place: Place) -> None:
    faults = FaultStore(place.store)
    faults.fail("put_if_absent", StoreFull("no space left"), skip=2)
    with place.open(faults) as repository, pytest.raises(StoreFull):
        place.back_up("web", SECOND, None, repository)
    with place.open() as repository, Writer(repository, "web", SECOND) as writer:
        place.expected[writer.commit().id] = SECOND
        assert 0 < writer._session.stored < len(SECOND) * CHUNK
    place.check()


def test_a_read_only_place_can_be_read_and_verified(place: Place) -> None:
    """Verification cannot leave its notes then; its report names the damage all the same."""
    faults = FaultStore(place.store)
    key = place.keys(".hypersdk/packs")[0]
    faults.flip(key, 800)
    for operation in ("put_if_absent", "delete"):
        faults.fail(operation, StoreDenied("read-only"), times=None)
    with place.open(faults) as repository:
        report = repository.verify(None, VerifyLevel.CONTENT)
        assert [damage.object for damage in report.damage] == [key]
        for work in (repository.recover, lambda: repository.collect(NO_GRACE)):
            with pytest.raises(StoreDenied):
                work()


OPERATIONS: tuple[Operation, ...] = ("put_if_absent", "get", "get_into", "list", "stat", "delete")


def patient(store: FaultStore) -> Retrying:
    return Retrying(store, Patience(attempts=4, wait_first=0, jitter=0), sleep=lambda _: None)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("after", [False, True], ids=["refused", "answer lost"])
def test_what_is_away_for_a_moment_is_tried_again(
    place: Place, operation: Operation, after: bool
) -> None:
    """Any operation, at any moment: the work is done, and done once."""
    for skip in (*range(8), 13, 21, 34):
        trial = place.copy()
        faults = FaultStore(trial.store)
        faults.fail(operation, StoreUnavailable("503 slow down"), times=3, skip=skip, after=after)
        with trial.open(patient(faults)) as repository:
            trial.back_up("web", SECOND, None, repository)
            trial.remove(repository.points("web")[0])
            repository.collect(NO_GRACE)
        trial.check()
        assert trial.packs() == trial.needed_packs()
        assert trial.keys(".hypersdk/leases") == []


@pytest.mark.parametrize("operation", OPERATIONS[:-1])
def test_what_stays_away_is_said_clearly(place: Place, operation: Operation) -> None:
    faults = FaultStore(place.store)
    with place.open(patient(faults)) as repository:
        faults.fail(operation, StoreUnavailable("503 slow down", hint="Later."), times=None)
        with pytest.raises(StoreUnavailable, match="503 slow down") as caught:
            place.back_up("web", SECOND, None, repository)
        assert "Tried 4 times" in caught.value.hint
        assert "Nothing that was stored is lost" in caught.value.hint
        faults.heal()
        place.back_up("web", SECOND, None, repository)
    place.check()


def test_a_place_that_is_away_during_a_collection_loses_nothing(place: Place) -> None:
    place.back_up("web", SECOND)
    place.remove(min(place.points().values(), key=lambda point: point.key))
    place.clock.pass_(hours=1)
    for operation in OPERATIONS:
        skip, failed = 0, True
        while failed:
            trial = place.copy()
            faults = FaultStore(trial.store)
            with trial.open(faults) as repository:
                faults.fail(operation, StoreUnavailable("away"), times=None, skip=skip)
                try:
                    repository.collect(NO_GRACE)
                    failed = False
                except StoreUnavailable:
                    skip += 3
            trial.clock.pass_(hours=7)
            trial.collect(NO_GRACE)
            trial.check()


def test_a_folder_that_vanishes_is_missed(tmp_path: Path) -> None:
    """An unmounted disk leaves an empty folder, in which nothing may be begun anew."""
    root, away = tmp_path / "repository", tmp_path / "away"
    store = LocalStore(root, create=True)
    Repository.create(store, Protect.none(), chunk_size=CHUNK).close()
    with Repository.open(LocalStore(root), cache=tmp_path / "cache") as repository:
        point = back_up(repository, "web", chunks(1, 2, 3))
        root.rename(away)
        for empty in (False, True):
            if empty:
                root.mkdir()
            for work in (
                lambda: back_up(repository, "web", chunks(4, 5)),
                repository.points,
                lambda: repository.verify(None, VerifyLevel.CONTENT),
                lambda: repository.collect(NO_GRACE),
            ):
                with pytest.raises(StoreUnavailable, match="vanished"):
                    work()
            assert not empty or list(root.iterdir()) == []
        root.rmdir()
        away.rename(root)
        assert content_of(repository, point) == chunks(1, 2, 3)
        back_up(repository, "web", chunks(4, 5))
        assert repository.verify(None, VerifyLevel.CONTENT).ok


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A filesystem of 3 MiB."""
    mounted = tmp_path / "tiny"
    mounted.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(mounted)]
    if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("needs the right to mount a tmpfs")
    yield mounted
    subprocess.run(["umount", "--lazy", str(mounted)], check=True)


def test_a_full_disk(tiny_disk: Path, tmp_path: Path, small_packs: None) -> None:
    root = tiny_disk / "repository"
    Repository.create(LocalStore(root, create=True), Protect.none(), chunk_size=CHUNK).close()
    with Repository.open(LocalStore(root), cache=tmp_path / "cache") as repository:
        first = back_up(repository, "web", chunks(*range(16)))
        with pytest.raises(StoreFull, match="no space left") as caught:
            back_up(repository, "web", chunks(*range(100, 164)))
        assert "Free space" in caught.value.hint
        assert not list((root / ".hypersdk" / "tmp").iterdir())
        assert content_of(repository, first) == chunks(*range(16))
        assert repository.verify(None, VerifyLevel.CONTENT).ok
        subprocess.run(["mount", "-o", "remount,size=16m", str(tiny_disk)], check=True)
        back_up(repository, "web", chunks(*range(100, 164)))
        assert repository.verify(None, VerifyLevel.CONTENT).ok
        subprocess.run(["mount", "-o", "remount,ro", str(tiny_disk)], check=True)
        with pytest.raises(StoreDenied, match="read-only"):
            back_up(repository, "web", chunks(1))
        assert repository.verify(None, VerifyLevel.CONTENT).ok


def test_a_collection_frees_a_full_place(place: Place) -> None:
    """Pruning and collecting need little room: a lease and a list of names, not a copy of data."""
    place.back_up("web", SECOND)
    place.remove(min(place.points().values(), key=lambda point: point.key))
    place.clock.pass_(hours=1)

    class Full(FaultStore):
        def put_if_absent(self, key: str, data: bytes | bytearray | memoryview) -> None:
            if len(data) > CHUNK:
                raise StoreFull("no room for data")
            super().put_if_absent(key, data)

    full = Full(place.store)
    with place.open(full) as repository:
        report = repository.collect(NO_GRACE)
    assert report.swept_packs > 0
    place.check()
