"""Ids, ciphers and envelopes that follow from the keys in hand.

A vault without keys (``Vault.locked``) can list names and check stored bytes, nothing else.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property

from blake3 import blake3

from hypersdk.model.errors import KeyRequired
from hypersdk.repository.ciphers import Bytes, Cipher, aes_cipher, checksum_cipher
from hypersdk.repository.format import SALT_SIZE, Context, PackKind, Protection
from hypersdk.repository.keys import KeyRing, open_sealed, seal_to


@dataclass(frozen=True, slots=True)
class Group:
    """Blobs of a pack that share a key. A new pack has one group; a repacked one several."""

    salt: bytes
    protection: Protection
    #: The group's key, sealed to the readers; empty unless ``protection`` is SEALED.
    sealed: bytes


class Vault:
    """Everything that depends on keys, in one place."""

    def __init__(
        self, repository_id: bytes, ring: KeyRing | None, public_key: bytes, encrypted: bool
    ) -> None:
        self.repository_id = repository_id
        self.encrypted = encrypted
        self._ring = ring
        self._public_key = public_key

    @property
    def locked(self) -> bool:
        """True when no key was given: only names and stored bytes can be looked at."""
        return self._ring is None

    @property
    def can_read(self) -> bool:
        """True when guest data can be decrypted."""
        return not self.encrypted or (self._ring is not None and self._ring.private_key is not None)

    @property
    def ring(self) -> KeyRing:
        """Raises KeyRequired while locked."""
        if self._ring is None:
            raise KeyRequired(
                "the repository is encrypted and no key was given",
                hint="Set HYPERSDK_PASSPHRASE, or give --key-file or --identity.",
            )
        return self._ring

    @cached_property
    def context(self) -> Context:
        """Envelope of metadata objects. Raises KeyRequired while locked."""
        ring = self.ring
        if not self.encrypted:
            return Context(self.repository_id, checksum_cipher(), Protection.NONE)
        cipher = aes_cipher(ring.derive("metadata"))
        return Context(self.repository_id, cipher, Protection.METADATA)

    def chunk_id(self, data: Bytes) -> bytes:
        """Id of a chunk: BLAKE3 keyed per repository, 32 bytes."""
        return blake3(data, key=self._chunk_key).digest()

    def segment_id(self, data: Bytes) -> bytes:
        """Id of a segment of a map; another key, so that no chunk can pose as a segment."""
        return blake3(data, key=self._segment_key).digest()

    def identify(self, kind: PackKind, data: Bytes) -> bytes:
        """Id of a blob by the kind of pack it lies in."""
        return self.chunk_id(data) if kind is PackKind.DATA else self.segment_id(data)

    @cached_property
    def _chunk_key(self) -> bytes:
        return self.ring.derive("chunk id")

    @cached_property
    def _segment_key(self) -> bytes:
        return self.ring.derive("segment id")

    def new_group(self, kind: PackKind) -> tuple[Group, Cipher]:
        """A fresh key for one pack, used for nothing else."""
        salt = os.urandom(SALT_SIZE)
        if not self.encrypted:
            return Group(salt, Protection.NONE, b""), checksum_cipher()
        if kind is PackKind.MAP:
            return Group(salt, Protection.METADATA, b""), self._map_cipher(salt)
        key = os.urandom(32)
        sealed = seal_to(self._public_key, key, self._pack_purpose(salt))
        return Group(salt, Protection.SEALED, sealed), aes_cipher(key)

    def open_group(self, group: Group) -> Cipher | None:
        """Cipher of an existing group; None when its seal was altered.

        Raises KeyRequired when the keys in hand do not allow reading guest data.
        """
        if group.protection is Protection.NONE:
            return checksum_cipher()
        if group.protection is Protection.METADATA:
            return self._map_cipher(group.salt)
        key = open_sealed(self._private_key(), group.sealed, self._pack_purpose(group.salt))
        return None if key is None else aes_cipher(key)

    def seal_definition(self, content: bytes) -> bytes:
        """A guest's definition may hold secrets: only readers may open it."""
        if not self.encrypted:
            return content
        return seal_to(self._public_key, content, b"hypersdk definition" + self.repository_id)

    def open_definition(self, sealed: bytes) -> bytes | None:
        """The definition; None when altered. Raises KeyRequired for a writer's key."""
        if not self.encrypted:
            return sealed
        purpose = b"hypersdk definition" + self.repository_id
        return open_sealed(self._private_key(), sealed, purpose)

    def _private_key(self) -> bytes:
        private = self.ring.private_key
        if private is None:
            raise KeyRequired(
                "this key can write backups but not read them",
                hint="Use a reader key; `hypersdk repo key list REPO` shows which slots are.",
            )
        return private

    def _map_cipher(self, salt: bytes) -> Cipher:
        return aes_cipher(self.ring.derive("map pack", salt))

    def _pack_purpose(self, salt: bytes) -> bytes:
        return b"hypersdk pack" + self.repository_id + salt
