"""Whatever one process does between any two calls of another to the store, nothing is lost.

Each test runs one process once for every call that it makes to the store, and lets another one do
all its work right before that call. Grace is zero throughout: only the order of writing, leases and
collections protect.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from hypersdk.model.errors import Conflict, Damaged, LeaseLost, ObjectMissing
from hypersdk.model.points import RestorePoint, VerifyLevel
from hypersdk.repository.layout import COLLECTIONS
from hypersdk.repository.repository import Repository
from hypersdk.repository.store.faults import FaultStore
from tests.repository.lab import (
    DAY,
    NO_GRACE,
    PLACES,
    Disk,
    Meanwhile,
    Place,
    Writer,
    disk_of,
)

FIRST = disk_of(100)
SECOND = {**FIRST, **disk_of(200, [place for place in PLACES if place % 4])}
#: As the first one, where the second differs: needs chunks that only the first point has.
BACK = {**SECOND, **{place: FIRST[place] for place in PLACES[1:3]}, 0: 300}
CHANGED = {0, *PLACES[1:3]}

Work = Callable[[Place, Repository], None]


@pytest.fixture(autouse=True)
def _several_packs(small_packs: None) -> None:
    """Several packs per backup."""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Two points of an instance, of which the first one's chunks are half garbage when it goes."""
    place = Place(tmp_path)
    place.init()
    place.back_up("web", FIRST)
    place.clock.pass_(minutes=1)
    place.back_up("web", SECOND, set(PLACES))
    place.clock.pass_(minutes=1)
    return place


def moments(place: Place, work: Work, meanwhile: Callable[[Place], None]) -> Iterator[Place]:
    """The place after ``work``, with ``meanwhile`` before each of its calls."""
    number = 0
    while True:
        number += 1
        trial = place.copy()
        store = Meanwhile(trial.store, number, lambda trial=trial: meanwhile(trial))  # type: ignore[misc]
        with trial.open(store, host="first") as repository:
            work(trial, repository)
        if not store.reached:
            assert number > 5
            return
        yield trial


def settles(place: Place) -> None:
    """All is there when everything that can be collected is collected."""
    place.clock.pass_(hours=7)
    place.collect(NO_GRACE)
    place.check()
    assert place.packs() == place.needed_packs()


def oldest(place: Place) -> RestorePoint:
    return min(place.points().values(), key=lambda point: point.key)


def newest(place: Place) -> RestorePoint:
    return max(place.points().values(), key=lambda point: point.key)


def backup(disk: Disk, changed: set[int] | None) -> Work:
    def work(place: Place, repository: Repository) -> None:
        place.back_up("web", disk, changed, repository)

    return work


def collection(place: Place, repository: Repository) -> None:
    repository.collect(NO_GRACE)


def prune_oldest(place: Place) -> None:
    place.remove(oldest(place))


def prune_and_collect(place: Place) -> None:
    prune_oldest(place)
    place.collect(NO_GRACE)


def prune_all_and_collect(place: Place) -> None:
    """All but one that is being committed."""
    for identity, point in place.points().items():
        if identity in place.expected:
            place.remove(point)
    place.collect(NO_GRACE)
    place.collect(NO_GRACE)


def back_up_meanwhile(disk: Disk, changed: set[int] | None) -> Callable[[Place], None]:
    def act(place: Place) -> None:
        with place.open(host="second") as repository:
            place.back_up("web", disk, changed, repository)

    return act


@pytest.mark.parametrize("meanwhile", [prune_and_collect, prune_all_and_collect])
@pytest.mark.parametrize("changed", [None, CHANGED], ids=["full", "incremental"])
def test_points_go_and_are_collected_during_a_backup(
    place: Place, changed: set[int] | None, meanwhile: Callable[[Place], None]
) -> None:
    for trial in moments(place, backup(BACK, changed), meanwhile):
        settles(trial)


def test_a_point_goes_between_the_choice_of_a_base_and_the_lease(place: Place) -> None:
    """The base of an incremental was looked up before the writer had a lease."""
    with place.open() as repository:
        base = newest(place)
        prune_all_and_collect(place)
        with Writer(repository, "web", BACK, CHANGED, previous=base) as writer:
            place.expected[writer.commit().id] = BACK
    settles(place)


@pytest.mark.parametrize("changed", [None, CHANGED], ids=["full", "incremental"])
def test_a_backup_during_a_collection(place: Place, changed: set[int] | None) -> None:
    prune_oldest(place)
    for trial in moments(place, collection, back_up_meanwhile(BACK, changed)):
        settles(trial)


@pytest.mark.parametrize("changed", [None, CHANGED], ids=["full", "incremental"])
def test_a_backup_during_a_sweep(place: Place, changed: set[int] | None) -> None:
    """What was condemned long ago is swept, and condemned anew, while a backup runs."""
    prune_oldest(place)
    place.collect(DAY)
    place.clock.pass_(hours=25)
    for trial in moments(place, collection, back_up_meanwhile(BACK, changed)):
        settles(trial)


def test_a_writer_that_begins_during_a_collection_and_commits_after_another(place: Place) -> None:
    prune_oldest(place)
    writers: list[tuple[Repository, Writer]] = []

    def begin(trial: Place) -> None:
        repository = trial.open(host="second")
        writers.append((repository, Writer(repository, "web", BACK, CHANGED)))

    for trial in moments(place, collection, begin):
        repository, writer = writers.pop()
        writer.store(1)
        trial.remove(newest(trial))
        trial.collect(NO_GRACE)
        trial.expected[writer.commit().id] = BACK
        writer.end()
        repository.close()
        settles(trial)


def test_a_commit_during_a_collection(place: Place) -> None:
    """A writer from before the collection commits in the middle of it."""
    number, reached = 0, True
    while reached:
        number += 1
        trial = place.copy()
        with trial.open(host="second") as second, trial.open(host="gc") as first:
            writer = Writer(second, "web", BACK, CHANGED)
            writer.store()
            prune_oldest(trial)
            trial.clock.pass_(minutes=11)

            def commit(trial: Place = trial, writer: Writer = writer) -> None:
                trial.expected[writer.commit().id] = BACK
                writer.end()

            first.store = store = Meanwhile(trial.store, number, commit)
            first.collect(NO_GRACE)
            reached = store.reached
            if not reached:
                commit()
        settles(trial)
    assert number > 20


def test_two_collections(place: Place) -> None:
    """Two that see each other both stop; two that do not see each other lose nothing."""
    prune_oldest(place)

    def collect_meanwhile(trial: Place) -> None:
        try:
            trial.collect(NO_GRACE, host="second")
        except Conflict:
            trial.refused = True  # type: ignore[attr-defined]

    def collect(trial: Place, repository: Repository) -> None:
        try:
            repository.collect(NO_GRACE)
        except Conflict:
            trial.refused = True  # type: ignore[attr-defined]

    for trial in moments(place, collect, collect_meanwhile):
        settles(trial)


def test_a_collection_that_slept_deletes_nothing(place: Place) -> None:
    """Others may have done anything since it looked."""
    prune_oldest(place)
    outcomes = set()
    number, reached = 0, True
    while reached:
        number += 1
        trial = place.copy()

        def sleep(trial: Place = trial) -> None:
            trial.clock.pass_(hours=7)
            trial.collect(NO_GRACE, host="second")
            trial.back_up("web", BACK, CHANGED)

        store = Meanwhile(trial.store, number, sleep)
        with trial.open(store, host="first") as repository:
            try:
                repository.collect(NO_GRACE)
                outcomes.add("done")
            except (LeaseLost, Conflict, ObjectMissing) as error:
                outcomes.add(type(error).__name__)
        reached = store.reached
        if reached:
            trial.back_up("next", BACK)  # relies on nothing that the sleeper published
            settles(trial)
    assert {"done", "LeaseLost"} <= outcomes


def test_a_writer_that_slept_relies_on_nothing_unseen(place: Place) -> None:
    """It was taken for dead, and what it had stored was collected."""
    outcomes = set()

    def sleep(trial: Place) -> None:
        trial.clock.pass_(hours=7)
        prune_all_and_collect(trial)

    number, reached = 0, True
    while reached:
        number += 1
        trial = place.copy()
        store = Meanwhile(trial.store, number, lambda trial=trial: sleep(trial))  # type: ignore[misc]
        with trial.open(store, host="first") as repository:
            try:
                trial.back_up("web", BACK, CHANGED, repository)
                outcomes.add("done")
            except (LeaseLost, Damaged) as error:
                outcomes.add(type(error).__name__)
        reached = store.reached
        if reached:
            trial.back_up("next", BACK)  # relies on nothing that the sleeper published
            settles(trial)
    assert {"done", "LeaseLost"} <= outcomes


@pytest.mark.parametrize("level", list(VerifyLevel))
def test_verification_during_anything_raises_no_false_alarm(
    place: Place, level: VerifyLevel
) -> None:
    def verify(trial: Place, repository: Repository) -> None:
        report = repository.verify(None, level)
        assert report.ok, report.damage

    def everything(trial: Place) -> None:
        back_up_meanwhile(BACK, CHANGED)(trial)
        prune_and_collect(trial)
        trial.collect(NO_GRACE)

    for trial in moments(place, verify, everything):
        settles(trial)


def test_recovery_during_a_backup(place: Place) -> None:
    def recover(trial: Place) -> None:
        with trial.open(host="second") as repository:
            repository.recover()

    for trial in moments(place, backup(BACK, CHANGED), recover):
        settles(trial)


def test_a_backup_during_recovery(place: Place) -> None:
    def recover(trial: Place, repository: Repository) -> None:
        repository.recover()

    for trial in moments(place, recover, back_up_meanwhile(BACK, CHANGED)):
        settles(trial)


def test_slow_writes_carry_early_times(place: Place) -> None:
    """A collection's object may be older than a lease that was there before it could be seen."""
    prune_oldest(place)
    with place.open() as repository:
        writer = Writer(repository, "web", BACK, CHANGED)
        writer.store()
        place.clock.pass_(minutes=-5)
        place.collect(NO_GRACE)
        place.collect(NO_GRACE)
        place.expected[writer.commit().id] = BACK
        writer.end()
    place.clock.now += timedelta(minutes=10)
    settles(place)


def test_a_map_in_a_condemned_pack_is_stored_again(tmp_path: Path) -> None:
    """An incremental takes over a segment whose chunks are safe, but which itself is condemned."""
    place = Place(tmp_path)
    place.init()
    first = place.back_up("web", FIRST)
    place.back_up("db", disk_of(100, PLACES[::-1]))  # the same chunks, other segments
    place.clock.pass_(hours=1)
    with place.open(host="early") as repository:
        early = Writer(repository, "web", FIRST)
        place.remove(first)
        report = place.collect(DAY)
        assert (report.condemned_packs, report.repacked_bytes) == (1, 0)
        second = early.commit()  # relies on the condemned map, which it cannot know of
        early.end()
    place.clock.pass_(minutes=15)
    with place.open(host="late") as repository:
        late = Writer(repository, "web", {**FIRST, 0: 300}, {0})
        with place.open() as other:
            other.remove(second, "test")
        assert place.collect(NO_GRACE).swept_packs >= 1
        place.expected[late.commit().id] = {**FIRST, 0: 300}
        late.end()
    settles(place)


def test_a_collection_that_was_long_in_coming_condemns_nothing(place: Place) -> None:
    """A writer may have begun before it could be seen, and yet look younger."""
    prune_oldest(place)

    class Slow(FaultStore):
        def put_if_absent(self, key: str, data: bytes | bytearray | memoryview) -> None:
            super().put_if_absent(key, data)
            if key.startswith(COLLECTIONS):
                place.clock.pass_(minutes=11)

    with place.open(Slow(place.store)) as repository, pytest.raises(LeaseLost):
        repository.collect(DAY)
    assert place.keys(COLLECTIONS) == []
    settles(place)
