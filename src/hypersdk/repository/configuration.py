"""The object that says what a repository is, and how one comes into being."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from blake3 import blake3

from hypersdk.model.errors import (
    AlreadyExists,
    Damaged,
    KeyRequired,
    NotARepository,
    ObjectExists,
    ObjectMissing,
)
from hypersdk.repository.format import Kind, check_chunk_size, dump, load, unwrap, wrap
from hypersdk.repository.keys import (
    READER,
    Key,
    KeyRing,
    KeySlot,
    Protect,
    StoredSlot,
    decode_slot,
    encode_slot,
    make_slot,
    open_any,
)
from hypersdk.repository.layout import CONFIG, ENGINE, KEYS
from hypersdk.repository.store.ports import Store


@dataclass(frozen=True, slots=True)
class Configuration:
    """What stands in ``config``, readable without a key."""

    #: 16 random bytes.
    repository_id: bytes
    created: datetime
    encrypted: bool
    #: X25519 public key of the readers; empty in an unencrypted repository.
    public_key: bytes
    #: Default for disks that are backed up for the first time, bytes.
    chunk_size: int
    #: Writer secret of an unencrypted repository, empty otherwise.
    secret: bytes = b""


def create(
    store: Store, protect: Protect, chunk_size: int, now: datetime, slot_id: str, label: str
) -> tuple[Configuration, KeyRing]:
    """Make a repository: the key slot first, ``config`` last, so that a crash leaves none.

    Raises AlreadyExists when there is one, or when the place holds anything else. Slots of an
    ``init`` that did not come to its end are removed.
    """
    check_chunk_size(chunk_size)
    _require_empty(store)
    ring = KeyRing.generate()
    encrypted = protect.method != "none"
    configuration = Configuration(
        repository_id=os.urandom(16),
        created=now,
        encrypted=encrypted,
        public_key=ring.public_key if encrypted else b"",
        chunk_size=chunk_size,
        secret=b"" if encrypted else ring.secret,
    )
    if encrypted:
        slot = KeySlot(slot_id, READER, protect.method, label, now)
        add_slot(store, make_slot(ring, slot, protect, configuration.repository_id))
    else:
        ring = ring.for_writer()
    body = _body(configuration)
    body["proof"] = _proof(ring, body)
    try:
        store.put_if_absent(CONFIG, wrap(Kind.CONFIG, CONFIG, dump(body), None))
    except ObjectExists as error:
        store.delete(f"{KEYS}/{slot_id}")
        raise _exists_already(store) from error
    # Only now is it certain that no other slot belongs to a repository here: two may begin at once.
    for info in list(store.list(KEYS)):
        if info.key != f"{KEYS}/{slot_id}":
            store.delete(info.key)
    return configuration, ring


def read(store: Store) -> tuple[Configuration, dict[str, Any]]:
    """The configuration and its raw body. Raises NotARepository or Damaged."""
    try:
        data = store.get(CONFIG)
    except ObjectMissing as error:
        raise NotARepository(
            f"there is no repository at {store.url}",
            hint=f"Make one: hypersdk repo init {store.url} --encrypt passphrase",
        ) from error
    body = load(CONFIG, unwrap(Kind.CONFIG, CONFIG, data, None))
    try:
        return Configuration(
            repository_id=body["repository"],
            created=datetime.fromisoformat(body["created"]),
            encrypted=body["encrypted"],
            public_key=body["public_key"],
            chunk_size=body["chunk_size"],
            secret=body["secret"],
        ), body
    except (KeyError, TypeError, ValueError) as error:
        raise Damaged(f"object {CONFIG} is no configuration: {error}") from error


def unlock(store: Store, key: Key | None) -> tuple[Configuration, KeyRing | None]:
    """Configuration, and the ring that the key opens; None for an encrypted one without a key.

    Raises KeyRequired when the key opens no slot, naming the slots that there are, and Damaged
    when the configuration was not written by somebody who had the keys.
    """
    configuration, body = read(store)
    if not configuration.encrypted:
        ring: KeyRing | None = KeyRing(configuration.secret, None)
    elif key is None:
        return configuration, None
    else:
        slots, damaged = read_slots(store)
        ring = open_any(slots, key, configuration.repository_id)
        if ring is None:
            raise KeyRequired(
                f"this {key.method} opens no key slot of {store.url}",
                hint="Slots: "
                + ("; ".join(describe(slot.slot) for slot in slots) or "none")
                + (f"; damaged: {', '.join(damaged)}" if damaged else "")
                + ". Without a key of a reader slot no restore point can be restored.",
            )
    assert ring is not None
    if body.get("proof") != _proof(ring, body):
        raise Damaged(f"object {CONFIG} was altered by somebody without the repository's keys")
    return configuration, ring


def describe(slot: KeySlot) -> str:
    """One slot in a few words."""
    label = f" '{slot.label}'" if slot.label else ""
    return f"{slot.method}{label} ({slot.role}, {slot.created:%Y-%m-%d}, {slot.id})"


def add_slot(store: Store, stored: StoredSlot) -> None:
    key = f"{KEYS}/{stored.slot.id}"
    store.put_if_absent(key, encode_slot(key, stored))


def read_slots(store: Store) -> tuple[list[StoredSlot], dict[str, Damaged]]:
    """All readable slots, oldest first, and the damaged ones by key."""
    slots: list[StoredSlot] = []
    damaged: dict[str, Damaged] = {}
    for info in store.list(KEYS):
        try:
            slots.append(decode_slot(info.key, store.get(info.key)))
        except ObjectMissing:
            continue
        except Damaged as error:
            damaged[info.key] = error
    return sorted(slots, key=lambda stored: (stored.slot.created, stored.slot.id)), damaged


def _require_empty(store: Store) -> None:
    if any(info.key == CONFIG for info in store.list(ENGINE)):
        raise _exists_already(store)
    foreign = [name for name in store.folders() if name != ENGINE]
    if foreign:
        raise AlreadyExists(
            f"{store.url} is not empty (it holds {foreign[0]}…)",
            hint="Choose an empty place for the repository.",
        )


def _exists_already(store: Store) -> AlreadyExists:
    return AlreadyExists(
        f"there is a repository at {store.url} already",
        hint="Use it, or choose another place.",
    )


def _body(configuration: Configuration) -> dict[str, Any]:
    return {
        "repository": configuration.repository_id,
        "created": configuration.created.isoformat(),
        "encrypted": configuration.encrypted,
        "public_key": configuration.public_key,
        "chunk_size": configuration.chunk_size,
        "secret": configuration.secret,
    }


def _proof(ring: KeyRing, body: dict[str, Any]) -> bytes:
    """Who altered the configuration without the writer secret cannot make this."""
    content = dump({name: value for name, value in body.items() if name != "proof"})
    return blake3(content, key=ring.derive("configuration")).digest()
