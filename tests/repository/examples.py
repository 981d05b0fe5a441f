"""Small repositories with known content, and what the tests do with them over and over."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from hypersdk.datapath.memory import MemorySource
from hypersdk.datapath.pipeline import copy
from hypersdk.model.instances import Consistency, Definition
from hypersdk.model.points import PointDisk, RestorePoint
from hypersdk.repository.keys import Key, Protect
from hypersdk.repository.layout import point_key
from hypersdk.repository.points import new_point_id
from hypersdk.repository.repository import Repository
from hypersdk.repository.store.memory import MemoryStore
from hypersdk.repository.store.ports import Store

KIB = 1 << 10
MIB = 1 << 20
#: The smallest chunk size there is.
CHUNK = 64 * KIB
MOMENT = datetime(2026, 11, 21, 3, 5, 19, tzinfo=UTC)

#: Opens examples and nothing else; always the same, as some tests are named after it.
IDENTITY = "hypersdk-identity-goldgoldgoldgoldgoldgoldgoldgoldgoldgoldgoldgoldgola"
RECIPIENT = "hypersdk-recipient-joypja4i6dc3c3otvztdzd6vmyw5cu6jnkh55biepk6rz6tt6z7q"


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: datetime = MOMENT) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **amount: float) -> None:
        self.now += timedelta(**amount)


@cache
def noise(length: int, seed: int = 0) -> bytes:
    """Bytes that no codec makes smaller, the same in every run."""
    return random.Random(seed).randbytes(length)


def chunks(*seeds: int | None, size: int = CHUNK) -> bytes:
    """A disk of chunks: the noise of a seed each, zero for None."""
    return b"".join(bytes(size) if seed is None else noise(size, seed) for seed in seeds)


def new_repository(
    tmp_path: Path,
    store: Store | None = None,
    *,
    protect: Protect | None = None,
    clock: Callable[[], datetime] | None = None,
) -> Repository:
    """Unencrypted and in memory unless told otherwise; chunks of 64 KiB."""
    return Repository.create(
        store or MemoryStore(),
        protect or Protect.none(),
        chunk_size=CHUNK,
        cache=tmp_path / "cache",
        clock=clock or Clock(),
    )


def encrypted_repository(tmp_path: Path, store: Store | None = None) -> Repository:
    """Encrypted to ``RECIPIENT``, which costs no Argon2id."""
    return new_repository(tmp_path, store, protect=Protect.recipient(RECIPIENT))


def identity() -> Key:
    """Opens ``encrypted_repository``."""
    return Key.identity(IDENTITY)


def back_up(
    repository: Repository,
    instance: str,
    content: bytes | Mapping[str, bytes],
    *,
    chunk_size: int = CHUNK,
    definition: Definition | None = None,
    pinned: bool = False,
    locked_until: datetime | None = None,
) -> RestorePoint:
    """A full backup of disks in memory, without any flow around it."""
    disks = {"disk0": content} if isinstance(content, bytes) else content
    previous = repository.latest(instance)
    before = {disk.name: disk for disk in previous.disks} if previous else {}
    time, point_id = repository.clock(), new_point_id()
    with repository.write() as session:
        stored = []
        for name, data in disks.items():
            sink = session.disk(len(data), chunk_size, before.get(name), inherit=False)
            copy(MemorySource(data), sink)
            segments, _ = sink.finish()
            stored.append(PointDisk(name, len(data), chunk_size, segments))
        point = RestorePoint(
            id=point_id,
            instance=instance,
            time=time,
            stored_at=time,
            key=point_key(instance, time, point_id),
            disks=tuple(stored),
            consistency=Consistency.OFFLINE,
            previous=previous.digest if previous else b"",
            pinned=pinned,
            locked_until=locked_until,
            definition_kind=definition.kind if definition else "",
        )
        return session.commit(point, definition)


def content_of(repository: Repository, point: RestorePoint, disk: str = "disk0") -> bytes:
    """All bytes of a disk of a point."""
    with repository.source(point, disk) as source:
        buffer = bytearray(source.size)
        source.readinto(0, memoryview(buffer))
    return bytes(buffer)


def keys_below(store: Store, folder: str) -> list[str]:
    """Every key below a folder, sorted."""
    return sorted(info.key for info in store.list(folder))


def replace_object(store: Store, key: str, data: bytes) -> None:
    """What an object may never undergo."""
    store.delete(key)
    store.put_if_absent(key, data)


def flip(data: bytes, position: int) -> bytes:
    """The same with one bit changed."""
    changed = bytearray(data)
    changed[position] ^= 1
    return bytes(changed)
