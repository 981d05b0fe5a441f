"""Sealing a stream with a passphrase, in age's format (age-encryption.org/v1).

pyrage seals streams to recipients, but with a passphrase only what is whole in memory, which a disk
is not. So this module writes and reads the one kind of header that a passphrase has (C2SP, "age",
sections "The scrypt recipient type", "Header MAC" and "Payload"), with primitives of
``cryptography``::

    age-encryption.org/v1
    -> scrypt SALT WORK              salt: 16 bytes in base64; work: log2 of scrypt's N
    BODY                             the file key, 16 bytes, under ChaCha20-Poly1305
    --- MAC                          HMAC-SHA-256 of all before it, under a key of the file key
    nonce (16 bytes), then chunks of 64 KiB and 16 bytes, the last one marked as such

Whoever has age, rage or pyrage opens it.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import io
import os
import re
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from hypersdk.artifacts.streams import Readable, Writable
from hypersdk.model.errors import Damaged, FormatUnsupported, KeyRequired

INTRODUCTION = b"age-encryption.org/v1\n"
CHUNK = 64 << 10
TAG = 16
#: log2 of scrypt's N when sealing: 128 MiB of memory and about 0.4 s.
WORK = 17
#: The most that is opened: 1 GiB of memory. A file may ask for more only to do harm.
WORK_MOST = 20
#: Bytes; the header of a passphrase has 150.
_HEADER_MOST = 2048
_FILE_KEY = 16
_LABEL = b"age-encryption.org/v1/scrypt"
_HEADER = re.compile(
    rb"-> scrypt ([A-Za-z0-9+/]{22}) ([1-9][0-9]?)\n([A-Za-z0-9+/]{43})\n--- ([A-Za-z0-9+/]{43})\n"
)
_CUT = "It was cut or damaged on its way: fetch it again."


def seal_with_passphrase(
    source: Readable, output: Writable, passphrase: str, *, work: int = WORK
) -> None:
    """Read all of ``source``, write it sealed."""
    file_key, salt, nonce = os.urandom(_FILE_KEY), os.urandom(16), os.urandom(16)
    wrapped = ChaCha20Poly1305(_wrapping_key(passphrase, salt, work)).encrypt(
        bytes(12), file_key, None
    )
    head = INTRODUCTION + b"-> scrypt %s %d\n%s\n---" % (_encoded(salt), work, _encoded(wrapped))
    output.write(head + b" " + _encoded(_mac(file_key, head)) + b"\n" + nonce)
    cipher = ChaCha20Poly1305(_derived(file_key, nonce, b"payload"))
    chunks = _Chunks(source, CHUNK)
    number = 0
    while (chunk := chunks.next()) is not None:
        output.write(cipher.encrypt(_nonce(number, chunk.last), chunk.data, None))
        number += 1


def open_with_passphrase(source: Readable, output: Writable, passphrase: str, name: str) -> None:
    """Read all of ``source`` from behind its introduction, write what was sealed.

    Raises KeyRequired for a wrong passphrase, Damaged for a file that is cut or changed: then some
    of it may have been written already. ``name`` is for messages.
    """
    header = _Header.read(source, name)
    cipher = header.cipher(passphrase, name)
    # A chunk that follows must be known before this one is opened: only the last is marked.
    chunks = _Chunks(source, CHUNK + TAG)
    number = 0
    while (chunk := chunks.next()) is not None:
        try:
            data = cipher.decrypt(_nonce(number, chunk.last), chunk.data, None)
        except InvalidTag:
            raise Damaged(f"{name} ends too early or was changed", hint=_CUT) from None
        if not data and number:
            raise Damaged(f"{name} has an empty end", hint=_CUT)
        output.write(data)
        number += 1


@dataclass(frozen=True, slots=True)
class _Header:
    salt: bytes
    work: int
    wrapped: bytes
    mac: bytes
    nonce: bytes
    #: What the MAC covers.
    covered: bytes

    @classmethod
    def read(cls, source: Readable, name: str) -> _Header:
        """Raises Damaged, FormatUnsupported."""
        lines = [_line(source, name) for _ in range(3)]
        text = b"".join(lines)
        found = _HEADER.fullmatch(text)
        if found is None:
            raise Damaged(f"{name} has a broken header", hint=_CUT)
        work = int(found[2])
        if work > WORK_MOST:
            raise FormatUnsupported(
                f"{name} asks for 2^{work - 10} MiB of memory to be opened",
                hint="Open it with the program age if you trust where it came from.",
            )
        nonce = _exactly(source, 16, name)
        try:
            salt, wrapped, mac = (_decoded(found[group]) for group in (1, 3, 4))
        except binascii.Error:
            raise Damaged(f"{name} has a broken header", hint=_CUT) from None
        return cls(salt, work, wrapped, mac, nonce, INTRODUCTION + text[: text.rindex(b"---") + 3])

    def cipher(self, passphrase: str, name: str) -> ChaCha20Poly1305:
        """Of the payload. Raises KeyRequired, Damaged."""
        key = _wrapping_key(passphrase, self.salt, self.work)
        try:
            file_key = ChaCha20Poly1305(key).decrypt(bytes(12), self.wrapped, None)
        except InvalidTag:
            raise KeyRequired(
                f"the passphrase does not open {name}",
                hint="Give the passphrase with which it was sealed.",
            ) from None
        if not hmac.compare_digest(_mac(file_key, self.covered), self.mac):
            raise Damaged(f"the header of {name} was changed", hint=_CUT)
        return ChaCha20Poly1305(_derived(file_key, self.nonce, b"payload"))


@dataclass(frozen=True, slots=True)
class _Chunk:
    data: bytes
    last: bool


class _Chunks:
    """A stream in chunks of one size, of which the last is known as such. An empty stream is one
    empty chunk."""

    def __init__(self, stream: Readable, size: int) -> None:
        self._stream = stream
        self._size = size
        self._ahead: bytes | None = self._read()

    def next(self) -> _Chunk | None:
        data = self._ahead
        if data is None:
            return None
        following = self._read() if len(data) == self._size else b""
        self._ahead = following or None
        return _Chunk(data, not following)

    def _read(self) -> bytes:
        parts = io.BytesIO()
        while (missing := self._size - parts.tell()) and (data := self._stream.read(missing)):
            parts.write(data)
        return parts.getvalue()


def _wrapping_key(passphrase: str, salt: bytes, work: int) -> bytes:
    return Scrypt(_LABEL + salt, length=32, n=1 << work, r=8, p=1).derive(passphrase.encode())


def _derived(file_key: bytes, salt: bytes | None, label: bytes) -> bytes:
    return HKDF(SHA256(), length=32, salt=salt, info=label).derive(file_key)


def _mac(file_key: bytes, covered: bytes) -> bytes:
    return hmac.digest(_derived(file_key, None, b"header"), covered, "sha256")


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])


def _encoded(data: bytes) -> bytes:
    return base64.b64encode(data).rstrip(b"=")


def _decoded(text: bytes) -> bytes:
    """Raises binascii.Error; also for bits that canonical text does not have."""
    data = base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    if _encoded(data) != text:
        raise binascii.Error
    return data


def _line(source: Readable, name: str) -> bytes:
    """Byte by byte: what follows the header must stay in the stream."""
    line = bytearray()
    while not line.endswith(b"\n"):
        data = source.read(1)
        if not data or len(line) > _HEADER_MOST:
            raise Damaged(f"{name} ends within its header", hint=_CUT)
        line += data
    return bytes(line)


def _exactly(source: Readable, count: int, name: str) -> bytes:
    data = b""
    while len(data) < count:
        more = source.read(count - len(data))
        if not more:
            raise Damaged(f"{name} ends within its header", hint=_CUT)
        data += more
    return data
