"""A repository lived in at random: writers, collectors, crashes, clocks that jump, damage.

The model knows what every committed and not removed point must hold. Whatever happens in whatever
order, these come back, and verification finds nothing wrong.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from hypersdk.model.errors import Conflict, Damaged, LeaseLost
from hypersdk.model.points import RestorePoint
from hypersdk.repository.layout import pack_key
from hypersdk.repository.leases import SKEW, VALID
from hypersdk.repository.repository import Repository
from hypersdk.repository.store.faults import FaultStore, SimulatedCrash
from tests.repository.lab import NO_GRACE, PLACES, Disk, Place, Writer, assert_restores

NAMES = ("web", "db")
#: Few, so that instances and times share chunks.
SEEDS = st.integers(0, 11)
GUEST_WRITES = st.dictionaries(st.sampled_from(PLACES), st.none() | SEEDS, min_size=1, max_size=6)
HOSTS = st.sampled_from(["a", "b"])
GRACES = st.sampled_from([NO_GRACE, timedelta(hours=1), timedelta(hours=24)])
#: How far the storage's clock goes at once; it may be set back.
LEAPS = st.sampled_from([1, 60, 900, 3600, 7 * 3600, 25 * 3600, -300, -8 * 3600])
WRITERS_MAX = 3
#: A collector that was killed may still be at work, as far as anybody knows.
UNLESS_BUSY = contextlib.suppress(Conflict)


class _Running:
    """A writer that is not done, and what its clock has seen."""

    def __init__(self, repository: Repository, writer: Writer, began: float) -> None:
        self.repository = repository
        self.writer = writer
        self.seen = began
        #: True when the storage's clock gave reason to think that the lease was lost.
        self.away = False

    def close(self, error: BaseException | None = None) -> None:
        self.writer.end(error)
        self.repository.close()


class Life(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="hypersdk-races-")
        self.place = Place(Path(self.folder.name))
        self.guests: dict[str, dict[int, int]] = {name: {} for name in NAMES}
        self.running: list[_Running] = []
        self.points: dict[str, RestorePoint] = {}
        #: Keys of packs that were damaged or lost.
        self.rotten: set[str] = set()

    @initialize()
    def begin(self) -> None:
        self.place.init()

    def teardown(self) -> None:
        for running in self.running:
            running.close()
        self.place.clock.pass_(days=30)  # also for leases from before it was set back
        try:
            self.place.collect(NO_GRACE)
            self.place.collect(NO_GRACE)
            self.place.check()
            assert self.place.packs() <= self.place.needed_packs()
        finally:
            self.folder.cleanup()

    # -- guests and backups

    @rule(name=st.sampled_from(NAMES), writes=GUEST_WRITES)
    def guest_writes(self, name: str, writes: dict[int, int | None]) -> None:
        for place, seed in writes.items():
            if seed is None:
                self.guests[name].pop(place, None)
            else:
                self.guests[name][place] = seed

    @rule(name=st.sampled_from(NAMES), incremental=st.booleans(), host=HOSTS)
    def backup(self, name: str, incremental: bool, host: str) -> None:
        with (
            self.place.open(host=host) as repository,
            self._writer(repository, name, incremental=incremental) as writer,
        ):
            point = writer.commit()
        self._committed(point, writer.disk)

    @precondition(lambda self: len(self.running) < WRITERS_MAX)
    @rule(name=st.sampled_from(NAMES), incremental=st.booleans(), host=HOSTS)
    def writer_begins(self, name: str, incremental: bool, host: str) -> None:
        repository = self.place.open(host=host)
        writer = self._writer(repository, name, incremental=incremental)
        self.running.append(_Running(repository, writer, self.place.clock.now.timestamp()))

    @precondition(lambda self: self.running)
    @rule(which=st.integers(0, WRITERS_MAX), count=st.integers(1, 10))
    def writer_stores(self, which: int, count: int) -> None:
        self.running[which % len(self.running)].writer.store(count)

    @precondition(lambda self: self.running)
    @rule(which=st.integers(0, WRITERS_MAX))
    def writer_commits(self, which: int) -> None:
        running = self.running.pop(which % len(self.running))
        try:
            point = running.writer.commit()
        except (LeaseLost, Damaged) as error:
            running.close(error)
            if not running.away:
                raise
        else:
            running.close()
            self._committed(point, running.writer.disk)

    @precondition(lambda self: self.running)
    @rule(
        which=st.integers(0, WRITERS_MAX), error=st.sampled_from([ValueError(), SimulatedCrash()])
    )
    def writer_fails(self, which: int, error: BaseException) -> None:
        self.running.pop(which % len(self.running)).close(error)

    # -- upkeep

    @precondition(lambda self: self.points)
    @rule(which=st.integers(0, 50))
    def prune(self, which: int) -> None:
        identity = sorted(self.points)[which % len(self.points)]
        self.place.remove(self.points.pop(identity))

    @rule(grace=GRACES, host=HOSTS)
    def collect(self, grace: timedelta, host: str) -> None:
        with UNLESS_BUSY:
            self.place.collect(grace, host=host)

    @rule()
    def recover(self) -> None:
        with self.place.open() as repository, UNLESS_BUSY:
            assert repository.recover().unreadable.keys() <= self.rotten

    @rule(seconds=LEAPS)
    def time_passes(self, seconds: int) -> None:
        self.place.clock.pass_(seconds=seconds)
        now = self.place.clock.now.timestamp()
        for running in self.running:
            gone = now - running.seen
            if gone > VALID.total_seconds() or gone < -SKEW.total_seconds():
                running.away = True

    # -- faults

    @rule(
        name=st.sampled_from(NAMES),
        incremental=st.booleans(),
        at=st.integers(1, 12),
        after=st.booleans(),
    )
    def backup_is_killed(self, name: str, incremental: bool, at: int, after: bool) -> None:
        disk = dict(self.guests[name])

        def work(repository: Repository) -> None:
            writer = self._writer(repository, name, incremental=incremental)
            try:
                writer.commit()
            except BaseException as error:
                writer.end(error)
                raise
            writer.end()

        self._killed(work, at, after)
        for identity, point in self.place.points().items():
            if identity not in self.points:
                self._committed(point, disk)

    @rule(grace=GRACES, at=st.integers(1, 20), after=st.booleans())
    def collection_is_killed(self, grace: timedelta, at: int, after: bool) -> None:
        def work(repository: Repository) -> None:
            with UNLESS_BUSY:
                repository.collect(grace)

        self._killed(work, at, after)

    @rule(at=st.integers(1, 8), after=st.booleans())
    def recovery_is_killed(self, at: int, after: bool) -> None:
        def work(repository: Repository) -> None:
            with UNLESS_BUSY:
                repository.recover()

        self._killed(work, at, after)

    @precondition(lambda self: self.points)
    @rule(which=st.integers(0, 50), at=st.integers(1, 2), after=st.booleans())
    def pruning_is_killed(self, which: int, at: int, after: bool) -> None:
        identity = sorted(self.points)[which % len(self.points)]
        point = self.points[identity]
        self._killed(lambda repository: repository.remove(point, "test"), at, after)
        if identity not in self.place.points():
            del self.points[identity], self.place.expected[identity]

    @precondition(lambda self: self.points and not self.running)
    @rule(which=st.integers(0, 50), place=st.integers(0, 1 << 30), lost=st.booleans())
    def a_pack_rots(self, which: int, place: int, lost: bool) -> None:
        """Verification names the damage; backups of what it breaks make everything whole again."""
        sound = {pack_key(name) for name in self.place.needed_packs()} - self.rotten
        if not sound:
            return
        key = sorted(sound)[which % len(sound)]
        self.rotten.add(key)
        faults = FaultStore(self.place.store)
        if lost:
            faults.vanish(key)
        else:
            faults.flip(key, place % (faults.stat(key).size * 8))
        report = self.place.verify()
        assert key in {damage.object for damage in (*report.damage, *report.harmless)}
        for broken in sorted({a.point for d in report.damage for a in d.affected}):
            self._committed(*self._store_again(broken))
        assert self.place.verify().ok

    # -- what must be true

    @invariant()
    def everything_comes_back(self) -> None:
        if not self.points:
            return
        with self.place.open(host="restore") as repository:
            for identity, point in self.points.items():
                assert_restores(repository, point, self.place.expected[identity])

    # -- inside

    def _writer(self, repository: Repository, name: str, *, incremental: bool) -> Writer:
        disk = self.guests[name]
        previous = repository.latest(name)
        changed: set[int] | None = None
        if incremental and previous is not None:
            before = self.place.expected[previous.id]
            changed = {place for place in PLACES if before.get(place) != disk.get(place)}
        return Writer(repository, name, disk, changed, previous)

    def _committed(self, point: RestorePoint, disk: Disk) -> None:
        self.points[point.id] = point
        self.place.expected[point.id] = dict(disk)

    def _store_again(self, identity: str) -> tuple[RestorePoint, Disk]:
        disk = self.place.expected[identity]
        with self.place.open() as repository, Writer(repository, "again", disk) as writer:
            return writer.commit(), disk

    def _killed(self, work: Callable[[Repository], None], at: int, after: bool) -> None:
        faults = FaultStore(self.place.store)
        faults.crash_at_write(at, after=after)
        try:
            with self.place.open(faults, host="killed") as repository:
                work(repository)
        except SimulatedCrash:
            pass


def test_a_life(small_packs: None) -> None:
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=40,
            stateful_step_count=30,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
