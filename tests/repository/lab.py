"""A small world for repositories under faults: a place with its clock, processes that may die.

Disks are models: chunk number → seed of its content, zero where nothing stands. They span two
segments of their map, so that an incremental takes one over while it rewrites the other.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from hypersdk.model.extents import ExtentKind
from hypersdk.model.instances import Consistency
from hypersdk.model.points import GcReport, PointDisk, RestorePoint, VerifyLevel, VerifyReport
from hypersdk.repository.format import SEGMENT_CHUNKS
from hypersdk.repository.keys import Key, Protect
from hypersdk.repository.layout import INDEX, PACKS, pack_name, point_key
from hypersdk.repository.mark import live_ids, mark, needed_packs
from hypersdk.repository.points import new_point_id
from hypersdk.repository.reader import BlobReader
from hypersdk.repository.repository import Repository
from hypersdk.repository.session import DiskSink, WriteSession
from hypersdk.repository.store.faults import FaultStore, Operation
from hypersdk.repository.store.memory import MemoryStore
from hypersdk.repository.store.ports import Store
from tests.repository.examples import CHUNK, Clock, noise

T = TypeVar("T")

#: Chunk number → seed.
Disk = Mapping[int, int]

#: Chunks of a model's disk: one whole segment and a short one.
DISK_CHUNKS = SEGMENT_CHUNKS + 8
#: Chunks that models use: some in each segment.
PLACES = (*range(8), *range(SEGMENT_CHUNKS, SEGMENT_CHUNKS + 8))
NO_GRACE = timedelta(0)
DAY = timedelta(hours=24)


def disk_of(first: int, places: Sequence[int] = PLACES) -> dict[int, int]:
    """A disk whose chunks have the seeds from ``first`` on."""
    return {place: first + number for number, place in enumerate(places)}


@dataclass
class Place:
    """Where a repository lies, and what is known about it. Every ``process`` is a new one."""

    #: Folder for the index caches of its hosts.
    caches: Path
    key: Key | None = None
    clock: Clock = field(default_factory=Clock)
    #: Restore point id → what must come back.
    expected: dict[str, dict[int, int]] = field(default_factory=dict)
    store: MemoryStore = field(init=False)

    def __post_init__(self) -> None:
        self.store = MemoryStore(clock=self.clock)

    def init(self, protect: Protect | None = None) -> None:
        Repository.create(
            self.store, protect or Protect.none(), chunk_size=CHUNK, clock=self.clock
        ).close()

    def open(self, store: Store | None = None, *, host: str = "a") -> Repository:
        """A process on a host. Hosts have an index cache each."""
        return Repository.open(
            store or self.store, self.key, cache=self.caches / host, clock=self.clock
        )

    @contextlib.contextmanager
    def process(self, *, host: str = "a") -> Iterator[tuple[Repository, FaultStore]]:
        """A process whose store can be made to fail."""
        faults = FaultStore(self.store)
        with self.open(faults, host=host) as repository:
            yield repository, faults

    def copy(self) -> Place:
        """The same place as it is now, to try something on."""
        twin = Place(self.caches, self.key, Clock(self.clock.now), dict(self.expected))
        twin.store._objects = dict(self.store._objects)
        return twin

    # -- work

    def back_up(
        self,
        name: str,
        disk: Disk,
        changed: AbstractSet[int] | None = None,
        repository: Repository | None = None,
    ) -> RestorePoint:
        """A backup in one go; ``changed`` makes it an incremental."""
        with contextlib.ExitStack() as stack:
            repository = repository or stack.enter_context(self.open())
            with Writer(repository, name, disk, changed) as writer:
                writer.store()
                point = writer.commit()
        self.expected[point.id] = dict(disk)
        return point

    def remove(self, point: RestorePoint) -> None:
        self.expected.pop(point.id, None)
        with self.open() as repository:
            repository.remove(point, "test")

    def collect(self, grace: timedelta = NO_GRACE, *, host: str = "gc") -> GcReport:
        with self.open(host=host) as repository:
            return repository.collect(grace)

    # -- checks

    def verify(self, level: VerifyLevel = VerifyLevel.CONTENT) -> VerifyReport:
        with self.open() as repository:
            return repository.verify(None, level)

    def points(self) -> dict[str, RestorePoint]:
        with self.open() as repository:
            return {point.id: point for point in repository.all_points()}

    def check(self, *, optional: AbstractSet[str] = frozenset()) -> None:
        """Everything expected is there and comes back, whatever else there is is whole.

        ``optional``: points that may be gone, because their removal was under way.
        """
        report = self.verify()
        assert report.ok, report.damage
        with self.open() as repository:
            points = {point.id: point for point in repository.all_points()}
            assert self.expected.keys() - optional <= points.keys()
            for identity, disk in self.expected.items():
                if identity in points:
                    assert_restores(repository, points[identity], disk)

    def packs(self) -> set[bytes]:
        return {name for info in self.store.list(PACKS) if (name := pack_name(info.key))}

    def needed_packs(self) -> set[bytes]:
        """Packs that hold something a point needs."""
        with self.open() as repository:
            index = repository._index
            index.refresh()
            reader = BlobReader(self.store, repository.vault, index)
            with index.scratch() as database:
                mark(database, live_ids(repository.all_points(), reader.read))
                return needed_packs(database)

    def keys(self, folder: str = "") -> list[str]:
        return sorted(info.key for info in self.store.list(folder))

    def runs(self) -> list[str]:
        return self.keys(INDEX)


def assert_restores(repository: Repository, point: RestorePoint, disk: Disk) -> None:
    """Every chunk of the model is there, everything else is zero."""
    (stored,) = point.disks
    with repository.source(point, stored) as source:
        assert source.size == DISK_CHUNKS * CHUNK
        buffer = memoryview(bytearray(CHUNK))
        held: dict[int, bool] = {}
        for extent in source.extents():
            if extent.kind is ExtentKind.DATA:
                held |= dict.fromkeys(range(extent.start // CHUNK, extent.end // CHUNK), True)
        assert held.keys() == disk.keys(), point.id
        for place, seed in disk.items():
            source.readinto(place * CHUNK, buffer)
            assert buffer == noise(CHUNK, seed), (point.id, place)


class Writer:
    """A backup that is carried out step by step, so that others can act in between.

    Does what the flow does: takes over unread areas only when the last point and all the copies
    that it needs may be relied on.
    """

    def __init__(
        self,
        repository: Repository,
        name: str,
        disk: Disk,
        changed: AbstractSet[int] | None = None,
        previous: RestorePoint | None = None,
    ) -> None:
        self._repository = repository
        self._name = name
        self.disk = dict(disk)
        self._session: WriteSession = repository.write()
        self._session.__enter__()
        self._previous = previous or repository.latest(name)
        if self._previous is not None and not repository.has(self._previous):
            self._previous = None
        if self._previous is None:
            changed = None
        before = self._previous.disks[0] if self._previous else None
        self._sink: DiskSink = self._session.disk(
            DISK_CHUNKS * CHUNK, CHUNK, before, inherit=changed is not None
        )
        if changed is not None:
            changed = set(changed) | set(self._sink.must_read())
        self._waiting = [place for place in PLACES if changed is None or place in changed]

    def store(self, count: int | None = None) -> None:
        """Store the next chunks, all by default."""
        count = len(self._waiting) if count is None else count
        chosen, self._waiting = self._waiting[:count], self._waiting[count:]
        for place in chosen:
            if place in self.disk:
                self._sink.write(place * CHUNK, memoryview(noise(CHUNK, self.disk[place])))
            else:
                self._sink.zero(place * CHUNK, CHUNK)

    def commit(self) -> RestorePoint:
        """Store what is left, and make the point exist."""
        self.store()
        segments, _ = self._sink.finish()
        time, identity = self._repository.clock(), new_point_id()
        point = RestorePoint(
            id=identity,
            instance=self._name,
            time=time,
            stored_at=time,
            key=point_key(self._name, time, identity),
            disks=(PointDisk("vda", DISK_CHUNKS * CHUNK, CHUNK, segments),),
            consistency=Consistency.CRASH,
            previous=self._previous.digest if self._previous else b"",
        )
        return self._session.commit(point)

    def end(self, error: BaseException | None = None) -> None:
        self._session.__exit__(type(error) if error else None, error, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end(error)


class Meanwhile(FaultStore):
    """Lets ``act`` happen right before one of its calls: what another process does meanwhile."""

    def __init__(self, inner: Store, number: int, act: Callable[[], None]) -> None:
        super().__init__(inner)
        self._at = number
        self._act = act

    @property
    def reached(self) -> bool:
        """Whether there was such a call."""
        return len(self.journal) >= self._at

    def _call(self, operation: Operation, key: str, act: Callable[[], T]) -> T:
        if len(self.journal) + 1 == self._at:
            self.journal.append((operation, key))  # so that what follows is not "before" again
            self._act()
        return super()._call(operation, key, act)
