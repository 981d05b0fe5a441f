"""Rebuild the index from what is certain: the packs themselves."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from hypersdk.model.errors import Damaged, ObjectMissing, StoreError
from hypersdk.model.points import RecoverReport
from hypersdk.repository.format import RUN_ENTRIES, Context
from hypersdk.repository.index import PackRecord, RunEntry, write_runs
from hypersdk.repository.layout import INDEX, PACKS, pack_key, pack_name
from hypersdk.repository.leases import exclusive
from hypersdk.repository.packs import PackFooter, read_footer
from hypersdk.repository.store.ports import Store


def rebuild_index(store: Store, context: Context) -> RecoverReport:
    """Write runs from all footers, then delete the runs that were there before.

    Costs one or two range reads per pack; needs no reader's key. A pack whose footer cannot be
    read is reported and left where it is. Raises Conflict while a collector is at work: it would
    delete packs under our hands.
    """
    with exclusive(store, context):
        return _rebuild(store, context)


def _rebuild(store: Store, context: Context) -> RecoverReport:
    began = time.monotonic()
    before = [info.key for info in store.list(INDEX)]
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
                written.update(write_runs(store, context, sorted(batch)))
                batch = []
    written.update(write_runs(store, context, sorted(batch)))
    for key in before:
        if key.rsplit("/", 1)[-1] not in written:
            store.delete(key)
    return RecoverReport(len(sizes), chunks, unreadable, time.monotonic() - began)
