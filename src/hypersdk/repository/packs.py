"""Packs: how blobs are gathered into write-once objects, and how they are found in them again.

::

    blob … blob ‖ footer (groups and entries, protected) ‖ trailer

Workers compress on their own, reserve a place in the open pack under a lock, and encrypt straight
into the pack's buffer outside it. Full packs are sealed, checked and uploaded by other threads;
buffers are few and reused, so a slow place slows the workers down instead of filling memory.
"""

from __future__ import annotations

import mmap
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from blake3 import blake3

from hypersdk.datapath.cancel import WAIT_SLICE, token_in_force
from hypersdk.model.errors import Damaged, ObjectExists
from hypersdk.model.units import KIB
from hypersdk.repository.ciphers import TAG_SIZE, Bytes, Cipher
from hypersdk.repository.codec import compress
from hypersdk.repository.format import (
    BLOB_CONTEXT,
    CHUNK_SIZE_MAX,
    FORMAT_VERSION,
    NONCE_SIZE,
    PACK_BLOBS,
    PACK_ENTRY,
    PACK_FOOTER,
    PACK_GROUP,
    PACK_MAGIC,
    PACK_TARGET,
    PACK_TRAILER,
    Context,
    PackKind,
    Protection,
    blob_nonce,
)
from hypersdk.repository.layout import pack_key
from hypersdk.repository.store.ports import Store
from hypersdk.repository.vault import Group, Vault

#: Bytes that any pack fits into: blobs, one that began below the target, entries, groups.
PACK_BUFFER = PACK_TARGET + CHUNK_SIZE_MAX + PACK_BLOBS * (PACK_ENTRY.size + 100) + 64 * KIB


def pack_buffer() -> mmap.mmap:
    """`PACK_BUFFER` bytes of whole pages. Only those that are written take memory: a bytearray is
    zeroed, so that the few KiB of a disk's map cost 37 MiB. Large writes need not copy it either.
    """
    return mmap.mmap(-1, PACK_BUFFER, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


class PackEntry(NamedTuple):
    """One blob as its pack's footer describes it."""

    id: bytes
    group: int
    ordinal: int
    offset: int
    stored_length: int
    raw_length: int
    codec: int

    def context(self, repository_id: bytes, salt: bytes) -> bytes:
        """What the blob's protection is bound to."""
        return BLOB_CONTEXT.pack(
            repository_id, salt, self.ordinal, self.id, self.codec, self.raw_length
        )


@dataclass(frozen=True, slots=True)
class StoredPack:
    """A pack that is in the store."""

    name: bytes
    size: int
    kind: PackKind
    entries: list[PackEntry]


@dataclass(frozen=True, slots=True)
class PackFooter:
    """What stands in a pack."""

    kind: PackKind
    groups: list[Group]
    entries: list[PackEntry]


@dataclass(slots=True)
class OpenPack:
    """A pack that still takes blobs."""

    kind: PackKind
    buffer: mmap.mmap
    groups: list[Group]
    ciphers: list[Cipher]
    entries: list[PackEntry] = field(default_factory=list)
    offset: int = 0
    #: Places reserved whose bytes are not written yet.
    pending: int = 0
    closed: bool = False

    @property
    def full(self) -> bool:
        return self.offset >= PACK_TARGET or len(self.entries) >= PACK_BLOBS

    def reserve(self, identity: bytes, codec: int, stored: int, raw: int) -> PackEntry:
        """A place for one blob of the newest group."""
        entry = PackEntry(
            identity, len(self.groups) - 1, len(self.entries), self.offset, stored, raw, codec
        )
        self.entries.append(entry)
        self.offset += stored
        return entry

    def seal(self, context: Context) -> tuple[bytes, memoryview]:
        """Footer and trailer behind the blobs; the pack's name and all its bytes."""
        body = PACK_FOOTER.pack(len(self.groups), len(self.entries))
        for group in self.groups:
            body += PACK_GROUP.pack(group.salt, group.protection, len(group.sealed)) + group.sealed
        body += b"".join(PACK_ENTRY.pack(*entry) for entry in self.entries)
        nonce = os.urandom(NONCE_SIZE)
        trailer = PACK_TRAILER.pack(
            PACK_MAGIC,
            FORMAT_VERSION,
            self.kind,
            context.protection,
            0,
            nonce,
            len(body) + TAG_SIZE,
            len(self.entries),
        )
        footer = context.metadata.seal(nonce, body, trailer + context.repository_id)
        end = self.offset + len(footer) + len(trailer)
        view = memoryview(self.buffer)[:end]
        view[self.offset : end] = footer + trailer
        return blake3(view).digest(), view

    def check(self, repository_id: bytes) -> None:
        """Every blob opens as it lies in memory: bad RAM must not become a bad backup."""
        view = memoryview(self.buffer)
        longest = max((entry.stored_length for entry in self.entries), default=0)
        opened = memoryview(bytearray(longest))  # one for all: fresh pages cost more than opening
        for entry in self.entries:
            cipher, salt = self.ciphers[entry.group], self.groups[entry.group].salt
            blob = view[entry.offset : entry.offset + entry.stored_length]
            aad = entry.context(repository_id, salt)
            out = opened[: entry.stored_length - TAG_SIZE]
            if not cipher.open_into(blob_nonce(entry.ordinal), blob, aad, out):
                raise Damaged(
                    f"chunk {entry.id.hex()[:16]} changed in memory before it was stored",
                    hint="Nothing was committed. Test this machine's memory.",
                )


class PackWriter:
    """Takes blobs from many threads and stores them in packs of one kind."""

    def __init__(
        self,
        kind: PackKind,
        vault: Vault,
        store: Store,
        stored: Callable[[StoredPack], None],
        uploads: int,
    ) -> None:
        """``stored`` is called from an upload thread for each pack that is in the store."""
        self._kind = kind
        self._vault = vault
        self._store = store
        self._stored = stored
        self._lock = threading.Lock()
        self._pack: OpenPack | None = None
        self._buffers: SimpleQueue[mmap.mmap | None] = SimpleQueue()
        for _ in range(uploads + 1):
            self._buffers.put(None)  # made on first use: most maps need one
        self._uploads = ThreadPoolExecutor(uploads, thread_name_prefix=f"pack-{kind.name.lower()}")
        self._running: set[Future[None]] = set()
        self._error: BaseException | None = None

    def add(self, identity: bytes, data: Bytes) -> int:
        """Compress, protect and place one blob. Returns its stored bytes.

        Raises the first error of any upload: nothing after it would be committed anyway.
        """
        if self._error is not None:
            raise self._error
        codec, payload = compress(data)
        stored = len(payload) + TAG_SIZE
        pack, entry = self._reserve(identity, codec, stored, len(data))
        salt, cipher = pack.groups[0].salt, pack.ciphers[0]
        out = memoryview(pack.buffer)[entry.offset : entry.offset + stored]
        aad = entry.context(self._vault.repository_id, salt)
        try:
            cipher.seal_into(blob_nonce(entry.ordinal), payload, aad, out)
        finally:
            out.release()
            with self._lock:
                pack.pending -= 1
                if pack.closed and not pack.pending:
                    self._upload(pack)
        return stored

    def finish(self) -> None:
        """Store what is open and wait for every upload. Raises the first error."""
        with self._lock:
            self._rotate()
            running = list(self._running)
        for future in running:
            future.exception()
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Drop what is not stored, end the threads, and let go of the buffers.

        Writer and session refer to each other: without this, 100 MiB would wait for the
        interpreter's cycle collector after each backup.
        """
        self._uploads.shutdown(wait=True, cancel_futures=True)
        self._pack = None
        while not self._buffers.empty():
            self._buffers.get()

    def _reserve(
        self, identity: bytes, codec: int, stored: int, raw: int
    ) -> tuple[OpenPack, PackEntry]:
        while True:
            with self._lock:
                if self._pack is not None and self._pack.full:
                    self._rotate()
                if self._pack is not None:
                    self._pack.pending += 1
                    return self._pack, self._pack.reserve(identity, codec, stored, raw)
            # Wait for a buffer outside the lock: who must fill a closed pack needs the lock.
            self._begin(self._free_buffer() or pack_buffer())

    def _free_buffer(self) -> mmap.mmap | None:
        """Wait until an upload gives one back. Raises Interrupted: an upload may take minutes."""
        token = token_in_force()
        while True:
            try:
                return self._buffers.get(timeout=WAIT_SLICE)
            except Empty:
                token.check()

    def _begin(self, buffer: mmap.mmap) -> None:
        group, cipher = self._vault.new_group(self._kind)
        with self._lock:
            if self._pack is None:
                self._pack = OpenPack(self._kind, buffer, [group], [cipher])
            else:  # another thread was faster
                self._buffers.put(buffer)

    def _rotate(self) -> None:
        pack, self._pack = self._pack, None
        if pack is not None:
            pack.closed = True
            if not pack.pending:
                self._upload(pack)

    def _upload(self, pack: OpenPack) -> None:
        future = self._uploads.submit(self._store_pack, pack)
        self._running.add(future)
        future.add_done_callback(self._running.discard)

    def _store_pack(self, pack: OpenPack) -> None:
        try:
            if self._error is None:
                pack.check(self._vault.repository_id)
                self._stored(store_pack(self._store, pack, self._vault.context))
        except BaseException as error:
            self._error = self._error or error
            raise
        finally:
            self._buffers.put(pack.buffer)


def store_pack(store: Store, pack: OpenPack, context: Context) -> StoredPack:
    """Seal a pack and put it into the store."""
    name, view = pack.seal(context)
    try:
        store.put_if_absent(pack_key(name), view)
    except ObjectExists:  # the name is the hash of the bytes: it is this very pack
        pass
    finally:
        size = len(view)
        view.release()
    return StoredPack(name, size, pack.kind, pack.entries)


def read_footer(store: Store, name: bytes, size: int, context: Context) -> PackFooter:
    """Footer of a pack of ``size`` bytes, in one or two range reads. Raises Damaged."""
    key = pack_key(name)
    tail_length = min(size, 8 * 1024)
    tail = store.get(key, size - tail_length, tail_length)
    length = _footer_length(key, tail, size)
    needed = length + PACK_TRAILER.size
    if needed > tail_length:
        tail = store.get(key, size - needed, needed)
    return parse_footer(key, tail, context)


def parse_footer(key: str, tail: Bytes, context: Context) -> PackFooter:
    """Footer from the last bytes of a pack, or from all of them. Raises Damaged."""
    view = memoryview(tail)
    length = _footer_length(key, view, len(view))
    trailer = bytes(view[-PACK_TRAILER.size :])
    kind, protection, nonce = trailer[5], trailer[6], trailer[8:20]
    footer = view[-PACK_TRAILER.size - length : -PACK_TRAILER.size]
    if protection != context.protection:
        raise Damaged(f"pack {key} has protection {protection}, unlike its repository")
    body = context.metadata.open(nonce, footer, trailer + context.repository_id)
    if body is None:
        raise Damaged(f"footer of pack {key} was altered")
    group_count, entry_count = PACK_FOOTER.unpack_from(body)
    position, groups = PACK_FOOTER.size, []
    for _ in range(group_count):
        salt, group_protection, sealed_length = PACK_GROUP.unpack_from(body, position)
        position += PACK_GROUP.size
        sealed = body[position : position + sealed_length]
        groups.append(Group(salt, Protection(group_protection), sealed))
        position += sealed_length
    entries = [PackEntry(*values) for values in _entries(body, position, entry_count)]
    return PackFooter(PackKind(kind), groups, entries)


def _entries(body: bytes, position: int, count: int) -> Iterator[tuple[Any, ...]]:
    return PACK_ENTRY.iter_unpack(body[position : position + count * PACK_ENTRY.size])


def _footer_length(key: str, tail: Bytes, available: int) -> int:
    if len(tail) < PACK_TRAILER.size:
        raise Damaged(f"pack {key} is cut short")
    view = memoryview(tail)[-PACK_TRAILER.size :]
    magic, version, _, _, _, _, length, _ = PACK_TRAILER.unpack(view)
    if magic != PACK_MAGIC or version != FORMAT_VERSION:
        raise Damaged(f"pack {key} has no trailer")
    if length + PACK_TRAILER.size > available:
        raise Damaged(f"pack {key} is cut short")
    return int(length)
