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

from blake3 import blake3
from ulid import ULID

from hypersdk.model.errors import ObjectExists, ObjectMissing
from hypersdk.model.points import RestorePoint
from hypersdk.repository.format import Context, Kind, dump, load, unwrap, wrap
from hypersdk.repository.layout import COLLECTIONS, DAMAGE, PRUNED
from hypersdk.repository.store.ports import Store


@dataclass(frozen=True, slots=True)
class Collection:
    """Packs condemned at one moment."""

    key: str
    packs: frozenset[bytes]
    #: When it was published, by the storage's clock.
    published: datetime


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
            data = store.get(info.key)
            body = load(info.key, unwrap(Kind.COLLECTION, info.key, data, context))
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
            body = load(info.key, unwrap(Kind.DAMAGE, info.key, store.get(info.key), context))
            notes.append(DamageNote(info.key, body["pack"], frozenset(body["chunks"])))
    return notes


def bury(store: Store, context: Context, point: RestorePoint, reason: str) -> None:
    """Leave a tombstone for a point that is about to be removed."""
    key = f"{PRUNED}/{point.digest.hex()}"
    body = dump(
        {
            "instance": point.instance,
            "key": point.key,
            "time": point.time.isoformat(),
            "previous": point.previous,
            "reason": reason,
        }
    )
    with contextlib.suppress(ObjectExists):
        store.put_if_absent(key, wrap(Kind.TOMBSTONE, key, body, context))


def read_tombstones(store: Store) -> frozenset[bytes]:
    """Digests of the points that retention removed."""
    return frozenset(bytes.fromhex(info.key.rsplit("/", 1)[-1]) for info in store.list(PRUNED))
