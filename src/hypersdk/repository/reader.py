"""From an id to the bytes behind it, wherever they lie.

Blobs that lie side by side in a pack are fetched in one range read. Every blob is opened,
decompressed and compared with its id before anyone sees it; when one copy is damaged or gone,
another copy is tried before an error names the pack and the offset.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from hypersdk.model.errors import (
    Damaged,
    ObjectMissing,
    StoreDenied,
    StoreError,
    StoreUnavailable,
)
from hypersdk.repository.ciphers import TAG_SIZE, Bytes, Cipher
from hypersdk.repository.codec import decompress_into
from hypersdk.repository.format import CHUNK_SIZE_MAX, PackKind, blob_nonce
from hypersdk.repository.index import ChunkIndex, Location
from hypersdk.repository.layout import pack_key
from hypersdk.repository.packs import PackEntry, PackFooter, read_footer
from hypersdk.repository.store.ports import Store
from hypersdk.repository.vault import Vault

#: Footers are kept up to this many entries in all (~20 MiB).
_KEPT_ENTRIES = 100_000
#: Bytes between two blobs of a pack that are read along rather than asked for apart.
_GAP = 64 * 1024


class Wanted(NamedTuple):
    """A chunk to be read, and where its raw bytes go."""

    id: bytes
    out: memoryview


@dataclass(slots=True)
class _OpenFooter:
    footer: PackFooter
    by_offset: dict[int, PackEntry]
    ciphers: dict[int, Cipher]


class BlobReader:
    """Reads chunks and segments. Safe for many threads."""

    def __init__(self, store: Store, vault: Vault, index: ChunkIndex) -> None:
        self._store = store
        self._vault = vault
        self._index = index
        self._lock = threading.Lock()
        self._footers: OrderedDict[bytes, _OpenFooter] = OrderedDict()
        self._kept = 0
        self._buffers = threading.local()

    def read(self, identity: bytes) -> bytes:
        """The raw bytes of a chunk or segment. Raises Damaged, ObjectMissing, KeyRequired."""
        return self._first_good(identity, self._index.find(identity))

    def is_content(self, identity: bytes, data: memoryview) -> bool:
        """Whether a chunk of this id holds ``data``; nothing is fetched."""
        return self._vault.chunk_id(data) == identity

    def read_all(self, wanted: Sequence[Wanted]) -> None:
        """Read several chunks into their buffers, neighbours in a pack together."""
        places = [(want, self._index.find(want.id)) for want in wanted]
        for span in _spans(places):
            first, last = span[0][1], span[-1][1]
            blobs = self._get(first.pack, first.offset, last.offset + last.length - first.offset)
            for want, place in span:
                start = place.offset - first.offset
                if blobs is None or not self._open_into(
                    place, want.id, blobs[start : start + place.length], want.out
                ):
                    self._replace(want)
        for want, found in places:
            if not found:
                self._replace(want)

    def _replace(self, want: Wanted) -> None:
        """Fill what the usual way did not, from any copy there is."""
        data = self.read(want.id)
        if len(data) != len(want.out):
            raise Damaged(
                f"chunk {want.id.hex()[:16]} has {len(data)} bytes, "
                f"its disk expects {len(want.out)}"
            )
        want.out[:] = data

    def forget(self) -> None:
        """Drop kept footers: packs were rewritten."""
        with self._lock:
            self._footers.clear()
            self._kept = 0

    def _first_good(self, identity: bytes, places: list[Location]) -> bytes:
        if not places:
            self._index.refresh()
            places = self._index.find(identity)
        for place in places:
            blob = self._get(place.pack, place.offset, place.length)
            data = None if blob is None else self._open(place, identity, blob)
            if data is not None:
                return data
        if not places:
            raise Damaged(
                f"chunk {identity.hex()[:16]} is in no pack of the index",
                hint="Rebuild the index from the packs: hypersdk repo recover REPO",
            )
        where = ", ".join(f"{pack_key(p.pack)} at {p.offset}" for p in places)
        raise Damaged(
            f"chunk {identity.hex()[:16]} cannot be read: {where}",
            hint="See what it breaks: hypersdk verify REPO. The next backup stores it again.",
        )

    def _get(self, pack: bytes, offset: int, length: int) -> memoryview | None:
        """Stored bytes, until the next call of this thread; None when the pack lacks them."""
        room: bytearray = getattr(self._buffers, "room", bytearray())
        if len(room) < length:
            room = self._buffers.room = bytearray(length)
        buffer = memoryview(room)[:length]
        try:
            self._store.get_into(pack_key(pack), offset, buffer)
        except (StoreUnavailable, StoreDenied):
            raise
        except StoreError:
            return None  # gone or cut short
        return buffer

    def _open(self, place: Location, identity: bytes, blob: Bytes) -> bytes | None:
        found = self._entry(place, identity, blob)
        return None if found is None else decode_blob(self._vault, *found, blob)

    def _open_into(self, place: Location, identity: bytes, blob: Bytes, out: memoryview) -> bool:
        found = self._entry(place, identity, blob)
        return found is not None and decode_into(self._vault, *found, blob, out)

    def _entry(
        self, place: Location, identity: bytes, blob: Bytes
    ) -> tuple[PackFooter, PackEntry, Cipher] | None:
        """What the pack's footer says about a blob; None when it does not fit."""
        try:
            opened = self._footer(place.pack)
        except (StoreUnavailable, StoreDenied):
            raise
        except (Damaged, StoreError):
            return None
        entry = opened.by_offset.get(place.offset)
        if entry is None or entry.id != identity or entry.stored_length != len(blob):
            return None
        cipher = opened.ciphers.get(entry.group)
        return None if cipher is None else (opened.footer, entry, cipher)

    def _footer(self, pack: bytes) -> _OpenFooter:
        with self._lock:
            opened = self._footers.get(pack)
            if opened is not None:
                self._footers.move_to_end(pack)
                return opened
        size = self._index.pack_size(pack)
        if size is None:
            raise ObjectMissing(f"pack {pack_key(pack)} is not in the index")
        footer = read_footer(self._store, pack, size, self._vault.context)
        ciphers = group_ciphers(self._vault, footer)
        opened = _OpenFooter(footer, {entry.offset: entry for entry in footer.entries}, ciphers)
        with self._lock:
            if pack not in self._footers:  # another thread may have been as fast
                self._footers[pack] = opened
                self._kept += len(footer.entries)
            while self._kept > _KEPT_ENTRIES and len(self._footers) > 1:
                _, dropped = self._footers.popitem(last=False)
                self._kept -= len(dropped.footer.entries)
        return opened


def group_ciphers(vault: Vault, footer: PackFooter) -> dict[int, Cipher]:
    """Ciphers of a pack's groups by number, without those whose seal was altered."""
    ciphers = ((number, vault.open_group(group)) for number, group in enumerate(footer.groups))
    return {number: cipher for number, cipher in ciphers if cipher is not None}


def decode_blob(
    vault: Vault, footer: PackFooter, entry: PackEntry, cipher: Cipher, blob: Bytes
) -> bytes | None:
    """Raw bytes that have the entry's id; None when anything on the way does not fit."""
    if entry.raw_length > CHUNK_SIZE_MAX:
        return None
    out = bytearray(entry.raw_length)
    fits = decode_into(vault, footer, entry, cipher, blob, memoryview(out))
    return bytes(out) if fits else None


def decode_into(
    vault: Vault,
    footer: PackFooter,
    entry: PackEntry,
    cipher: Cipher,
    blob: Bytes,
    out: memoryview,
) -> bool:
    """Fill ``out`` with raw bytes that have the entry's id; False when anything does not fit."""
    if len(blob) < TAG_SIZE or len(out) != entry.raw_length:
        return False
    aad = entry.context(vault.repository_id, footer.groups[entry.group].salt)
    payload = cipher.open(blob_nonce(entry.ordinal), blob, aad)
    if payload is None or not decompress_into(entry.codec, payload, out):
        return False
    return vault.identify(PackKind(footer.kind), out) == entry.id


def _spans(
    places: Sequence[tuple[Wanted, list[Location]]],
) -> Iterator[list[tuple[Wanted, Location]]]:
    """Neighbours that are worth one read, in order of pack and offset."""
    found = sorted(
        ((want, locations[0]) for want, locations in places if locations),
        key=lambda pair: pair[1],
    )
    span: list[tuple[Wanted, Location]] = []
    for pair in found:
        if span:
            last = span[-1][1]
            near = 0 <= pair[1].offset - (last.offset + last.length) <= _GAP
            if pair[1].pack != last.pack or not near:
                yield span
                span = []
        span.append(pair)
    if span:
        yield span
