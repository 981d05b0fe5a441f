"""Garbage collection in two phases, without a reader's key.

*Condemn*: packs that no restore point needs, or that are mostly empty (their live blobs are copied
first, as ciphertext), are published in a collection. From then on no new point relies on them.
*Sweep*: a collection is carried out when every writer that may not have seen it is gone, the grace
time is over, and a fresh look at all restore points finds no need for its packs.

All ages go by the storage's clock. Why this order is safe is argued step by step in
docs/format.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from hypersdk.datapath.cancel import token_in_force
from hypersdk.model.errors import Damaged
from hypersdk.model.points import GcReport, RestorePoint
from hypersdk.repository.index import ChunkIndex, PackRecord, merge_runs
from hypersdk.repository.layout import PACKS, pack_key, pack_name
from hypersdk.repository.leases import (
    COLLECT,
    SKEW,
    WRITE,
    Lease,
    LeaseInfo,
    bury_lease,
    exclusive,
    lease_lost,
    read_leases,
)
from hypersdk.repository.mark import (
    PackUse,
    is_needed,
    live_ids,
    live_in,
    mark,
    pack_usage,
    unindexed,
)
from hypersdk.repository.notes import Collection, condemn, read_collections, read_damage
from hypersdk.repository.reader import BlobReader
from hypersdk.repository.repack import repack
from hypersdk.repository.session import follow
from hypersdk.repository.store.ports import Store
from hypersdk.repository.vault import Vault

#: A pack whose live share is below this is copied together with others.
LIVE_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class _View:
    """What one look at the repository saw, in the order in which it is safe to look."""

    #: Now, by the storage's clock.
    now: datetime
    #: Every pack in the store: name → size and time.
    packs: dict[bytes, tuple[int, datetime]]
    writers: list[LeaseInfo]
    collections: list[Collection]

    @property
    def condemned(self) -> set[bytes]:
        return {pack for collection in self.collections for pack in collection.packs}

    def writer_since(self, moment: datetime) -> LeaseInfo | None:
        """A live writer that may have been at work already at that moment."""
        return next((lease for lease in self.writers if lease.started <= moment + SKEW), None)


@dataclass(slots=True)
class _Tally:
    condemned_packs: int = 0
    condemned_bytes: int = 0
    repacked_bytes: int = 0
    swept_packs: int = 0
    swept_bytes: int = 0
    rescued_packs: int = 0
    waiting_packs: int = 0
    waiting_for: str = ""


class Collector:
    """One run of the collector over a repository."""

    def __init__(
        self,
        store: Store,
        vault: Vault,
        index: ChunkIndex,
        load_points: Callable[[], list[RestorePoint]],
        owner: str = "",
    ) -> None:
        """``load_points`` lists every restore point and raises when one cannot be read. ``owner``:
        see `Lease`."""
        self._store = store
        self._vault = vault
        self._index = index
        self._load_points = load_points
        self._tally = _Tally()
        self._lease = Lease(store, vault.context, COLLECT, owner)

    def run(self, grace: timedelta) -> GcReport:
        """Sweep what is due, then condemn. Without grace, what was condemned is swept at once.

        Raises Conflict while another collector is at work, Damaged when a point cannot be read,
        Interrupted when the token in force is cancelled.
        """
        began = time.monotonic()
        with exclusive(self._store, self._lease):
            view = self._look(self._lease.renew())
            self._sweep(view, grace)
            token_in_force().check()
            self._condemn(view)
            if not grace:
                self._sweep(self._look(self._lease.renew()), grace)
            self._bury_dead(self._lease.renew())
        return self._report(time.monotonic() - began)

    def preview(self, now: datetime) -> GcReport:
        """What ``run`` would condemn and copy. Writes nothing, takes no lease."""
        began = time.monotonic()
        view = self._look(now)
        dead, sparse = self._candidates(view)
        gone = {use.record.name: use.record.size for use in [*dead, *sparse]}
        self._count_condemned(gone | self._orphans(view))
        self._tally.repacked_bytes = sum(use.live for use in sparse)
        self._tally.waiting_packs = len(view.condemned)
        return self._report(time.monotonic() - began)

    def _look(self, now: datetime) -> _View:
        """Packs, then leases, then collections and index, then points: never the other way round.

        A writer that is missed in one step has left its trace in the next.
        """
        packs = {
            name: (info.size, info.modified)
            for info in self._store.list(PACKS)
            if (name := pack_name(info.key))
        }
        leases = [lease for lease in read_leases(self._store) if lease.alive(now)]
        follow(self._store, self._vault, self._index)
        collections = read_collections(self._store, self._vault.context)
        points = self._load_points()
        reader = BlobReader(self._store, self._vault, self._index)
        with self._index.scratch() as database:
            mark(database, live_ids(points, reader.read))
        self._require_whole_index()
        writers = [lease for lease in leases if lease.purpose == WRITE]
        return _View(now, packs, writers, collections)

    def _require_whole_index(self) -> None:
        """Raises Damaged when something needed is in no known pack: unknown packs may hold it."""
        self._index.refresh()  # a point may have been committed since the index was read
        with self._index.scratch() as database:
            lost = unindexed(database)
        if lost:
            raise Damaged(
                f"{len(lost)} chunks that restore points need are in no pack of the index "
                f"(the first is {lost[0].hex()}…), so nothing is collected",
                hint="Rebuild the index: hypersdk repo recover REPO. Chunks that are lost for good "
                "are named by hypersdk verify REPO; a backup of their area stores them again.",
            )

    # -- sweep

    def _sweep(self, view: _View, grace: timedelta) -> None:
        due = [found for found in view.collections if self._is_due(view, found, grace)]
        waiting = {pack for c in view.collections if c not in due for pack in c.packs}
        self._tally.waiting_packs = len(waiting)
        if not due:
            return
        condemned = {pack for collection in due for pack in collection.packs} - waiting
        rescued = self._rescued(view, condemned)
        swept = condemned - rescued
        self._tally.rescued_packs += len(rescued)
        self._lease.require()
        merge_runs(self._store, self._vault.context, self._lease, without=swept)
        self._index.refresh()
        for pack in swept:
            token_in_force().check()  # the next run sweeps what is left
            self._store.delete(pack_key(pack))
            if pack in view.packs:
                self._tally.swept_packs += 1
                self._tally.swept_bytes += view.packs[pack][0]
        for note in read_damage(self._store, self._vault.context):
            if note.pack in swept:
                self._store.delete(note.key)
        for collection in due:
            self._store.delete(collection.key)

    def _is_due(self, view: _View, collection: Collection, grace: timedelta) -> bool:
        """True when nobody may still rely on the collection's packs without having seen it."""
        writer = view.writer_since(collection.published)
        if writer is not None:
            self._tally.waiting_for = f"the writer that began {writer.started:%Y-%m-%d %H:%M:%S}"
            return False
        if view.now - collection.published < grace:
            end = collection.published + grace
            self._tally.waiting_for = f"the grace time, until {end:%Y-%m-%d %H:%M}"
            return False
        return True

    def _rescued(self, view: _View, condemned: set[bytes]) -> set[bytes]:
        """Condemned packs with the only reliable copy of something that is needed."""

        def reliable(pack: bytes, identity: bytes) -> bool:
            return pack in view.packs and self._index.trusts(pack, identity)

        with self._index.scratch() as database:
            return {pack for pack in condemned if is_needed(database, pack, reliable)}

    # -- condemn

    def _condemn(self, view: _View) -> None:
        dead, sparse = self._candidates(view)
        orphans = self._orphans(view)
        emptied: list[PackRecord] = []
        for kind in sorted({use.record.kind for use in sparse}):
            records = [use.record for use in sparse if use.record.kind == kind]
            with self._index.scratch() as database:
                live = {record.name: live_in(database, record.name) for record in records}
            copied, size = repack(self._store, self._vault, self._index, self._lease, records, live)
            emptied += copied
            self._tally.repacked_bytes += size
        gone = {record.name: record.size for record in emptied}
        gone |= {use.record.name: use.record.size for use in dead} | orphans
        if gone:
            self._publish(gone)
        self._count_condemned(gone)

    def _publish(self, packs: Iterable[bytes]) -> None:
        """Condemn packs, unless that took so long that its time says nothing any more."""
        key = condemn(self._store, self._vault.context, packs)
        if self._lease.renew() - self._store.stat(key).modified > SKEW:
            self._store.delete(key)
            raise lease_lost(self._store)

    def _candidates(self, view: _View) -> tuple[list[PackUse], list[PackUse]]:
        """Packs without and packs with little live content, apart from what writers just stored."""
        with self._index.scratch() as database:
            uses = pack_usage(database)
        condemned = view.condemned
        damaged = {note.pack for note in read_damage(self._store, self._vault.context)}
        settled = [
            use
            for use in uses
            if use.record.name in view.packs
            and use.record.name not in condemned
            and view.writer_since(view.packs[use.record.name][1]) is None
        ]
        dead = [use for use in settled if not use.live]
        sparse = [
            use
            for use in settled
            if use.live and use.live < LIVE_SHARE * use.total and use.record.name not in damaged
        ]
        return dead, sparse

    def _orphans(self, view: _View) -> dict[bytes, int]:
        """Packs that no index knows, left by a writer that is gone; name → size."""
        known = self._index.packs().keys() | view.condemned
        return {
            name: size
            for name, (size, modified) in view.packs.items()
            if name not in known and view.writer_since(modified) is None
        }

    def _count_condemned(self, packs: Mapping[bytes, int]) -> None:
        self._tally.condemned_packs += len(packs)
        self._tally.condemned_bytes += sum(packs.values())

    def _bury_dead(self, now: datetime) -> None:
        for lease in read_leases(self._store):
            if not lease.alive(now):
                bury_lease(self._store, lease)

    def _report(self, seconds: float) -> GcReport:
        tally = self._tally
        return GcReport(
            condemned_packs=tally.condemned_packs,
            condemned_bytes=tally.condemned_bytes,
            repacked_bytes=tally.repacked_bytes,
            swept_packs=tally.swept_packs,
            swept_bytes=tally.swept_bytes,
            rescued_packs=tally.rescued_packs,
            waiting_packs=tally.waiting_packs,
            waiting_for=tally.waiting_for if tally.waiting_packs else "",
            seconds=seconds,
        )
