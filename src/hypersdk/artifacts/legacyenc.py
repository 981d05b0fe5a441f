"""Opening ``.enc`` files, which the program of the same name in Go wrote. Nothing writes them here.

The format: a nonce of 12 bytes, then records of a length (4 bytes, big-endian) and as many bytes of
AES-256-GCM, each of 64 KiB before it was encrypted; the nonce is counted up by one for each. The
key is PBKDF2-HMAC-SHA-256 of the passphrase, or of the text of a key file, with one salt for all.

**The format has no end**: a file that was cut between two records looks whole. Whoever opens one is
warned, and should compare what comes out with a checksum. GPG files, which got the same ending,
are opened with ``gpg``.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from hypersdk.artifacts.newfile import new_file, opened
from hypersdk.artifacts.streams import Readable, Told, Watched, Writable, ignore
from hypersdk.config.secrets import SecretReference, resolve
from hypersdk.datapath.cancel import CancelToken
from hypersdk.model.errors import Damaged, FormatUnsupported, InvalidInput, KeyRequired

_log = logging.getLogger(__name__)

SUFFIX = ".enc"
SALT = b"hyperexport-salt"
ITERATIONS = 100_000
NONCE = 12
TAG = 16
#: Bytes of a record at most, before encryption.
CHUNK = 64 << 10
#: First bytes of what gpg writes: old and new packets of keys, and text.
_GPG_PACKETS = frozenset({0x84, 0x85, 0x86, 0x8C, 0x8D, 0xC1, 0xC3})
_GPG_TEXT = b"-----BEGIN PG"
NO_END = (
    "files of this format do not say where they end: compare the content with a checksum "
    "before trusting that it is whole"
)


def legacy_key(passphrase: str) -> bytes:
    """The key of 32 bytes for a passphrase or the text of a key file."""
    return PBKDF2HMAC(SHA256(), 32, SALT, ITERATIONS).derive(passphrase.encode())


def open_legacy_stream(
    source: Readable, output: Writable, passphrase: str, name: str = "the file"
) -> int:
    """Read all of ``source``, write what it holds; returns the bytes written.

    Raises KeyRequired when the first record does not open, Damaged when a later one does not or is
    cut, FormatUnsupported for a file of gpg. A cut between two records cannot be noticed.
    """
    nonce = _exactly(source, NONCE)
    if len(nonce) < NONCE:
        raise Damaged(f"{name} ends within its beginning", hint="Fetch it again.")
    written = 0
    cipher: AESGCM | None = None
    for number, record in enumerate(_records(source, name, nonce)):
        count = (int.from_bytes(nonce, "big") + number) % (1 << 8 * NONCE)
        this = count.to_bytes(NONCE, "big")
        if cipher is None:
            cipher = _cipher(passphrase, this, record, name)
        try:
            data = cipher.decrypt(this, record, None)
        except InvalidTag:
            raise Damaged(
                f"{name} is damaged {written} bytes into its content",
                hint="It was cut or changed: fetch it again.",
            ) from None
        output.write(data)
        written += len(data)
    return written


def open_legacy_file(
    path: Path,
    passphrase: SecretReference | str,
    *,
    target: Path | None = None,
    overwrite: bool = False,
    progress: Told = ignore,
    pace: Told = ignore,
    cancel: CancelToken | None = None,
) -> Path:
    """Write what ``<file>.enc`` holds to its name without ``.enc``, or to ``target``.

    Logs the warning `NO_END`. Raises as `open_legacy_stream`, and NotFound, AlreadyExists,
    DataPathError, Interrupted; then there is no target.
    """
    if target is None and path.suffix != SUFFIX:
        raise InvalidInput(f"{path} does not end in {SUFFIX}", hint="Name the file to write.")
    target = target or path.with_suffix("")
    secret = resolve(passphrase) if isinstance(passphrase, SecretReference) else passphrase
    with opened(path) as file, new_file(target, overwrite=overwrite) as output:
        watched = Watched(file, progress=progress, pace=pace, cancel=cancel)
        open_legacy_stream(watched, output, secret, str(path))
    _log.warning("%s: %s", path, NO_END)
    return target


def _cipher(passphrase: str, nonce: bytes, record: bytes, name: str) -> AESGCM:
    """Of the passphrase, or of it with the line break that the text of a key file ends in."""
    for text in (passphrase, f"{passphrase}\n", passphrase.rstrip("\r\n")):
        cipher = AESGCM(legacy_key(text))
        try:
            cipher.decrypt(nonce, record, None)
        except InvalidTag:
            continue
        return cipher
    raise KeyRequired(
        f"the passphrase does not open {name}",
        hint="Give the passphrase or the content of the key file it was encrypted with.",
    )


def _records(source: Readable, name: str, begin: bytes) -> Iterator[bytes]:
    while length := _exactly(source, 4):
        size = int.from_bytes(length, "big")
        if len(length) == 4 and TAG <= size <= CHUNK + TAG:
            record = _exactly(source, size)
            if len(record) == size:
                yield record
                continue
        elif begin[0] in _GPG_PACKETS or begin.startswith(_GPG_TEXT[:NONCE]):
            raise FormatUnsupported(
                f"{name} was encrypted by gpg",
                hint=f"Open it with: gpg -d -o OUTPUT {name}",
            )
        raise Damaged(
            f"{name} is cut, or no file of this format",
            hint="Fetch it again. Files ending in .age are opened another way.",
        )


def _exactly(source: Readable, count: int) -> bytes:
    """Fewer only at the end."""
    data = source.read(count)
    while len(data) < count and (more := source.read(count - len(data))):
        data += more
    return data
