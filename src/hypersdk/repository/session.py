"""One writer at work: from the lease to the commit of a restore point.

Write order: packs → index runs → restore point. A crash at any moment leaves garbage that the next
writer can use and a collector can remove, never a point that lacks a chunk.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

from hypersdk.datapath.handle import Handle
from hypersdk.model.errors import Damaged, HyperSDKError, InvalidInput
from hypersdk.model.instances import Definition
from hypersdk.model.points import PointDisk, RestorePoint
from hypersdk.repository.ciphers import Bytes
from hypersdk.repository.format import (
    ID_SIZE,
    SEGMENT_CHUNKS,
    ZERO_ID,
    PackKind,
    check_chunk_size,
)
from hypersdk.repository.index import ChunkIndex, short
from hypersdk.repository.layout import PACKS, pack_name
from hypersdk.repository.leases import WRITE, Lease, lease_lost
from hypersdk.repository.notes import read_collections, read_damage
from hypersdk.repository.packs import PackWriter, StoredPack
from hypersdk.repository.points import committed, encode_point
from hypersdk.repository.reader import BlobReader
from hypersdk.repository.segments import DiskMap, MapWriter, changed_chunks
from hypersdk.repository.store.ports import Store
from hypersdk.repository.vault import Vault

#: Packs, and seconds, after which the index of a running backup is published: what a killed one
#: has stored by then is not stored again. A fast backup fills so many packs in as many seconds.
PUBLISH_EVERY = 64
PUBLISH_SECONDS = 10.0


def ignored(count: int) -> None:
    """The listener of a caller who does not count."""


class WriteSession:
    """Stores chunks and commits one point. Leaving the context without commit keeps what is stored.

    ``with repository.write() as session: …`` takes the lease and gives it back.
    """

    def __init__(self, store: Store, vault: Vault, index: ChunkIndex) -> None:
        self._store = store
        self._vault = vault
        self._index = index
        self._reader = BlobReader(store, vault, index)
        self._lease = Lease(store, vault.context, WRITE)
        uploads = 4 if store.latency_bound else 2
        self._data = PackWriter(PackKind.DATA, vault, store, self._pack_stored, uploads)
        self._maps = PackWriter(PackKind.MAP, vault, store, self._pack_stored, 1)
        self._lock = threading.Lock()
        self._claimed: set[bytes] = set()
        self._zero_ids: dict[int, bytes] = {}
        self._sinks: list[DiskSink] = []
        self._was_away = False
        self._published = time.monotonic()
        self.stored = 0

    def __enter__(self) -> Self:
        """Order matters: lease, then what is condemned, then the index (docs/format.md)."""
        self._lease.begin()
        try:
            follow(self._store, self._vault, self._index)
        except BaseException:
            self._lease.release()
            self._index.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Anything else is a process that dies: what it leaves is the collector's business.
        alive = kind is None or issubclass(kind, (Exception, KeyboardInterrupt, SystemExit))
        if alive and kind is not None:
            self._keep_stored()
        for sink in self._sinks:
            sink.discard()
        self._data.close()
        self._maps.close()
        if alive:
            self._lease.release()
        else:
            self._lease.abandon()
        self._index.close()

    def disk(
        self,
        size: int,
        chunk_size: int,
        previous: PointDisk | None,
        *,
        inherit: bool,
        stored: Callable[[int], None] = ignored,
    ) -> DiskSink:
        """A sink for one disk.

        ``stored`` is called with the bytes that each write added to the repository.

        ``previous``: the disk in the last point, to tell what changed. ``inherit``: areas that are
        not written stay as they were there (an incremental); otherwise they are zero. Raises
        Damaged when the map of ``previous`` would have to be stored again and cannot be read.
        """
        check_chunk_size(chunk_size)
        before = self._map_of(previous) if previous else None
        same = previous and (previous.size, previous.chunk_size) == (size, chunk_size)
        if inherit and not same:
            raise InvalidInput("only a disk of the same size and chunk size can be inherited")
        if inherit and previous:
            self._keep_segments(previous)
        sink = DiskSink(self, size, chunk_size, before, stored, inherit=inherit)
        self._sinks.append(sink)
        return sink

    def commit(self, point: RestorePoint, definition: Definition | None = None) -> RestorePoint:
        """Make the point exist. Raises LeaseLost when this writer was away too long."""
        self._data.finish()
        self._maps.finish()
        self._publish()
        if self._was_away:
            self._check_again(point)
        data = encode_point(point, definition, self._vault)
        self._store.put_if_absent(point.key, data)
        info = self._store.stat(point.key)
        if not self._lease.covers(info.modified):  # we slept between the look and the commit
            self._store.delete(point.key)
            raise lease_lost(self._store)
        return committed(point, info, data)

    # -- for sinks

    def store_chunk(self, data: Bytes) -> tuple[bytes, int]:
        """Id of a chunk and the bytes that storing it took; nothing when it is known or zero."""
        identity = self._vault.chunk_id(data)
        if identity == self._zero_id(len(data)):
            return ZERO_ID, 0
        return identity, self._store_once(self._data, identity, data)

    def store_segment(self, ids: bytes) -> bytes:
        """Id of a segment of a map, stored when it is not known."""
        identity = self._vault.segment_id(ids)
        self._store_once(self._maps, identity, ids)
        return identity

    def read_segment(self, identity: bytes) -> bytes:
        """The ids in a stored segment. Segments of this session must be finished before.

        Raises Damaged; who then stores the same segment stores it anew.
        """
        try:
            return self._reader.read(identity)
        except Damaged:
            self._index.doubt(identity)
            raise

    def flush_maps(self) -> None:
        """Return when all segments of this session can be read."""
        self._maps.finish()

    def untrusted(self, disk_map: DiskMap) -> Iterator[int]:
        """Chunks of an existing map whose only copies are condemned or damaged."""
        suspects = self._index.distrusted()
        if not suspects:
            return
        for number, segment in enumerate(disk_map.segments):
            if segment == ZERO_ID:
                continue
            ids = disk_map.segment(number)
            for position in range(len(ids) // ID_SIZE):
                identity = ids[position * ID_SIZE : (position + 1) * ID_SIZE]
                if short(identity) in suspects and not self._index.holds(identity):
                    yield number * SEGMENT_CHUNKS + position

    # -- inside

    def _keep_segments(self, disk: PointDisk) -> None:
        """Store again the segments of an earlier point of which no copy may be relied on."""
        for identity in disk.segments:
            if identity != ZERO_ID and not self._index.holds(identity):
                self.store_segment(self.read_segment(identity))

    def _store_once(self, packs: PackWriter, identity: bytes, data: Bytes) -> int:
        with self._lock:
            if identity in self._claimed:
                return 0
            self._claimed.add(identity)
        if self._index.holds(identity):
            with self._lock:
                self._claimed.discard(identity)
            return 0
        stored = packs.add(identity, data)
        with self._lock:
            self.stored += stored
        return stored

    def _zero_id(self, length: int) -> bytes:
        identity = self._zero_ids.get(length)
        if identity is None:
            identity = self._zero_ids[length] = self._vault.chunk_id(bytes(length))
        return identity

    def _pack_stored(self, pack: StoredPack) -> None:
        self._index.add(pack)
        with self._lock:
            self._claimed.difference_update(entry.id for entry in pack.entries)
            late = time.monotonic() - self._published >= PUBLISH_SECONDS
            if late:
                self._published = time.monotonic()  # by this thread alone
        if late or self._index.unpublished >= PUBLISH_EVERY:
            self._publish()

    def _publish(self) -> None:
        """Publish what is stored, but no pack that a collector took while this writer was away."""
        self._lease.renew()
        if self._lease.lapsed:
            self._was_away, self._lease.lapsed = True, False  # from here on another absence counts
            follow(self._store, self._vault, self._index)
            known = self._index.pack_names()
            there = {pack_name(info.key) for info in self._store.list(PACKS)}
            self._index.withdraw(known - there)
        self._index.publish(self._lease)

    def _keep_stored(self) -> None:
        """After a failure: whoever runs next finds what this run stored."""
        with contextlib.suppress(HyperSDKError):
            self._data.finish()
        with contextlib.suppress(HyperSDKError):
            self._publish()

    def _map_of(self, disk: PointDisk) -> DiskMap:
        return DiskMap(disk.size, disk.chunk_size, disk.segments, self.read_segment)

    def _check_again(self, point: RestorePoint) -> None:
        """A collector may have taken our lease for dead: rely on nothing that was not looked up.

        ``_publish`` has just taken a new lease and followed the repository.
        """
        for disk in point.disks:
            disk_map = self._map_of(disk)
            for number, segment in enumerate(disk.segments):
                if segment == ZERO_ID:
                    continue
                ids = disk_map.segment(number) if self._index.holds(segment) else b""
                known = (ids[at : at + ID_SIZE] for at in range(0, len(ids), ID_SIZE))
                if not ids or not all(i == ZERO_ID or self._index.holds(i) for i in known):
                    raise lease_lost(self._store)


class DiskSink(Handle):
    """``BlockSink`` of one disk in a session; all handles share one map."""

    def __init__(
        self,
        session: WriteSession,
        size: int,
        chunk_size: int,
        previous: DiskMap | None,
        stored: Callable[[int], None],
        *,
        inherit: bool,
    ) -> None:
        self._report_stored = stored
        self._session = session
        self._size = size
        self._chunk_size = chunk_size
        self._previous = previous
        self._inherit = inherit
        self._map = MapWriter(size, chunk_size, previous if inherit else None)

    @property
    def size(self) -> int:
        return self._size

    @property
    def granularity(self) -> int:
        return self._chunk_size

    @property
    def previous(self) -> DiskMap | None:
        """Map of the last point's disk."""
        return self._previous

    def must_read(self) -> list[int]:
        """Chunks that an incremental must read although they did not change."""
        if self._previous is None or not self._inherit:
            return []
        return list(self._session.untrusted(self._previous))

    def matches_previous(self, chunk: int, data: Bytes) -> bool:
        """True when this content is what the last point recorded for the chunk."""
        identity = self._session._vault.chunk_id(data)  # noqa: SLF001 - one file, one thing
        if identity == self._session._zero_id(len(data)):  # noqa: SLF001
            identity = ZERO_ID
        return self._previous is not None and self._previous.id_at(chunk) == identity

    def write(self, offset: int, data: memoryview) -> None:
        stored = 0
        for start in range(0, len(data), self._chunk_size):
            chunk = data[start : start + self._chunk_size]
            identity, added = self._session.store_chunk(chunk)
            self._map.set((offset + start) // self._chunk_size, identity)
            stored += added
        if stored:
            self._report_stored(stored)

    def zero(self, offset: int, length: int) -> None:
        self._map.set_zero(offset // self._chunk_size, -(-length // self._chunk_size))

    def flush(self) -> None:
        """Durability comes with the session's commit."""

    def finish(self) -> tuple[tuple[bytes, ...], int]:
        """Store the map. Returns its segments, and the bytes in chunks that changed.

        When the last point's map cannot be read, all that is not zero counts as changed.
        """
        segments = self._map.finish(self._session.store_segment)
        self._session.flush_maps()
        new = DiskMap(self._size, self._chunk_size, segments, self._session.read_segment)
        try:
            return segments, self._changed(new, self._previous)
        except Damaged:
            return segments, self._changed(new, None)

    def _changed(self, new: DiskMap, previous: DiskMap | None) -> int:
        return sum(
            min(self._chunk_size, self._size - chunk * self._chunk_size)
            for chunk in changed_chunks(new, previous)
        )

    def clone(self) -> Self:
        return self  # nothing in a handle has a position

    def close(self) -> None:
        """The session closes the map: clones share it."""

    def discard(self) -> None:
        """Give back the temporary file of the map."""
        self._map.close()


def follow(store: Store, vault: Vault, index: ChunkIndex) -> None:
    """Learn what must not be relied on, then what is there. In this order."""
    condemned = [pack for found in read_collections(store, vault.context) for pack in found.packs]
    damaged = [
        (note.pack, chunk)
        for note in read_damage(store, vault.context)
        for chunk in (note.chunks or {b""})
    ]
    index.distrust(condemned, damaged)
    index.refresh()
