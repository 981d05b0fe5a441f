"""Small objects that tell writers and collectors what not to rely on.

* a *collection* condemns packs: nobody uses them for new points, a later sweep deletes them;
* a *damage note* names chunks that verification found unreadable: they are stored again;
* a *tombstone* stands for a restore point that retention removed, so that the chain of an
  instance shows whether somebody else removed one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from blake3 import blake3
from ulid import ULID

from hypersdk.model.errors import Damaged, ObjectExists, ObjectMissing
from hypersdk.model.points import RestorePoint
from hypersdk.repository.format import Context, Kind, dump, load, unwrap, wrap
from hypersdk.repository.layout import COLLECTIONS, DAMAGE, PRUNED, pack_name
from hypersdk.repository.store.ports import Store


@dataclass(frozen=True, slots=True)
class Collection:
    """Packs condemned at one moment."""

    key: str
    packs: frozenset[bytes]
    #: When it was published, by the storage's clock.
    published: datetime


#: Pack of a note about chunks that are in no pack at all, given by the first 20 bytes of their ids.
NO_PACK = bytes(32)


@dataclass(frozen=True, slots=True)
class DamageNote:
    """Chunks of one pack that cannot be read; no chunks: the pack as a whole."""

    key: str
    pack: bytes
    chunks: frozenset[bytes]


def condemn(store: Store, context: Context, packs: Iterable[bytes]) -> str:
    """Publish a collection; its key."""
    key = f"{COLLECTIONS}/{ULID()}"
    body = dump({"packs": sorted(packs)})
    store.put_if_absent(key, wrap(Kind.COLLECTION, key, body, context))
    return key


def read_collections(store: Store, context: Context) -> list[Collection]:
    """Every collection, oldest first. Raises Damaged naming one that cannot be read."""
    found = []
    for info in store.list(COLLECTIONS):
        with contextlib.suppress(ObjectMissing):
            body = _open(store, context, Kind.COLLECTION, info.key)
            found.append(Collection(info.key, frozenset(body["packs"]), info.modified))
    return sorted(found, key=lambda collection: collection.key)


def note_damage(store: Store, context: Context, pack: bytes, chunks: Iterable[bytes]) -> None:
    """Record damage; the same finding twice is one note."""
    body = dump({"pack": pack, "chunks": sorted(chunks)})
    key = f"{DAMAGE}/{blake3(body).hexdigest()}"
    with contextlib.suppress(ObjectExists):
        store.put_if_absent(key, wrap(Kind.DAMAGE, key, body, context))


def read_damage(store: Store, context: Context) -> list[DamageNote]:
    """Every damage note. Raises Damaged naming one that cannot be read."""
    notes = []
    for info in store.list(DAMAGE):
        with contextlib.suppress(ObjectMissing):
            body = _open(store, context, Kind.DAMAGE, info.key)
            notes.append(DamageNote(info.key, body["pack"], frozenset(body["chunks"])))
    return notes


def discard_unreadable(store: Store, context: Context) -> dict[str, str]:
    """Remove collections and damage notes that cannot be read; key → what was wrong.

    The caller holds the collector's lease. Without its collection a pack is like one that was never
    condemned: a sweep that was killed has taken out of the index what it has deleted.
    """
    removed = {}
    for kind, folder in ((Kind.COLLECTION, COLLECTIONS), (Kind.DAMAGE, DAMAGE)):
        for info in list(store.list(folder)):
            try:
                _open(store, context, kind, info.key)
            except Damaged as error:
                store.delete(info.key)
                removed[info.key] = f"{error.message}; it was removed"
    return removed


def _open(store: Store, context: Context, kind: Kind, key: str) -> Any:
    try:
        return load(key, unwrap(kind, key, store.get(key), context))
    except Damaged as error:
        error.hint = "Remove it and rebuild the index: hypersdk repo recover REPO"
        raise


def bury(store: Store, context: Context, point: RestorePoint, reason: str) -> None:
    """Leave a tombstone for a point that is about to be removed."""
    body = {
        "instance": point.instance,
        "key": point.key,
        "time": point.time.isoformat(),
        "previous": point.previous,
        "reason": reason,
    }
    _bury(store, context, point.digest, body)


def bury_before(store: Store, context: Context, successor: RestorePoint, key: str) -> None:
    """Leave a tombstone for an unreadable point, known only from the one after it."""
    body = {
        "instance": successor.instance,
        "key": key,
        "time": successor.time.isoformat(),
        "previous": b"",
        "reason": "unreadable",
    }
    _bury(store, context, successor.previous, body)


def _bury(store: Store, context: Context, digest: bytes, content: dict[str, Any]) -> None:
    key = f"{PRUNED}/{digest.hex()}"
    body = dump(content)
    with contextlib.suppress(ObjectExists):
        store.put_if_absent(key, wrap(Kind.TOMBSTONE, key, body, context))


def read_tombstones(store: Store) -> frozenset[bytes]:
    """Digests of the points that retention removed."""
    names = (pack_name(info.key) for info in store.list(PRUNED))  # of the same form
    return frozenset(name for name in names if name)
