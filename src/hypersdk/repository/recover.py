"""Rebuild the index from what is certain: the packs themselves."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor

from hypersdk.model.errors import Damaged, ObjectMissing, StoreError
from hypersdk.model.points import RecoverReport
from hypersdk.repository.format import RUN_ENTRIES, Context
from hypersdk.repository.index import PackRecord, RunEntry, publish_runs, read_run
from hypersdk.repository.layout import INDEX, PACKS, pack_key, pack_name
from hypersdk.repository.leases import COLLECT, Lease, exclusive
from hypersdk.repository.notes import discard_unreadable
from hypersdk.repository.packs import PackFooter, read_footer
from hypersdk.repository.store.ports import Store


def rebuild_index(store: Store, context: Context) -> RecoverReport:
    """Write runs from all footers, then delete the runs that were there before.

    Costs one or two range reads per pack; needs no reader's key. A pack whose footer cannot be
    read is reported and left where it is; what the index said about it is kept. Collections and
    damage notes that cannot be read are removed: they stop every writer, and what they say is found
    out again. Raises Conflict while a collector is at work: it would
    delete packs under our hands.
    """
    lease = Lease(store, context, COLLECT)
    with exclusive(store, lease):
        return _rebuild(store, context, lease)


def _rebuild(store: Store, context: Context, lease: Lease) -> RecoverReport:
    began = time.monotonic()
    before = [info.key.rsplit("/", 1)[-1] for info in store.list(INDEX)]
    sizes = {name: info.size for info in store.list(PACKS) if (name := pack_name(info.key))}

    def footer(name: bytes) -> PackFooter | str | None:
        try:
            return read_footer(store, name, sizes[name], context)
        except ObjectMissing:
            return None  # swept since it was listed
        except (Damaged, StoreError) as error:
            return error.message

    unreadable: dict[str, str] = {}
    batch: list[RunEntry] = []
    written: set[str] = set()
    chunks = 0
    with ThreadPoolExecutor(16 if store.latency_bound else 2) as pool:
        for name, found in zip(sizes, pool.map(footer, sizes), strict=True):
            if isinstance(found, str):
                unreadable[pack_key(name)] = found
            elif found is not None:
                record = PackRecord(name, sizes[name], found.kind)
                batch += [RunEntry(e.id, record, e.offset, e.stored_length) for e in found.entries]
                chunks += len(found.entries)
            if len(batch) >= RUN_ENTRIES:
                lease.require()
                written.update(publish_runs(store, context, lease, sorted(batch)))
                batch = []
    batch += _former_rows(store, context, before, set(unreadable))
    lease.require()
    written.update(publish_runs(store, context, lease, sorted(set(batch))))
    for run in set(before) - written:
        store.delete(f"{INDEX}/{run}")
    unreadable |= discard_unreadable(store, context)
    return RecoverReport(len(sizes), chunks, unreadable, time.monotonic() - began)


def _former_rows(
    store: Store, context: Context, runs: Iterable[str], packs: AbstractSet[str]
) -> Iterator[RunEntry]:
    """What the index so far says about the packs under these keys."""
    for name in runs:
        with contextlib.suppress(Damaged, ObjectMissing):
            records, entries = read_run(store, name, context)
            for identity, number, offset, length in entries:
                if pack_key(records[number].name) in packs:
                    yield RunEntry(identity, records[number], offset, length)
