"""Authenticated encryption, and the checksum that stands in for it in unencrypted repositories.

Both add ``TAG_SIZE`` bytes and refuse altered bytes, so the rest of the code does not ask which of
the two a repository uses.
"""

from __future__ import annotations

from typing import Protocol

from blake3 import blake3
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

#: Bytes that protection adds: a GCM tag, or a cut BLAKE3.
TAG_SIZE = 16

Bytes = bytes | bytearray | memoryview


class Cipher(Protocol):
    """Seals bytes so that nothing in them or in ``context`` can change unnoticed."""

    def seal(self, nonce: bytes, data: Bytes, context: bytes) -> bytes:
        """Protected bytes, ``TAG_SIZE`` longer than ``data``."""
        ...

    def seal_into(self, nonce: bytes, data: Bytes, context: bytes, out: memoryview) -> None:
        """The same into ``out``, whose length is exactly ``len(data) + TAG_SIZE``."""
        ...

    def open(self, nonce: bytes, data: Bytes, context: bytes) -> bytes | None:
        """The bytes that were sealed; None when anything was altered."""
        ...

    def open_into(self, nonce: bytes, data: Bytes, context: bytes, out: memoryview) -> bool:
        """The same into ``out``, ``TAG_SIZE`` shorter than ``data``; False when altered."""
        ...


class _AesGcm:
    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(key)

    def seal(self, nonce: bytes, data: Bytes, context: bytes) -> bytes:
        return self._aead.encrypt(nonce, data, context)

    def seal_into(self, nonce: bytes, data: Bytes, context: bytes, out: memoryview) -> None:
        self._aead.encrypt_into(nonce, data, context, out)

    def open(self, nonce: bytes, data: Bytes, context: bytes) -> bytes | None:
        try:
            return self._aead.decrypt(nonce, data, context)
        except InvalidTag:
            return None

    def open_into(self, nonce: bytes, data: Bytes, context: bytes, out: memoryview) -> bool:
        try:
            self._aead.decrypt_into(nonce, data, context, out)
        except InvalidTag:
            return False
        return True


class _Checksum:
    def seal(self, nonce: bytes, data: Bytes, context: bytes) -> bytes:
        return bytes(data) + self._tag(nonce, data, context)

    def seal_into(self, nonce: bytes, data: Bytes, context: bytes, out: memoryview) -> None:
        out[:-TAG_SIZE] = data
        out[-TAG_SIZE:] = self._tag(nonce, data, context)

    def open(self, nonce: bytes, data: Bytes, context: bytes) -> bytes | None:
        view = memoryview(data)
        body = view[:-TAG_SIZE]
        if self._tag(nonce, body, context) != view[-TAG_SIZE:]:
            return None
        return bytes(body)

    def open_into(self, nonce: bytes, data: Bytes, context: bytes, out: memoryview) -> bool:
        view = memoryview(data)
        out[:] = view[:-TAG_SIZE]
        return self._tag(nonce, out, context) == view[-TAG_SIZE:]

    @staticmethod
    def _tag(nonce: bytes, data: Bytes, context: bytes) -> bytes:
        prefix = len(context).to_bytes(4, "little") + context + nonce
        return blake3(prefix).update(data).digest(length=TAG_SIZE)


def aes_cipher(key: bytes) -> Cipher:
    """AES-256-GCM (NIST SP 800-38D). The caller never uses a nonce twice under one key."""
    return _AesGcm(key)


def checksum_cipher() -> Cipher:
    """No secrecy: a BLAKE3 over lengths, context, nonce and data, cut to 16 bytes."""
    return _Checksum()
