"""Keys: what a host may hold, how it is wrapped in slots, and what follows from it.

A repository has one *writer secret* (32 random bytes) and one X25519 key pair. From the secret
follow the keys that name chunks and protect metadata; whoever has it can write, deduplicate and
collect. Guest data is sealed to the public key; only who has the private key can read it.

Slots wrap either both (role ``reader``) or the secret alone (role ``writer``) by a passphrase, a
key file, or to somebody's X25519 public key (HPKE, RFC 9180).
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from blake3 import blake3
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from hypersdk.model.errors import Damaged, InvalidInput, KeyRequired
from hypersdk.repository.ciphers import Cipher, aes_cipher
from hypersdk.repository.format import SALT_SIZE, Kind, dump, load, unwrap, wrap

READER, WRITER = "reader", "writer"
PASSPHRASE, KEY_FILE, RECIPIENT = "passphrase", "keyfile", "recipient"

_SUITE = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
_SLOT_NONCE = bytes(12)  # each slot's wrapping key is used once: its salt is fresh
_RECIPIENT_PREFIX = "hypersdk-recipient-"
_IDENTITY_PREFIX = "hypersdk-identity-"

#: Argon2id (RFC 9106, second recommended option): 64 MiB, 3 passes, 4 lanes; ~0.2 s.
ARGON_MEMORY_KIB, ARGON_PASSES, ARGON_LANES = 64 * 1024, 3, 4


def seal_to(public_key: bytes, data: bytes, purpose: bytes) -> bytes:
    """HPKE base mode: 48 bytes longer than ``data``."""
    return _SUITE.encrypt(data, X25519PublicKey.from_public_bytes(public_key), purpose)


def open_sealed(private_key: bytes, sealed: bytes, purpose: bytes) -> bytes | None:
    """What was sealed; None when it was sealed to another key or altered."""
    try:
        return _SUITE.decrypt(sealed, X25519PrivateKey.from_private_bytes(private_key), purpose)
    except (InvalidTag, ValueError):
        return None


@dataclass(frozen=True, slots=True, repr=False)
class KeyRing:
    """The keys in hand after a slot was opened."""

    #: Writer secret, 32 bytes.
    secret: bytes
    #: X25519 private key; None for a host that can write but not read.
    private_key: bytes | None

    @classmethod
    def generate(cls) -> KeyRing:
        return cls(os.urandom(32), X25519PrivateKey.generate().private_bytes_raw())

    @property
    def public_key(self) -> bytes:
        """Raises KeyRequired for a writer's ring, which does not hold the pair."""
        if self.private_key is None:
            raise KeyRequired("this key can write but not read")
        private = X25519PrivateKey.from_private_bytes(self.private_key)
        return private.public_key().public_bytes_raw()

    def derive(self, purpose: str, salt: bytes = b"") -> bytes:
        """A 32-byte key for one purpose (BLAKE3 key derivation mode)."""
        context = f"hypersdk repository 1 {purpose}"
        return blake3(self.secret + salt, derive_key_context=context).digest()

    def for_writer(self) -> KeyRing:
        return KeyRing(self.secret, None)


@dataclass(frozen=True, slots=True, repr=False)
class Key:
    """Something a user has that may open a slot."""

    method: str
    material: bytes

    @classmethod
    def passphrase(cls, text: str) -> Key:
        if not text:
            raise InvalidInput("the passphrase is empty")
        return cls(PASSPHRASE, text.encode())

    @classmethod
    def file(cls, path: str | Path) -> Key:
        """A file with at least 32 bytes of randomness; the whole file is the key."""
        try:
            content = Path(path).read_bytes()
        except OSError as error:
            raise InvalidInput(
                f"key file {path}: {error.strerror}",
                hint=f"Make one: head -c 32 /dev/urandom > {path}; chmod 600 {path}",
            ) from error
        if len(content) < 32:
            raise InvalidInput(
                f"key file {path} has {len(content)} bytes, fewer than 32",
                hint=f"Make one: head -c 32 /dev/urandom > {path}; chmod 600 {path}",
            )
        return cls(KEY_FILE, content)

    @classmethod
    def identity(cls, text_or_path: str | Path) -> Key:
        """An X25519 private key: ``hypersdk-identity-…`` or a file that holds it."""
        text = str(text_or_path).strip()
        if not text.startswith(_IDENTITY_PREFIX):
            try:
                text = Path(text_or_path).read_text().strip()
            except (OSError, UnicodeDecodeError) as error:
                raise InvalidInput(f"identity {text_or_path}: {error}") from error
        return cls(RECIPIENT, _decode_key(text, _IDENTITY_PREFIX))


def generate_identity() -> tuple[str, str]:
    """A new pair: the identity to keep secret, and the recipient to hand out."""
    private = X25519PrivateKey.generate()
    return (
        _IDENTITY_PREFIX + _text(private.private_bytes_raw()),
        _RECIPIENT_PREFIX + _text(private.public_key().public_bytes_raw()),
    )


@dataclass(frozen=True, slots=True, repr=False)
class Protect:
    """How a new slot is to be wrapped."""

    method: str
    material: bytes = b""

    @classmethod
    def none(cls) -> Protect:
        """An unencrypted repository: anyone who can read the storage can read the guests."""
        return cls("none")

    @classmethod
    def passphrase(cls, text: str) -> Protect:
        return cls(PASSPHRASE, Key.passphrase(text).material)

    @classmethod
    def key_file(cls, path: str | Path) -> Protect:
        return cls(KEY_FILE, Key.file(path).material)

    @classmethod
    def recipient(cls, text: str) -> Protect:
        """``hypersdk-recipient-…``, as printed by ``hypersdk repo key generate``."""
        return cls(RECIPIENT, _decode_key(text.strip(), _RECIPIENT_PREFIX))


@dataclass(frozen=True, slots=True)
class KeySlot:
    """One slot as anyone can see it, without a key."""

    id: str
    role: str
    method: str
    label: str
    created: datetime


@dataclass(frozen=True, slots=True, repr=False)
class StoredSlot:
    """A slot with its wrapped keys."""

    slot: KeySlot
    wrapped: bytes
    salt: bytes

    def open(self, key: Key, repository_id: bytes) -> KeyRing | None:
        """The ring in this slot, or None when the key does not open it."""
        if key.method != self.slot.method:
            return None
        purpose = _purpose(repository_id, self.slot)
        if key.method == RECIPIENT:
            opened = open_sealed(key.material, self.wrapped, purpose)
        else:
            cipher = _wrapping_cipher(key.method, key.material, self.salt)
            opened = cipher.open(_SLOT_NONCE, self.wrapped, purpose)
        if opened is None:
            return None
        private = opened[32:] or None
        return KeyRing(opened[:32], private)


def make_slot(ring: KeyRing, slot: KeySlot, protect: Protect, repository_id: bytes) -> StoredSlot:
    """Wrap a ring. The role of ``slot`` decides whether the private key goes in."""
    content = ring.secret
    if slot.role == READER:
        if ring.private_key is None:
            raise KeyRequired("only a reader key can add a reader slot")
        content += ring.private_key
    purpose = _purpose(repository_id, slot)
    if protect.method == RECIPIENT:
        return StoredSlot(slot, seal_to(protect.material, content, purpose), b"")
    salt = os.urandom(SALT_SIZE)
    cipher = _wrapping_cipher(protect.method, protect.material, salt)
    return StoredSlot(slot, cipher.seal(_SLOT_NONCE, content, purpose), salt)


def encode_slot(key: str, stored: StoredSlot) -> bytes:
    slot = stored.slot
    body = {
        "id": slot.id,
        "role": slot.role,
        "method": slot.method,
        "label": slot.label,
        "created": slot.created.isoformat(),
        "salt": stored.salt,
        "wrapped": stored.wrapped,
    }
    return wrap(Kind.KEY_SLOT, key, dump(body), None)


def decode_slot(key: str, data: bytes) -> StoredSlot:
    """Raises Damaged."""
    body = load(key, unwrap(Kind.KEY_SLOT, key, data, None))
    try:
        slot = KeySlot(
            id=body["id"],
            role=body["role"],
            method=body["method"],
            label=body["label"],
            created=datetime.fromisoformat(body["created"]),
        )
        stored = StoredSlot(slot, bytes(memoryview(body["wrapped"])), body["salt"])
        salt_fits = len(stored.salt) == (0 if slot.method == RECIPIENT else SALT_SIZE)
    except (KeyError, TypeError, ValueError) as error:
        raise Damaged(f"object {key} is no key slot: {error}") from error
    if not salt_fits:  # anyone who can write the storage can put such a slot there
        raise Damaged(f"object {key} is no key slot: its salt does not fit its method")
    return stored


def open_any(slots: Iterable[StoredSlot], key: Key, repository_id: bytes) -> KeyRing | None:
    """The ring of the first slot that the key opens, readers' slots first."""
    for stored in sorted(slots, key=lambda stored: stored.slot.role != READER):
        ring = stored.open(key, repository_id)
        if ring is not None:
            return ring
    return None


def _wrapping_cipher(method: str, material: bytes, salt: bytes) -> Cipher:
    if method == PASSPHRASE:
        argon = Argon2id(
            salt=salt,
            length=32,
            iterations=ARGON_PASSES,
            lanes=ARGON_LANES,
            memory_cost=ARGON_MEMORY_KIB,
        )
        return aes_cipher(argon.derive(material))
    context = "hypersdk repository 1 key file"
    return aes_cipher(blake3(salt + material, derive_key_context=context).digest())


def _purpose(repository_id: bytes, slot: KeySlot) -> bytes:
    return b"hypersdk slot" + repository_id + slot.role.encode() + b"/" + slot.id.encode()


def _text(raw: bytes) -> str:
    return base64.b32encode(raw).decode().rstrip("=").lower()


def _decode_key(text: str, prefix: str) -> bytes:
    body = text.removeprefix(prefix).upper()
    try:
        raw = base64.b32decode(body + "=" * (-len(body) % 8))
    except ValueError:
        raw = b""
    if not text.startswith(prefix) or len(raw) != 32:
        raise InvalidInput(
            f"this is not a key of the form {prefix}…",
            hint="Make a pair with: hypersdk repo key generate",
        )
    return raw
