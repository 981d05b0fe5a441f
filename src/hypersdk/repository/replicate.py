"""Bring restore points to another place, as they are stored.

Objects are copied in write order, so that the copy is a valid repository at every moment and a
copy that was broken off goes on where it stopped. Needs no reader's key: nothing is decrypted.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from blake3 import blake3

from hypersdk.model.errors import Conflict, Damaged, NotARepository, ObjectExists
from hypersdk.model.points import RestorePoint
from hypersdk.repository import configuration
from hypersdk.repository.format import RUN_ENTRIES
from hypersdk.repository.index import Run, RunEntry, publish_runs, read_run
from hypersdk.repository.layout import CONFIG, INDEX, KEYS, PACKS, PRUNED, pack_key, pack_name
from hypersdk.repository.leases import WRITE, Lease
from hypersdk.repository.notes import read_collections
from hypersdk.repository.store.ports import Store
from hypersdk.repository.vault import Vault
from hypersdk.repository.verify import Watcher


def is_copy_of(store: Store, repository_id: bytes) -> bool | None:
    """Whether the repository at ``store`` has this id; None when there is no repository."""
    try:
        return configuration.read(store)[0].repository_id == repository_id
    except NotARepository:
        return None


def found_copy(source: Store, target: Store) -> None:
    """Make an empty repository with the same id and key slots: slots first, ``config`` last."""
    for info in source.list(KEYS):
        _put(target, info.key, source.get(info.key))
    _put(target, CONFIG, source.get(CONFIG))


def copy_objects(
    source: Store,
    target: Store,
    vault: Vault,
    points: Sequence[RestorePoint],
    packs: Iterable[bytes],
    watch: Watcher,
) -> tuple[int, int, int]:
    """Copy the missing of these packs and points. Returns (points, packs, bytes) copied.

    Raises Damaged when a pack is not what its name says, Conflict when the target is about to
    delete packs that the points need, LeaseLost after an absence; a second run goes on from there.
    """
    lease = Lease(target, vault.context, WRITE)
    lease.begin()
    try:
        there = {pack_name(info.key) for info in target.list(PACKS)}
        needed = set(packs)
        _refuse_condemned(target, vault, needed)
        missing = sorted(needed - there)
        copied = _copy_packs(source, target, missing, watch)
        lease.require()  # else our new packs may have been taken for a dead writer's
        _copy_index(source, target, vault, lease, needed)
        for info in source.list(PRUNED):
            _put(target, info.key, source.get(info.key))
        lease.require()
        new = [point for point in points if _put(target, point.key, source.get(point.key))]
        return len(new), len(missing), copied
    finally:
        lease.release()


def _refuse_condemned(target: Store, vault: Vault, needed: set[bytes]) -> None:
    condemned = {p for found in read_collections(target, vault.context) for p in found.packs}
    if condemned & needed:
        raise Conflict(
            f"{target.url} is about to delete {len(condemned & needed)} packs that are needed",
            hint=f"Let it finish first: hypersdk repo gc {target.url} --grace 0s. Then copy again.",
        )


def _copy_packs(source: Store, target: Store, names: Sequence[bytes], watch: Watcher) -> int:
    sizes = {name: source.stat(pack_key(name)).size for name in names}
    total, done = sum(sizes.values()), 0

    def copy(name: bytes) -> int:
        data = source.get(pack_key(name))
        if blake3(data).digest() != name:
            raise Damaged(
                f"pack {pack_key(name)} does not match its name",
                hint=f"See what it breaks: hypersdk verify {source.url}",
            )
        _put(target, pack_key(name), data)
        return len(data)

    parallel = 4 if source.latency_bound or target.latency_bound else 2
    with ThreadPoolExecutor(parallel, thread_name_prefix="replicate") as pool:
        jobs = [pool.submit(copy, name) for name in names]
        try:
            for job in jobs:
                done += job.result()
                watch(done, total)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return done


def _copy_index(
    source: Store, target: Store, vault: Vault, lease: Lease, needed: set[bytes]
) -> None:
    """Entries of the needed packs that the target's index lacks."""
    known = {record.name for records, _ in _runs(target, vault) for record in records}
    wanted = needed - known
    batch: list[RunEntry] = []
    for records, entries in _runs(source, vault):
        for identity, number, offset, length in entries:
            if records[number].name in wanted:
                batch.append(RunEntry(identity, records[number], offset, length))
            if len(batch) >= RUN_ENTRIES:
                publish_runs(target, vault.context, lease, sorted(batch))
                batch = []
    publish_runs(target, vault.context, lease, sorted(set(batch)))


def _runs(store: Store, vault: Vault) -> Iterator[Run]:
    for info in store.list(INDEX):
        yield read_run(store, info.key.rsplit("/", 1)[-1], vault.context)


def _put(target: Store, key: str, data: bytes) -> bool:
    """False when it is there already."""
    with contextlib.suppress(ObjectExists):
        target.put_if_absent(key, data)
        return True
    return False
