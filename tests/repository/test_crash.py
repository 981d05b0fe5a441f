"""A process that dies at any write leaves a repository in which nothing is lost.

Every step of a repository's life is run once for every write it does, and dies there: before the
write, and after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from hypersdk.model.errors import NotARepository
from hypersdk.model.points import VerifyLevel
from hypersdk.repository.keys import READER, Key, Protect
from hypersdk.repository.layout import PACKS
from hypersdk.repository.repository import Repository
from hypersdk.repository.store.faults import FaultStore, SimulatedCrash
from tests.repository.examples import CHUNK, IDENTITY, RECIPIENT
from tests.repository.lab import DAY, NO_GRACE, PLACES, Disk, Place, Writer, disk_of

FIRST = disk_of(100)
#: Three of four chunks rewritten, one of each segment zeroed.
SECOND = {**FIRST, **disk_of(200, [place for place in PLACES if place % 4])}
del SECOND[1], SECOND[PLACES[-1]]
THIRD = {**SECOND, 0: 300}
OTHER = disk_of(100, PLACES[:4]) | disk_of(400, PLACES[4:8])


@dataclass(frozen=True)
class Step:
    """Something a process does to a repository."""

    name: str
    run: Callable[[Repository], None]
    #: What a new point of the step must hold, by instance.
    made: dict[str, Disk] = field(default_factory=dict)
    #: How many of the oldest points it removes.
    removes: int = 0
    #: Time passes before it.
    after: timedelta = timedelta(minutes=1)


def backup(name: str, disk: Disk, changed: set[int] | None = None) -> Callable[[Repository], None]:
    def run(repository: Repository) -> None:
        writer = Writer(repository, name, disk, changed)
        try:
            writer.commit()
        except BaseException as error:
            writer.end(error)
            raise
        writer.end()

    return run


def changes(old: Disk, new: Disk) -> set[int]:
    return {place for place in PLACES if old.get(place) != new.get(place)}


def prune(repository: Repository) -> None:
    repository.remove(repository.all_points()[0], "test")


def add_key(repository: Repository) -> None:
    repository.add_key(Protect.recipient(RECIPIENT), role=READER, label="second")


def remove_key(repository: Repository) -> None:
    repository.remove_key(repository.keys()[-1].id)


def _collect(repository: Repository, grace: timedelta) -> None:
    repository.collect(grace)


def _recover(repository: Repository) -> None:
    assert not repository.recover().unreadable


def _verify(repository: Repository) -> None:
    repository.verify(None, VerifyLevel.CONTENT)


STEPS = [
    Step("first backup", backup("web", FIRST), {"web": FIRST}),
    Step("another instance", backup("db/1", OTHER), {"db/1": OTHER}),
    Step("incremental", backup("web", SECOND, changes(FIRST, SECOND)), {"web": SECOND}),
    Step("add a key", add_key),
    Step("remove a key", remove_key),
    Step("prune", prune, removes=1),
    Step("condemn and repack", lambda repository: _collect(repository, DAY)),
    Step("incremental beside a collection", backup("web", THIRD, {0}), {"web": THIRD}),
    Step("sweep", lambda repository: _collect(repository, DAY), after=timedelta(hours=25)),
    Step("prune again", prune, removes=1),
    Step("condemn and sweep at once", lambda repository: _collect(repository, NO_GRACE)),
    Step("recover", _recover),
    Step("note damage", _verify),
]


@pytest.fixture(autouse=True)
def _several_packs(small_packs: None) -> None:
    """Several packs per backup."""


def crashes(place: Place, step: Step) -> Iterator[tuple[int, bool, Place]]:
    """The place after a crash at each write of a step: (write, after it, place)."""
    number = 0
    while True:
        number += 1
        for after in (False, True):
            trial = place.copy()
            trial.clock.now += step.after
            faults = FaultStore(trial.store)
            faults.crash_at_write(number, after=after)
            try:
                with trial.open(faults) as repository:
                    step.run(repository)
            except SimulatedCrash:
                pass
            if not faults.crashed:
                assert number > 1
                return
            yield number, after, trial


def run_step(place: Place, step: Step) -> None:
    """The step, undisturbed; ``expected`` follows it."""
    place.clock.now += step.after
    before = place.points()
    with place.open() as repository:
        step.run(repository)
    for identity in list(before)[: step.removes]:
        place.expected.pop(identity)
    take_in(place, step)


def take_in(place: Place, step: Step) -> None:
    """Points that the step made are expected from now on."""
    for identity, point in place.points().items():
        if identity not in place.expected and point.instance in step.made:
            place.expected[identity] = dict(step.made[point.instance])


def outlives(place: Place, step: Step) -> None:
    """What must be possible after a crash in a step, and what must be true then."""
    going = set(list(place.expected)[: step.removes])
    place.check(optional=going)
    before = len(place.expected)
    take_in(place, step)
    assert len(place.expected) <= before + len(step.made)
    place.check(optional=going)
    newest = disk_of(900, PLACES[:3]) | disk_of(150, PLACES[9:])
    place.back_up("web", newest, set(PLACES))
    place.check(optional=going)
    place.clock.pass_(hours=7)
    for _ in range(2):
        place.collect(NO_GRACE)
        place.check(optional=going)
    assert place.packs() == place.needed_packs()
    assert place.keys(".hypersdk/leases") == []
    assert place.keys(".hypersdk/gc") == []


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path, Key.identity(IDENTITY))
    place.init(Protect.recipient(RECIPIENT))
    return place


@pytest.mark.parametrize("number", range(len(STEPS)), ids=[step.name for step in STEPS])
def test_a_crash_at_any_write_loses_nothing(place: Place, number: int) -> None:
    for step in STEPS[:number]:
        run_step(place, step)
    if STEPS[number].name == "note damage":
        damage_something_unneeded(place)
    for _write, _after, wreck in crashes(place, STEPS[number]):
        outlives(wreck, STEPS[number])


def damage_something_unneeded(place: Place) -> None:
    """A damaged pack that no point needs, so that verification has a note to write."""
    with place.process() as (repository, faults):
        writer = Writer(repository, "gone", disk_of(700), None)
        point = writer.commit()
        writer.end()
        repository.remove(point, "test")
        data = next(
            info.key
            for info in faults.list(PACKS)
            if info.key.rsplit("/", 1)[-1] not in {name.hex() for name in place.needed_packs()}
        )
        faults.flip(data, 77)


@pytest.mark.parametrize("encrypted", [False, True])
def test_a_crash_of_init_leaves_a_repository_or_none(tmp_path: Path, encrypted: bool) -> None:
    protect = Protect.recipient(RECIPIENT) if encrypted else Protect.none()
    key = Key.identity(IDENTITY) if encrypted else None
    for number in range(1, 6):
        for after in (False, True):
            place = Place(tmp_path, key)
            faults = FaultStore(place.store)
            faults.crash_at_write(number, after=after)
            try:
                Repository.create(faults, protect, chunk_size=CHUNK).close()
            except SimulatedCrash:
                pass
            else:
                assert number > 1
                return
            try:
                place.open().close()
            except NotARepository:
                place.init(protect)
            place.back_up("web", FIRST)
            place.check()
            with place.open() as repository:
                assert len(repository.keys()) == encrypted
    raise AssertionError("init never came to its end")


def test_a_killed_backup_is_reused(place: Place) -> None:
    """What was stored before the crash is not stored again."""
    with place.process() as (repository, faults):
        faults.crash_at_write(8)  # behind the lease, packs and an index run
        writer = Writer(repository, "web", FIRST)
        with pytest.raises(SimulatedCrash):
            writer.commit()
        writer.end(SimulatedCrash())
    assert place.runs()
    with place.open() as repository, Writer(repository, "web", FIRST) as writer:
        point = writer.commit()
        assert writer._session.stored == 0
    place.expected[point.id] = FIRST
    place.check()
