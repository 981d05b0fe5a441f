"""The bytes of a repository: one ``Struct`` per table of docs/format.md, and the envelope.

All integers are little-endian. ``tests/repository/test_format_document.py`` compares the tables of
the document with the structs here, field by field.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import cbor2
from blake3 import blake3

from hypersdk.model.errors import Damaged, FormatUnsupported, InvalidInput
from hypersdk.model.units import KIB, MIB
from hypersdk.repository.ciphers import TAG_SIZE, Cipher, checksum_cipher

FORMAT_VERSION = 1

ID_SIZE = 32
SALT_SIZE = 16
NONCE_SIZE = 12
CHECKSUM_SIZE = 32

CHUNK_SIZE_MIN = 64 * KIB
CHUNK_SIZE_MAX = 4 * MIB
CHUNK_SIZE_DEFAULT = MIB

#: Chunks whose ids stand in one segment of a disk's map.
SEGMENT_CHUNKS = 4096
#: Bytes of a whole segment before compression.
SEGMENT_SIZE = SEGMENT_CHUNKS * ID_SIZE
#: Id of a chunk or segment that is all zero; nothing is stored for it.
ZERO_ID = bytes(ID_SIZE)

#: Bytes at which a pack is closed; one more blob may start below it.
PACK_TARGET = 32 * MIB
#: Blobs after which a pack is closed, so that its footer stays small.
PACK_BLOBS = 8192
#: Entries of one index run.
RUN_ENTRIES = 262_144

#: magic, kind, version, protection, reserved, nonce, body length
ENVELOPE = struct.Struct("<4sBBBB12sQ")
#: magic, version, kind, protection, reserved, nonce, footer length, blob count
PACK_TRAILER = struct.Struct("<4sBBBB12sII")
#: group count, blob count
PACK_FOOTER = struct.Struct("<HI")
#: salt, protection, length of the sealed key
PACK_GROUP = struct.Struct("<16sBH")
#: chunk id, group, ordinal, offset, stored length, raw length, codec
PACK_ENTRY = struct.Struct("<32sHIIIIB")
#: repository id, salt, ordinal, chunk id, codec, raw length
BLOB_CONTEXT = struct.Struct("<16s16sI32sBI")
#: pack count, entry count
RUN_HEADER = struct.Struct("<II")
#: pack name, pack size, kind
RUN_PACK = struct.Struct("<32sIB")
#: chunk id, pack number in this run, offset, stored length
RUN_ENTRY = struct.Struct("<32sIII")

ENVELOPE_MAGIC = b"HSDK"
PACK_MAGIC = b"HSPK"


class Kind(IntEnum):
    """What an envelope holds."""

    CONFIG = 1
    KEY_SLOT = 2
    INDEX_RUN = 3
    RESTORE_POINT = 4
    LEASE = 5
    COLLECTION = 6
    DAMAGE = 7
    TOMBSTONE = 8


class PackKind(IntEnum):
    """Whose blobs a pack holds."""

    DATA = 1
    MAP = 2


class Protection(IntEnum):
    """How bytes are protected."""

    #: Checksum only: an unencrypted repository, or an object that must be read without a key.
    NONE = 0
    #: AES-256-GCM under a key derived from the writers' secret.
    METADATA = 1
    #: AES-256-GCM under a random key that is sealed to the readers' public key.
    SEALED = 2


class Codec(IntEnum):
    """How a blob is compressed."""

    RAW = 0
    ZSTD = 1


@dataclass(frozen=True, slots=True)
class Context:
    """What binds an object to its repository: its id, and the cipher of its metadata."""

    repository_id: bytes
    #: Protects index runs, restore points, leases, collections, damage notes and tombstones.
    metadata: Cipher
    #: What ``metadata`` is, as written in headers.
    protection: Protection


def wrap(kind: Kind, key: str, body: bytes, context: Context | None) -> bytes:
    """An envelope around ``body``, bound to the object's ``key`` in the store.

    ``context`` None writes an object that is read before any key is known (config, key slots).
    """
    protection = context.protection if context else Protection.NONE
    cipher = context.metadata if context else checksum_cipher()
    repository_id = context.repository_id if context else bytes(16)
    nonce = os.urandom(NONCE_SIZE)
    header = ENVELOPE.pack(
        ENVELOPE_MAGIC, kind, FORMAT_VERSION, protection, 0, nonce, len(body) + TAG_SIZE
    )
    protected = cipher.seal(nonce, body, header + repository_id + key.encode())
    whole = header + protected
    return whole + blake3(whole).digest()


def check_envelope(key: str, data: bytes, kind: Kind | None = None) -> Kind:
    """Prove without any key that an envelope is whole. Raises Damaged or FormatUnsupported."""
    if len(data) < ENVELOPE.size + TAG_SIZE + CHECKSUM_SIZE:
        raise Damaged(f"object {key} is cut short ({len(data)} bytes)")
    body, checksum = data[:-CHECKSUM_SIZE], data[-CHECKSUM_SIZE:]
    if blake3(body).digest() != checksum:
        raise Damaged(f"object {key} does not match its checksum")
    magic, found, version, _, _, _, length = ENVELOPE.unpack_from(body)
    if magic != ENVELOPE_MAGIC or not version or length != len(body) - ENVELOPE.size:
        raise Damaged(f"object {key} is not a repository object")
    if version > FORMAT_VERSION:
        raise FormatUnsupported(
            f"object {key} has format {version}, this version reads up to {FORMAT_VERSION}",
            hint="Install a newer hypersdk.",
        )
    if found not in frozenset(Kind) or (kind is not None and found != kind):
        wanted = f", not {kind.name.lower()}" if kind else ", which does not exist"
        raise Damaged(f"object {key} holds kind {found}{wanted}")
    return Kind(found)


def unwrap(kind: Kind, key: str, data: bytes, context: Context | None) -> bytes:
    """The body of an envelope. Raises Damaged when anything in it or around it was altered."""
    check_envelope(key, data, kind)
    header = data[: ENVELOPE.size]
    _, _, _, protection, _, nonce, _ = ENVELOPE.unpack(header)
    cipher = context.metadata if context else checksum_cipher()
    if protection != (context.protection if context else Protection.NONE):
        raise Damaged(f"object {key} has protection {protection}, unlike its repository")
    repository_id = context.repository_id if context else bytes(16)
    protected = data[ENVELOPE.size : -CHECKSUM_SIZE]
    body = cipher.open(nonce, protected, header + repository_id + key.encode())
    if body is None:
        raise Damaged(f"object {key} was not written with the keys of this repository")
    return body


def dump(value: Any) -> bytes:
    """Deterministic CBOR."""
    return cbor2.dumps(value, canonical=True)


def load(key: str, body: bytes) -> Any:
    """CBOR of an object's body. Raises Damaged."""
    try:
        return cbor2.loads(body)
    except (cbor2.CBORDecodeError, ValueError) as error:
        raise Damaged(f"object {key} holds no CBOR: {error}") from error


def check_chunk_size(chunk_size: int) -> None:
    """Raises InvalidInput for anything but a power of two from 64 KiB to 4 MiB."""
    if not is_chunk_size(chunk_size):
        raise InvalidInput(
            f"{chunk_size} bytes is no chunk size",
            hint="Use a power of two from 64KiB to 4MiB.",
        )


def is_chunk_size(size: int) -> bool:
    """True for a power of two from 64 KiB to 4 MiB."""
    return CHUNK_SIZE_MIN <= size <= CHUNK_SIZE_MAX and not size & (size - 1)


def blob_nonce(ordinal: int) -> bytes:
    """Nonce of the blob number ``ordinal`` under its group's key. A key is never used again."""
    return ordinal.to_bytes(4, "little") + bytes(8)
