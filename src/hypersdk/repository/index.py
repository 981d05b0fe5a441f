"""Which chunk lies in which pack.

The truth is the immutable index runs in the repository (and, behind them, the packs' footers). A
SQLite file in the user's cache folder holds the same for fast questions; it may be deleted at any
time. It keeps the first 20 bytes of each id: the ids are keyed and random, so two that share 160
bits do not occur, and every chunk is compared with its whole id when it is read.
"""

from __future__ import annotations

import contextlib
import heapq
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from blake3 import blake3

from hypersdk.model.errors import Damaged, ObjectExists, ObjectMissing, RepositoryError
from hypersdk.repository.format import (
    RUN_ENTRIES,
    RUN_ENTRY,
    RUN_HEADER,
    RUN_PACK,
    Context,
    Kind,
    PackKind,
    unwrap,
    wrap,
)
from hypersdk.repository.layout import INDEX
from hypersdk.repository.leases import Lease, lease_lost
from hypersdk.repository.packs import StoredPack
from hypersdk.repository.store.ports import Store

#: Runs above this number are merged even when nothing is swept.
MANY_RUNS = 32

#: Listings after which runs that are named but not there are taken for lost, not for merged.
_PATIENCE = 20

_KEY_SIZE = 20
_CACHE_VERSION = 1
_CACHE_KIB = 16 * 1024

_SCHEMA = """
CREATE TABLE IF NOT EXISTS runs(name TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS packs(
    number INTEGER PRIMARY KEY AUTOINCREMENT, name BLOB UNIQUE, size INTEGER, kind INTEGER);
CREATE TABLE IF NOT EXISTS chunks(
    id BLOB, pack INTEGER, offset INTEGER, length INTEGER, PRIMARY KEY(id, pack)) WITHOUT ROWID;
CREATE TEMP TABLE IF NOT EXISTS pending_packs(
    number INTEGER PRIMARY KEY, name BLOB, size INTEGER, kind INTEGER);
CREATE TEMP TABLE IF NOT EXISTS pending(
    id BLOB, pack INTEGER, offset INTEGER, length INTEGER, PRIMARY KEY(id, pack)) WITHOUT ROWID;
"""
_FIND = (
    "SELECT pack, offset, length FROM temp.pending WHERE id = ?1 "
    "UNION ALL SELECT pack, offset, length FROM main.chunks WHERE id = ?1"
)


class Location(NamedTuple):
    """Where a blob lies."""

    pack: bytes
    offset: int
    length: int


class PackRecord(NamedTuple):
    """A pack as the index knows it."""

    name: bytes
    size: int
    kind: PackKind


class RunEntry(NamedTuple):
    """One row of an index run."""

    id: bytes
    pack: PackRecord
    offset: int
    length: int


def short(identity: bytes) -> bytes:
    """The part of an id by which the cache knows it."""
    return identity[:_KEY_SIZE]


class ChunkIndex:
    """Questions to the index, and entries that wait to be published. Safe for many threads."""

    def __init__(self, store: Store, context: Context, cache: Path) -> None:
        """``cache``: SQLite file; made when missing, replaced when it is not ours."""
        self._store = store
        self._context = context
        self._path = cache
        self._lock = threading.RLock()
        self._names: dict[int, bytes] = {}
        self._condemned: set[bytes] = set()
        self._damaged: set[tuple[bytes, bytes]] = set()
        self._pending: list[tuple[int, StoredPack]] = []
        self._next_pending = 0  # counts down: published packs have positive numbers
        self._database = self._open()

    def close(self) -> None:
        with self._lock:
            self._database.close()

    # -- questions

    def find(self, identity: bytes) -> list[Location]:
        """Every known place of a blob, trustworthy ones first."""
        with self._lock:
            rows = self._rows(identity)
            places = [Location(self._name(pack), offset, length) for pack, offset, length in rows]
        return sorted(places, key=lambda place: not self.trusts(place.pack, identity))

    def holds(self, identity: bytes) -> bool:
        """True when a copy exists that a new restore point may rely on."""
        with self._lock:
            rows = self._rows(identity)
            return any(self.trusts(self._name(pack), identity) for pack, _, _ in rows)

    def _rows(self, identity: bytes) -> list[tuple[int, int, int]]:
        try:
            return self._database.execute(_FIND, (short(identity),)).fetchall()
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def packs(self) -> dict[bytes, PackRecord]:
        """Every pack that has entries in the published index."""
        with self._lock:
            rows = self._database.execute(
                "SELECT name, size, kind FROM packs "
                "WHERE number IN (SELECT DISTINCT pack FROM chunks)"
            ).fetchall()
        return {name: PackRecord(name, size, PackKind(kind)) for name, size, kind in rows}

    def pack_size(self, name: bytes) -> int | None:
        """Bytes of a pack; None when it is not known."""
        with self._lock:
            row = self._database.execute(
                "SELECT size FROM packs WHERE name = ?1 "
                "UNION ALL SELECT size FROM pending_packs WHERE name = ?1",
                (name,),
            ).fetchone()
        return None if row is None else int(row[0])

    def chunks_in(self, pack: bytes) -> list[tuple[bytes, int, int]]:
        """(short id, offset, length) of the blobs in a pack."""
        with self._lock:
            return self._database.execute(
                "SELECT id, offset, length FROM chunks "
                "WHERE pack = (SELECT number FROM packs WHERE name = ?) ORDER BY offset",
                (pack,),
            ).fetchall()

    def count(self) -> tuple[int, int]:
        """(blobs, stored bytes) in the published index."""
        with self._lock:
            row = self._database.execute(
                "SELECT count(*), coalesce(sum(length), 0) FROM chunks"
            ).fetchone()
        return int(row[0]), int(row[1])

    @contextlib.contextmanager
    def scratch(self) -> Iterator[sqlite3.Connection]:
        """The database for one collector's temporary tables; nobody else may use it meanwhile."""
        with self._lock:
            yield self._database

    def cache_size(self) -> int:
        """Bytes of the cache file."""
        with self._lock:
            pages = self._database.execute("PRAGMA page_count").fetchone()[0]
            page = self._database.execute("PRAGMA page_size").fetchone()[0]
        return int(pages) * int(page)

    # -- trust

    def distrust(self, packs: Iterable[bytes], chunks: Iterable[tuple[bytes, bytes]]) -> None:
        """From now on new points do not rely on these packs, nor on these (pack, chunk id)."""
        with self._lock:
            self._condemned = set(packs)
            self._damaged = {(pack, short(identity)) for pack, identity in chunks}

    def doubt(self, identity: bytes) -> None:
        """Rely on no copy of this blob that is known now: one could not be read."""
        with self._lock:
            places = self.find(identity)
            self._damaged |= {(place.pack, short(identity)) for place in places}

    def distrusted(self) -> frozenset[bytes]:
        """Short ids with a copy that must not be relied on; another copy may be fine."""
        with self._lock:
            packs = self._condemned | {pack for pack, chunk in self._damaged if not chunk}
            whole = {row[0] for pack in packs for row in self.chunks_in(pack)}
            return frozenset(whole | {chunk for _, chunk in self._damaged if chunk})

    def trusts(self, pack: bytes, identity: bytes) -> bool:
        """True when a new restore point may rely on this copy."""
        if pack in self._condemned:
            return False
        return not self._damaged or (
            (pack, short(identity)) not in self._damaged and (pack, b"") not in self._damaged
        )

    # -- following the repository

    def refresh(self) -> None:
        """Take in the runs that others published. Raises Damaged naming a bad run."""
        with self._lock:
            try:
                self._follow()
            except sqlite3.OperationalError as error:
                raise self._unusable(error) from error
            except sqlite3.DatabaseError:  # torn: only a cache
                self._database.close()
                self._discard()
                self._database = self._open()
                self._follow()

    def _follow(self) -> None:
        for _ in range(_PATIENCE):
            if self._present() == self._known():
                return
            # A run that was merged away since it was listed: what replaced it can be listed.
            with contextlib.suppress(ObjectMissing):
                self._catch_up()
                return
        raise Damaged(
            f"index runs of {self._store.url} are listed but cannot be found",
            hint="Rebuild the index from the packs: hypersdk repo recover REPO",
        )

    def _present(self) -> set[str]:
        return {info.key.rsplit("/", 1)[-1] for info in self._store.list(INDEX)}

    def _known(self) -> set[str]:
        return {row[0] for row in self._database.execute("SELECT name FROM runs")}

    def _catch_up(self) -> None:
        with self._transaction():
            # Listed under the database's lock: another process may share the cache, and must not
            # be thrown back to what we saw before it.
            present, known = self._present(), self._known()
            merged = not known <= present
            if merged:
                self._database.execute("DELETE FROM chunks")
                self._database.execute("DELETE FROM runs")
                known = set()
            self._insert_runs(sorted(present - known))
        if merged:
            self._database.execute("VACUUM")

    def _insert_runs(self, names: Sequence[str]) -> None:
        for name in names:
            packs, entries = read_run(self._store, name, self._context)
            numbers = [self._number(record) for record in packs]
            self._database.executemany(
                "INSERT OR IGNORE INTO chunks VALUES (?, ?, ?, ?)",
                ((short(i), numbers[pack], offset, length) for i, pack, offset, length in entries),
            )
            self._database.execute("INSERT OR IGNORE INTO runs VALUES (?)", (name,))

    # -- entries of a writer

    def add(self, pack: StoredPack) -> None:
        """A pack of this writer is in the store. Others learn of it by ``publish``."""
        with self._lock:
            number = self._next_pending = self._next_pending - 1
            self._pending.append((number, pack))
            self._names[number] = pack.name
            self._database.execute(
                "INSERT INTO pending_packs VALUES (?, ?, ?, ?)",
                (number, pack.name, pack.size, pack.kind),
            )
            self._database.executemany(
                "INSERT OR IGNORE INTO pending VALUES (?, ?, ?, ?)",
                ((short(e.id), number, e.offset, e.stored_length) for e in pack.entries),
            )

    @property
    def unpublished(self) -> int:
        """Packs that only this writer knows of."""
        return len(self._pending)

    def publish(self, lease: Lease) -> None:
        """Write the waiting entries as index runs. Call when all packs of them are stored.

        The holder of ``lease`` has just renewed it. Raises LeaseLost, with nothing published.
        """
        with self._lock:
            pending, self._pending = self._pending, []
        rows = [
            RunEntry(entry.id, PackRecord(pack.name, pack.size, pack.kind), *entry[3:5])
            for _, pack in pending
            for entry in pack.entries
        ]
        try:
            publish_runs(self._store, self._context, lease, sorted(rows))
            self.refresh()
        except BaseException:
            with self._lock:
                self._pending += pending
            raise
        self._forget_pending([number for number, _ in pending])

    def pack_names(self) -> set[bytes]:
        """Packs that anybody ever told this index of, also those that wait to be published."""
        with self._lock:
            rows = self._database.execute(
                "SELECT name FROM packs UNION SELECT name FROM pending_packs"
            )
            return {row[0] for row in rows}

    def withdraw(self, gone: AbstractSet[bytes]) -> None:
        """Rely on none of these packs, and publish neither them nor condemned ones."""
        with self._lock:
            self._condemned |= gone
            dropped = [number for number, pack in self._pending if pack.name in self._condemned]
            self._pending = [entry for entry in self._pending if entry[0] not in dropped]
            self._forget_pending(dropped)

    def _forget_pending(self, numbers: Iterable[int]) -> None:
        rows = [(number,) for number in numbers]
        with self._lock:
            self._database.executemany("DELETE FROM pending WHERE pack = ?", rows)
            self._database.executemany("DELETE FROM pending_packs WHERE number = ?", rows)

    # -- database

    def _open(self) -> sqlite3.Connection:
        try:
            with contextlib.suppress(sqlite3.DatabaseError):
                return self._connect()
            self._discard()
            return self._connect()
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(error) from error

    def _discard(self) -> None:
        """Only a cache: anything that is no healthy database of ours is replaced."""
        for suffix in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)

    def _unusable(self, error: Exception) -> RepositoryError:
        return RepositoryError(
            f"the index cache {self._path} cannot be used: {error}",
            hint="Make room there, remove the file (it is only a cache), or name another folder: "
            "HYPERSDK_CACHE_DIR=…",
        )

    def _connect(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path.touch(mode=0o600)
        database = sqlite3.connect(
            self._path, isolation_level=None, check_same_thread=False, timeout=120
        )
        try:
            database.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")  # with WAL: a power cut tears nothing
            _check_version(database)
            database.executescript(_SCHEMA)
            database.execute(f"PRAGMA user_version = {_CACHE_VERSION}")
        except BaseException:
            database.close()
            raise
        return database

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._database.execute("BEGIN IMMEDIATE")
            yield
            self._database.execute("COMMIT")
        except BaseException as error:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            if isinstance(error, sqlite3.OperationalError):
                raise self._unusable(error) from error
            raise

    def _name(self, number: int) -> bytes:
        name = self._names.get(number)
        if name is None:
            row = self._database.execute(
                "SELECT name FROM packs WHERE number = ?", (number,)
            ).fetchone()
            name = self._names[number] = row[0]
        return name

    def _number(self, record: PackRecord) -> int:
        """Numbers are never used again, so that other processes' memories stay true."""
        self._database.execute(
            "INSERT OR IGNORE INTO packs(name, size, kind) VALUES (?, ?, ?)", record
        )
        row = self._database.execute("SELECT number FROM packs WHERE name = ?", (record.name,))
        return int(row.fetchone()[0])


def _check_version(database: sqlite3.Connection) -> None:
    version = database.execute("PRAGMA user_version").fetchone()[0]
    if version not in (0, _CACHE_VERSION):
        raise sqlite3.DatabaseError("cache of another version")


#: Packs of a run, and its rows.
Run = tuple[list[PackRecord], Iterator[tuple[bytes, int, int, int]]]


def read_run(store: Store, name: str, context: Context) -> Run:
    """Packs of a run, and its rows (id, number of the pack in the run, offset, length)."""
    key = f"{INDEX}/{name}"
    data = store.get(key)
    if blake3(data).hexdigest() != name:
        raise Damaged(
            f"index run {key} does not match its name",
            hint="Rebuild the index from the packs: hypersdk repo recover REPO",
        )
    body = unwrap(Kind.INDEX_RUN, "", data, context)
    pack_count, entry_count = RUN_HEADER.unpack_from(body)
    middle = RUN_HEADER.size + pack_count * RUN_PACK.size
    packs = [
        PackRecord(pack, size, PackKind(kind))
        for pack, size, kind in RUN_PACK.iter_unpack(body[RUN_HEADER.size : middle])
    ]
    return packs, RUN_ENTRY.iter_unpack(body[middle : middle + entry_count * RUN_ENTRY.size])


def publish_runs(
    store: Store, context: Context, lease: Lease, rows: Iterable[RunEntry]
) -> list[str]:
    """Store sorted rows as runs, but only while the lease is alive; their names.

    A run that came later could name packs that a collector has taken for a dead writer's: whoever
    read it would rely on what is gone. Raises LeaseLost.
    """
    names = write_runs(store, context, rows)
    if names and not lease.covers(_time_of(store, names[-1], lease)):
        for name in names:
            store.delete(f"{INDEX}/{name}")
        raise lease_lost(store)
    return names


def _time_of(store: Store, run: str, lease: Lease) -> datetime:
    """When a run was published; at the latest now, when somebody has rewritten it since."""
    try:
        return store.stat(f"{INDEX}/{run}").modified
    except ObjectMissing:
        return lease.renew()


def write_runs(store: Store, context: Context, rows: Iterable[RunEntry]) -> list[str]:
    """Store sorted rows as one or more runs; their names."""
    names: list[str] = []
    batch: list[RunEntry] = []
    for row in rows:
        batch.append(row)
        if len(batch) == RUN_ENTRIES:
            names.append(_write_run(store, context, batch))
            batch = []
    if batch:
        names.append(_write_run(store, context, batch))
    return names


def _write_run(store: Store, context: Context, rows: Sequence[RunEntry]) -> str:
    numbers: dict[PackRecord, int] = {}
    body = bytearray()
    for identity, pack, offset, length in rows:
        number = numbers.setdefault(pack, len(numbers))
        body += RUN_ENTRY.pack(identity, number, offset, length)
    head = RUN_HEADER.pack(len(numbers), len(rows))
    head += b"".join(RUN_PACK.pack(*pack) for pack in numbers)
    # A run is named by its own bytes, so its envelope cannot be bound to its key.
    data = wrap(Kind.INDEX_RUN, "", head + bytes(body), context)
    name = blake3(data).hexdigest()
    with contextlib.suppress(ObjectExists):
        store.put_if_absent(f"{INDEX}/{name}", data)
    return name


def merge_runs(store: Store, context: Context, lease: Lease, without: AbstractSet[bytes]) -> None:
    """Rewrite the runs that mention the packs ``without``, and small ones when they are many.

    The merged runs are stored before any old one is deleted, so a reader always finds all entries.
    Raises LeaseLost.
    """
    names = [info.key.rsplit("/", 1)[-1] for info in store.list(INDEX)]
    loaded = {name: read_run(store, name, context) for name in names}
    tidy = len(names) > MANY_RUNS
    chosen = {
        name: run
        for name, run in loaded.items()
        if tidy or any(pack.name in without for pack in run[0])
    }
    rows = heapq.merge(*(_run_rows(packs, entries) for packs, entries in chosen.values()))
    kept = (row for row in _distinct(rows) if row.pack.name not in without)
    written = publish_runs(store, context, lease, kept)
    for name in chosen.keys() - set(written):
        store.delete(f"{INDEX}/{name}")


def _run_rows(
    packs: Sequence[PackRecord], entries: Iterable[tuple[bytes, int, int, int]]
) -> Iterator[RunEntry]:
    return (RunEntry(i, packs[number], offset, length) for i, number, offset, length in entries)


def _distinct(rows: Iterable[RunEntry]) -> Iterator[RunEntry]:
    previous: RunEntry | None = None
    for row in rows:
        if row != previous:
            yield row
        previous = row
