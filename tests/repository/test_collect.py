"""Garbage collection: what it takes, what it leaves, and for whom it waits."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from hypersdk.model.errors import Conflict, Damaged
from hypersdk.repository.index import MANY_RUNS
from hypersdk.repository.keys import WRITER, Key, Protect, generate_identity
from hypersdk.repository.layout import INDEX, pack_key
from hypersdk.repository.leases import COLLECT, Lease
from hypersdk.repository.notes import condemn
from hypersdk.repository.repository import Repository
from hypersdk.repository.store.faults import FaultStore, SimulatedCrash
from tests.repository.examples import IDENTITY, RECIPIENT
from tests.repository.lab import DAY, NO_GRACE, PLACES, Place, Writer, disk_of

FIRST = disk_of(100)
#: Another content at all places but two, one in each segment.
SECOND = {**disk_of(200), 0: FIRST[0], PLACES[-1]: FIRST[PLACES[-1]]}


@pytest.fixture
def place(tmp_path: Path, small_packs: None) -> Place:
    """A repository in which the packs of the removed first point are mostly garbage."""
    place = Place(tmp_path, Key.identity(IDENTITY))
    place.init(Protect.recipient(RECIPIENT))
    first = place.back_up("web", FIRST)
    place.clock.pass_(minutes=1)
    place.back_up("web", SECOND)
    place.clock.pass_(minutes=1)
    place.remove(first)
    place.clock.pass_(hours=1)
    return place


def test_condemned_packs_wait_for_the_grace_time(place: Place) -> None:
    before = place.packs()
    report = place.collect(DAY)
    assert report.condemned_packs >= 3
    assert report.repacked_bytes > 0
    assert report.swept_packs == 0
    assert place.packs() > before
    place.clock.pass_(hours=23)
    report = place.collect(DAY)
    assert report.swept_packs == 0
    assert report.waiting_packs >= 3
    assert "grace time" in report.waiting_for
    place.clock.pass_(hours=1)
    assert place.collect(DAY).swept_packs == report.waiting_packs
    assert place.packs() == place.needed_packs()
    assert place.keys(".hypersdk/gc") == []
    place.check()


def test_without_grace_one_run_is_enough(place: Place) -> None:
    report = place.collect(NO_GRACE)
    assert report.swept_packs == report.condemned_packs >= 3
    assert place.packs() == place.needed_packs()
    place.check()
    assert place.collect(NO_GRACE).condemned_packs == 0


def test_a_preview_writes_nothing(place: Place) -> None:
    before = place.keys()
    faults = FaultStore(place.store)
    with place.open(faults) as repository:
        preview = repository.collect(NO_GRACE, dry_run=True)
    assert (faults.calls["put_if_absent"], faults.calls["delete"]) == (0, 0)
    assert place.keys() == before
    report = place.collect(NO_GRACE)
    assert preview.condemned_packs == report.condemned_packs
    assert preview.repacked_bytes == report.repacked_bytes


def test_a_sweep_waits_for_who_was_at_work_before(place: Place) -> None:
    """The writer relies on chunks that nobody else needs; its point rescues their packs."""
    with place.open(host="writer") as repository:
        writer = Writer(repository, "old", FIRST)
        writer.store()
        assert writer._session.stored == 0
        report = place.collect(NO_GRACE)
        assert report.condemned_packs >= 3
        assert report.swept_packs == 0
        assert "the writer that began" in report.waiting_for
        place.expected[writer.commit().id] = FIRST
        writer.end()
    report = place.collect(NO_GRACE)
    assert report.rescued_packs >= 3
    place.check()


def test_a_writer_that_began_later_relies_on_nothing_condemned(place: Place) -> None:
    place.collect(DAY)
    place.clock.pass_(minutes=15)
    with place.open(host="writer") as repository:
        writer = Writer(repository, "old", FIRST)
        writer.store()
        assert writer._session.stored > 0
        place.clock.pass_(hours=25)
        assert place.collect(DAY).swept_packs >= 3  # it does not wait for this one
        with pytest.raises(Exception, match="interrupted for too long"):
            writer.commit()  # it slept 25 hours: what it stored itself was collected too
        writer.end()
    place.back_up("old", FIRST)
    place.check()


def test_packs_of_a_writer_that_died_go_when_its_lease_is_dead(place: Place) -> None:
    place.collect(NO_GRACE)
    before = place.packs()
    with place.open(host="writer") as repository:
        writer = Writer(repository, "lost", disk_of(500))
        writer.store()
        writer._session._data.finish()
        writer.end(SimulatedCrash())
    assert place.packs() > before
    assert place.collect(NO_GRACE).condemned_packs == 0
    place.clock.pass_(hours=6)
    assert place.collect(NO_GRACE).swept_packs == 3
    assert place.packs() == before
    assert place.keys(".hypersdk/leases") == []


def test_a_collector_that_died_is_ignored_after_six_hours(place: Place) -> None:
    with place.open() as repository:
        dead = Lease(place.store, repository.vault.context, COLLECT)
        dead.begin()
        dead.abandon()
    place.clock.pass_(hours=5)
    with pytest.raises(Conflict):
        place.collect(NO_GRACE)
    place.clock.pass_(hours=1)
    place.collect(NO_GRACE)
    place.check()


def test_an_index_with_a_gap_stops_the_collector(place: Place) -> None:
    """The packs whose entries are lost look like garbage."""
    for key in place.keys(INDEX):
        trial = place.copy()
        trial.store.delete(key)
        before = trial.packs()
        with trial.open(host=key) as repository, pytest.raises(Damaged, match="index"):
            repository.collect(NO_GRACE)
        assert trial.packs() == before
        with trial.open(host=key) as repository:
            repository.recover()
            repository.collect(NO_GRACE)
        trial.check()


def test_what_a_recovery_found_is_collected_like_anything_else(place: Place) -> None:
    for key in place.keys(INDEX):
        place.store.delete(key)
    with place.open() as repository:
        report = repository.recover()
    assert report.packs == len(place.packs())
    place.check()
    place.collect(NO_GRACE)
    assert place.packs() == place.needed_packs()
    place.check()


def test_many_runs_become_few(place: Place) -> None:
    for number in range(MANY_RUNS):
        place.back_up("many", {number % 4: 1000 + number})
    assert len(place.runs()) > MANY_RUNS
    with place.open(host="reader") as reader:
        point = reader.points("many")[0]
        source = reader.source(point, "vda")
        place.collect(NO_GRACE)
        assert len(place.runs()) <= 3
        assert source.map.id_at(0) != bytes(32)  # a reader from before goes on
    place.check()


def test_a_writers_key_is_enough(place: Place, tmp_path: Path) -> None:
    """Repacking copies blobs as they are; nobody who cannot read them can do it wrong."""
    identity, recipient = generate_identity()
    with place.open() as repository:
        repository.add_key(Protect.recipient(recipient), role=WRITER)
    with Repository.open(place.store, Key.identity(identity), cache=tmp_path / "host") as host:
        assert not host.can_read
        assert host.collect(NO_GRACE).repacked_bytes > 0
        host.recover()
    place.check()
    assert place.packs() == place.needed_packs()


def test_grace_is_counted_by_the_storage(place: Place) -> None:
    """The collector's own clock takes no part."""
    place.collect(DAY)
    with Repository.open(
        place.store, place.key, cache=place.caches / "fast", clock=lambda: place.clock.now + 9 * DAY
    ) as repository:
        assert repository.collect(timedelta(hours=24)).swept_packs == 0


def test_a_copy_that_is_gone_saves_nobody(place: Place) -> None:
    """A condemned pack stays when the other copies of what it holds are lost or damaged."""
    with place.open(host="one") as one, place.open(host="two") as two:
        writers = [Writer(one, "one", disk_of(500)), Writer(two, "two", disk_of(500))]
        before = place.packs()
        points = [writers[0].commit()]
        firsts = place.packs() - before
        points.append(writers[1].commit())
        seconds = place.packs() - before - firsts
        for writer in writers:
            writer.end()
    place.expected |= {point.id: disk_of(500) for point in points}
    with place.open() as repository:
        condemn(place.store, repository.vault.context, firsts)
    lost, damaged, *_ = (pack_key(name) for name in sorted(seconds))
    faults = FaultStore(place.store)
    faults.flip(damaged, 8)
    assert place.verify().ok  # there are two copies of everything; this one is noted now
    faults.vanish(lost)  # which nobody has noted
    place.clock.pass_(hours=1)
    report = place.collect(NO_GRACE)
    assert report.rescued_packs == len(firsts & place.packs()) == 2
    place.check()
