"""Which blobs the restore points of a repository need, and how much of each pack that is."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from hypersdk.model.points import RestorePoint
from hypersdk.repository.format import ID_SIZE, ZERO_ID, PackKind
from hypersdk.repository.index import PackRecord, short
from hypersdk.repository.segments import DiskMap, SegmentReader, differing


@dataclass(frozen=True, slots=True)
class PackUse:
    """A pack, and what of it is needed. Bytes are stored bytes of blobs."""

    record: PackRecord
    total: int
    live: int


def live_ids(points: Iterable[RestorePoint], read: SegmentReader) -> Iterator[list[bytes]]:
    """Ids of all segments and chunks that the points need, in batches, some more than once.

    A segment that several points share is read once. Of a segment that replaced another one in the
    next point, only the ids that differ are looked at.
    """
    seen: set[bytes] = set()
    before: dict[tuple[str, str, int], bytes] = {}
    for point in sorted(points, key=lambda point: (point.instance, point.id)):
        for disk in point.disks:
            disk_map = DiskMap(disk.size, disk.chunk_size, disk.segments, read)
            for number, segment in enumerate(disk.segments):
                if segment == ZERO_ID or segment in seen:
                    continue
                seen.add(segment)
                place = (point.instance, disk.name, number)
                earlier = read(before[place]) if place in before else b""
                before[place] = segment
                yield [segment, *_new_ids(disk_map.segment(number), earlier)]


def _new_ids(ids: bytes, earlier: bytes) -> Iterator[bytes]:
    """Ids that are not at the same position of the earlier segment, without zero."""
    if len(earlier) == len(ids):
        positions: Iterable[int] = differing(ids, earlier)
    else:
        positions = range(len(ids) // ID_SIZE)
    for position in positions:
        identity = ids[position * ID_SIZE : (position + 1) * ID_SIZE]
        if identity != ZERO_ID:
            yield identity


def mark(database: sqlite3.Connection, batches: Iterable[list[bytes]]) -> None:
    """Put the ids into the temporary table ``live``."""
    database.execute("DROP TABLE IF EXISTS temp.live")
    database.execute("CREATE TEMP TABLE live(id BLOB PRIMARY KEY) WITHOUT ROWID")
    for batch in batches:  # whoever makes the next batch may have to refresh the index
        keys = sorted(map(short, batch))
        database.execute("BEGIN")
        database.executemany("INSERT OR IGNORE INTO live VALUES (?)", zip(keys, strict=True))
        database.execute("COMMIT")


def unindexed(database: sqlite3.Connection) -> list[bytes]:
    """Short ids of live blobs that no pack of the index has."""
    rows = database.execute(
        "SELECT l.id FROM temp.live l LEFT JOIN chunks c ON c.id = l.id WHERE c.id IS NULL"
    )
    return [row[0] for row in rows]


def pack_usage(database: sqlite3.Connection) -> list[PackUse]:
    """Every indexed pack with its live bytes. A blob with several copies counts in each."""
    rows = database.execute(
        "SELECT p.name, p.size, p.kind, sum(c.length), "
        "sum(CASE WHEN l.id IS NULL THEN 0 ELSE c.length END) "
        "FROM chunks c JOIN packs p ON p.number = c.pack LEFT JOIN temp.live l ON l.id = c.id "
        "GROUP BY c.pack"
    )
    return [
        PackUse(PackRecord(name, size, PackKind(kind)), total, live)
        for name, size, kind, total, live in rows
    ]


def live_in(database: sqlite3.Connection, pack: bytes) -> set[bytes]:
    """Short ids of the live blobs in a pack."""
    rows = database.execute(
        "SELECT c.id FROM chunks c JOIN temp.live l ON l.id = c.id "
        "WHERE c.pack = (SELECT number FROM packs WHERE name = ?)",
        (pack,),
    )
    return {row[0] for row in rows}


def needed_packs(database: sqlite3.Connection) -> set[bytes]:
    """Packs with a copy of something live."""
    rows = database.execute(
        "SELECT DISTINCT p.name FROM temp.live l JOIN chunks c ON c.id = l.id "
        "JOIN packs p ON p.number = c.pack"
    )
    return {row[0] for row in rows}


def is_needed(
    database: sqlite3.Connection, pack: bytes, reliable: Callable[[bytes, bytes], bool]
) -> bool:
    """True when a live blob in the pack has no copy elsewhere that ``reliable(pack, id)``."""
    rows = database.execute(
        "SELECT c.id, p.name FROM chunks c JOIN temp.live l ON l.id = c.id "
        "LEFT JOIN chunks o ON o.id = c.id AND o.pack <> c.pack "
        "LEFT JOIN packs p ON p.number = o.pack "
        "WHERE c.pack = (SELECT number FROM packs WHERE name = ?)",
        (pack,),
    )
    copied: dict[bytes, bool] = {}
    for identity, other in rows:
        copied[identity] = copied.get(identity, False) or (
            other is not None and reliable(other, identity)
        )
    return not all(copied.values())
