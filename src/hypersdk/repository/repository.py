"""A repository as its users see it: open it, look around, write, read, tidy up."""

from __future__ import annotations

import contextlib
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

from blake3 import blake3
from ulid import ULID

from hypersdk.model.errors import (
    Conflict,
    Damaged,
    HyperSDKError,
    KeyRequired,
    ObjectMissing,
    PointNotFound,
    StoreUnavailable,
)
from hypersdk.model.instances import Definition
from hypersdk.model.points import (
    DiskDifference,
    GcReport,
    PointDisk,
    RecoverReport,
    RepositoryStatistics,
    RestorePoint,
    VerifyLevel,
    VerifyReport,
)
from hypersdk.repository import configuration as config
from hypersdk.repository.collect import Collector
from hypersdk.repository.find import find_point
from hypersdk.repository.format import CHUNK_SIZE_DEFAULT
from hypersdk.repository.index import ChunkIndex
from hypersdk.repository.keys import READER, Key, KeyRing, KeySlot, Protect, make_slot
from hypersdk.repository.layout import ENGINE, KEYS, PACKS, POINT_SUFFIX, instance_folder
from hypersdk.repository.mark import live_ids, mark, needed_packs
from hypersdk.repository.notes import bury, bury_before
from hypersdk.repository.points import decode_definition, decode_point
from hypersdk.repository.reader import BlobReader
from hypersdk.repository.recover import rebuild_index
from hypersdk.repository.segments import DiskMap, changed_chunks
from hypersdk.repository.session import WriteSession
from hypersdk.repository.source import PointSource
from hypersdk.repository.store.ports import ObjectInfo, Store
from hypersdk.repository.vault import Vault
from hypersdk.repository.verify import Verifier, Watcher, unwatched

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)


class Repository:
    """An open repository. Safe for many threads; close it, or use it as a context manager."""

    def __init__(
        self,
        store: Store,
        settings: config.Configuration,
        ring: KeyRing | None,
        cache: Path | None,
        clock: Clock = utc_now,
    ) -> None:
        """Use ``Repository.create`` or ``Repository.open``."""
        self.store = store
        self.settings = settings
        self.clock = clock
        self._vault = Vault(settings.repository_id, ring, settings.public_key, settings.encrypted)
        self._own_cache = None if cache else tempfile.TemporaryDirectory(prefix="hypersdk-cache-")
        self._cache = cache or Path(self._own_cache.name if self._own_cache else ".")
        self._lock = threading.Lock()
        self._points: dict[str, RestorePoint] = {}

    @classmethod
    def create(
        cls,
        store: Store,
        protect: Protect,
        *,
        chunk_size: int = CHUNK_SIZE_DEFAULT,
        cache: Path | None = None,
        clock: Clock = utc_now,
    ) -> Self:
        """Make a repository in an empty place. Raises AlreadyExists."""
        settings, ring = config.create(store, protect, chunk_size, clock(), str(ULID()), "first")
        return cls(store, settings, ring, cache, clock)

    @classmethod
    def open(
        cls,
        store: Store,
        key: Key | None = None,
        *,
        cache: Path | None = None,
        clock: Clock = utc_now,
    ) -> Self:
        """Open a repository. Without a key, an encrypted one shows names and stored bytes only.

        ``cache``: folder for the index cache; None: a temporary one.
        Raises NotARepository, KeyRequired for a key that opens no slot, Damaged.
        """
        settings, ring = config.unlock(store, key)
        return cls(store, settings, ring, cache, clock)

    # -- what it is

    @property
    def url(self) -> str:
        """Where it is, without secrets."""
        return self.store.url

    @property
    def encrypted(self) -> bool:
        return self.settings.encrypted

    @property
    def locked(self) -> bool:
        """True when no key was given for an encrypted repository."""
        return self._vault.locked

    @property
    def can_read(self) -> bool:
        """True when the key in hand can read guest data."""
        return self._vault.can_read

    @property
    def chunk_size(self) -> int:
        """Bytes; default for disks that are backed up for the first time."""
        return self.settings.chunk_size

    @property
    def vault(self) -> Vault:
        """The keys in hand, for code that moves objects between repositories."""
        return self._vault

    # -- restore points

    def entries(self, instance: str | None = None) -> list[ObjectInfo]:
        """Name, size and time of every restore point object (of one instance); needs no key."""
        if instance is not None:
            folders: Iterable[str] = (instance_folder(instance),)
        else:
            folders = (folder for folder in self.store.folders() if folder != ENGINE)
        return [
            info
            for folder in folders
            for info in self.store.list(folder)
            if info.key.endswith(POINT_SUFFIX)
        ]

    def scan(
        self, instance: str | None = None
    ) -> tuple[list[RestorePoint], dict[str, HyperSDKError]]:
        """Restore points, oldest first, and the ones that cannot be read, by key.

        Raises StoreUnavailable, KeyRequired.
        """
        points: list[RestorePoint] = []
        unreadable: dict[str, HyperSDKError] = {}
        entries = self.entries(instance)
        with ThreadPoolExecutor(16 if self.store.latency_bound else 2) as pool:
            for info, found in zip(entries, pool.map(self._read_point, entries), strict=True):
                if isinstance(found, HyperSDKError):
                    unreadable[info.key] = found
                elif found is not None:
                    points.append(found)
        return sorted(points, key=lambda point: (point.time, point.id)), unreadable

    def points(self, instance: str | None = None) -> list[RestorePoint]:
        """Restore points, oldest first; those of one instance when named.

        Points that cannot be read are left out; ``scan`` and ``verify`` name them.
        """
        return self.scan(instance)[0]

    def latest(self, instance: str) -> RestorePoint | None:
        """The newest readable point of an instance. Reads no other point."""
        return next(self.newest_first(instance), None)

    def newest_first(self, instance: str) -> Iterator[RestorePoint]:
        """Readable points of an instance, each read when it is asked for."""
        newest_first = sorted(self.entries(instance), key=lambda info: info.key, reverse=True)
        found = map(self._read_point, newest_first)
        return (point for point in found if isinstance(point, RestorePoint))

    def all_points(self) -> list[RestorePoint]:
        """Every restore point. Raises Damaged when one cannot be read: nobody may then collect."""
        points, unreadable = self.scan()
        for key, error in unreadable.items():
            raise Damaged(
                f"restore point {key} cannot be read: {error.message}",
                hint="What it needs is unknown, so nothing is collected. If it is lost for good, "
                f"remove it: hypersdk repo prune {self.url} --drop '{key}'",
            )
        return points

    def has(self, point: RestorePoint) -> bool:
        """True while the point exists."""
        try:
            self.store.stat(point.key)
        except ObjectMissing:
            return False
        return True

    def find(self, reference: str) -> RestorePoint:
        """The point named by id, unique beginning of an id, NAME, NAME@latest or NAME@TIME.

        Raises PointNotFound, saying what there is.
        """
        return find_point(self.points(), reference)

    def definition(self, point: RestorePoint) -> Definition | None:
        """The hypervisor's description of the instance. Raises KeyRequired, Damaged."""
        return decode_definition(point.key, self.store.get(point.key), self._vault)

    def remove(self, point: RestorePoint, reason: str) -> None:
        """Remove a point, leaving a tombstone. Raises Conflict when it is pinned or locked."""
        if point.pinned:
            raise Conflict(f"restore point {point.id} of {point.instance} is pinned")
        if point.locked_until is not None and self.clock() < point.locked_until:
            raise Conflict(
                f"restore point {point.id} of {point.instance} is locked until "
                f"{point.locked_until:%Y-%m-%d %H:%M} UTC"
            )
        bury(self.store, self._vault.context, point, reason)
        self.store.delete(point.key)
        self._points.pop(point.key, None)

    def drop(self, key: str) -> None:
        """Remove the object of an unreadable point. Raises Conflict when it can be read."""
        points, unreadable = self.scan()
        if key not in unreadable:
            raise Conflict(f"{key} is no unreadable restore point", hint="Use retention rules.")
        digests = {point.digest for point in points}
        folder = key.rpartition("/")[0]
        later = (p for p in points if p.key > key and p.key.rpartition("/")[0] == folder)
        successor = min(later, key=lambda point: point.key, default=None)
        if successor is not None and successor.previous and successor.previous not in digests:
            bury_before(self.store, self._vault.context, successor, key)
        self.store.delete(key)

    # -- read and write

    def source(self, point: RestorePoint, disk: str | PointDisk) -> PointSource:
        """A disk of a point as a block source. Raises PointNotFound, KeyRequired."""
        if not self._vault.can_read:
            raise KeyRequired(
                "this key can write backups but not read them",
                hint="Use a reader key; `hypersdk repo key list REPO` shows which slots are.",
            )
        chosen = disk if isinstance(disk, PointDisk) else disk_named(point, disk)
        self._index.refresh()
        return PointSource(chosen, self._reader)

    def write(self) -> WriteSession:
        """A session that stores one restore point. Raises KeyRequired without a key."""
        return WriteSession(self.store, self._vault, self._new_index())

    def differences(self, old: RestorePoint, new: RestorePoint) -> list[DiskDifference]:
        """Which areas of each disk differ; reads maps only."""
        self._index.refresh()
        before = {disk.name: disk for disk in old.disks}
        found = []
        for disk in new.disks:
            previous = before.pop(disk.name, None)
            if previous is not None and previous.chunk_size != disk.chunk_size:
                previous = None
            chunks = changed_chunks(self._map(disk), self._map(previous) if previous else None)
            areas = tuple(_areas(chunks, disk))
            changed = sum(length for _, length in areas)
            presence = "both" if previous else "added"
            found.append(DiskDifference(disk.name, changed, areas, presence))
        return found + [DiskDifference(name, 0, (), "removed") for name in before]

    # -- upkeep

    def verify(
        self,
        points: Sequence[RestorePoint] | None,
        level: VerifyLevel,
        watch: Watcher = unwatched,
        workers: int = 2,
    ) -> VerifyReport:
        """Check everything, or only what ``points`` need. Raises KeyRequired for ``CONTENT``."""
        if level is VerifyLevel.CONTENT and not self._vault.can_read:
            raise KeyRequired(
                "checking the content needs a reader key",
                hint="Without one, check stored bytes: hypersdk verify REPO --level stored",
            )
        whole = points is None
        unreadable: dict[str, HyperSDKError] = {}
        if points is None:
            points, unreadable = ([], unreadable) if self.locked else self.scan()
        index = None if self.locked else self._index
        if index is not None:
            index.refresh()  # after the points: it then knows all that they need
        verifier = Verifier(self.store, self._vault, index, level, watch, workers)
        return verifier.run(points, unreadable, whole=whole)

    def collect(self, grace: timedelta, *, dry_run: bool = False, owner: str = "") -> GcReport:
        """Collect garbage; see ``repository.collect``. Raises Conflict, Damaged, Interrupted."""
        with contextlib.closing(self._new_index()) as index:
            collector = Collector(self.store, self._vault, index, self.all_points, owner)
            return collector.preview(self.clock()) if dry_run else collector.run(grace)

    def recover(self) -> RecoverReport:
        """Rebuild the index from the footers of all packs."""
        return rebuild_index(self.store, self._vault.context)

    def packs_of(self, points: Sequence[RestorePoint]) -> set[bytes]:
        """Names of the packs that hold what the points need."""
        self._index.refresh()
        with self._index.scratch() as database:
            mark(database, live_ids(points, self._reader.read))
            return needed_packs(database)

    def statistics(self) -> RepositoryStatistics:
        """Counts and sizes. Raises KeyRequired without a key."""
        points = self.points()
        self._index.refresh()
        packs = [info.size for info in self.store.list(PACKS)]
        chunks, _ = self._index.count()
        return RepositoryStatistics(
            instances=len({point.instance for point in points}),
            points=len(points),
            virtual=sum(point.size for point in points),
            packs=len(packs),
            stored=sum(packs),
            chunks=chunks,
            cache=self._index.cache_size(),
        )

    # -- keys

    def keys(self) -> list[KeySlot]:
        """All key slots, oldest first; needs no key."""
        return [stored.slot for stored in config.read_slots(self.store)[0]]

    def add_key(self, protect: Protect, *, role: str = READER, label: str = "") -> KeySlot:
        """Wrap the keys in hand for somebody else. Raises KeyRequired, Conflict."""
        if not self.encrypted:
            raise Conflict("an unencrypted repository has no keys")
        slot = KeySlot(str(ULID()), role, protect.method, label, self.clock())
        stored = make_slot(self._vault.ring, slot, protect, self.settings.repository_id)
        config.add_slot(self.store, stored)
        return slot

    def remove_key(self, slot_id: str, *, force: bool = False) -> KeySlot:
        """Remove a slot. Raises Conflict for the last reader slot: nothing could be restored then.

        Who opened the slot before may have kept the keys; removing it does not take them back.
        """
        slots = {slot.id: slot for slot in self.keys()}
        if slot_id not in slots:
            raise PointNotFound(
                f"no key slot {slot_id}",
                hint="Slots: " + "; ".join(config.describe(slot) for slot in slots.values()),
            )
        slot = slots.pop(slot_id)
        if not force and not any(other.role == READER for other in slots.values()):
            raise Conflict(
                f"{config.describe(slot)} is the last slot that can read: without it "
                f"{len(self.entries())} restore points are lost for good",
                hint="Add another reader slot first, or use --force.",
            )
        self.store.delete(f"{KEYS}/{slot_id}")
        return slot

    # -- inside

    def close(self) -> None:
        if "_index" in self.__dict__:
            self._index.close()
        self.store.close()
        if self._own_cache is not None:
            self._own_cache.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @cached_property
    def _index(self) -> ChunkIndex:
        return self._new_index()

    @cached_property
    def _reader(self) -> BlobReader:
        return BlobReader(self.store, self._vault, self._index)

    def _new_index(self) -> ChunkIndex:
        # The place is part of the name: a copy of a repository has other packs.
        name = blake3(self.settings.repository_id + self.url.encode()).hexdigest()[:32]
        return ChunkIndex(self.store, self._vault.context, self._cache / f"{name}.sqlite")

    def _map(self, disk: PointDisk) -> DiskMap:
        return DiskMap(disk.size, disk.chunk_size, disk.segments, self._reader.read)

    def _read_point(self, info: ObjectInfo) -> RestorePoint | HyperSDKError | None:
        known = self._points.get(info.key)
        if known is not None and known.stored_at == info.modified:
            return known
        try:
            point = decode_point(info, self.store.get(info.key), self._vault)
        except ObjectMissing:
            return None  # pruned since it was listed
        except (KeyRequired, StoreUnavailable):
            raise  # nothing is known about the point then: nobody may take it for lost
        except HyperSDKError as error:
            return error
        with self._lock:
            self._points[info.key] = point
        return point


def disk_named(point: RestorePoint, name: str) -> PointDisk:
    """Raises PointNotFound naming the disks that there are."""
    for disk in point.disks:
        if disk.name == name:
            return disk
    names = ", ".join(disk.name for disk in point.disks)
    raise PointNotFound(f"restore point {point.id} has no disk {name}", hint=f"Its disks: {names}.")


def _areas(chunks: Iterator[int], disk: PointDisk) -> Iterator[tuple[int, int]]:
    """Neighbouring chunks as one area."""
    start = end = -1
    for chunk in chunks:
        low = chunk * disk.chunk_size
        if low != end:
            if end > start:
                yield start, end - start
            start = low
        end = min(low + disk.chunk_size, disk.size)
    if end > start:
        yield start, end - start
