"""A reader of repositories, written from docs/format.md alone.

It shares no line with the product: this is the program somebody would write who has a repository,
a key, the document, and libraries for ciphers, hashes, zstd and CBOR. What it cannot restore with
what the document says is a defect of the document.

    python reader.py REPOSITORY INSTANCE OUTPUT [--passphrase P | --keyfile F | --identity TEXT]
"""

from __future__ import annotations

import argparse
import base64
import io
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cbor2
import zstandard
from blake3 import blake3
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

ENVELOPE = struct.Struct("<4sBBBB12sQ")
TRAILER = struct.Struct("<4sBBBB12sII")
FOOTER, GROUP, ENTRY = struct.Struct("<HI"), struct.Struct("<16sBH"), struct.Struct("<32sHIIIIB")
BLOB_CONTEXT = struct.Struct("<16s16sI32sBI")
RUN_HEADER, RUN_PACK, RUN_ENTRY = map(struct.Struct, ("<II", "<32sIB", "<32sIII"))
CONFIG, SLOT, RUN, POINT = 1, 2, 3, 4
DATA_PACK, SEALED, ZSTD, SEGMENT_IDS = 1, 2, 1, 4096
MODE = "hypersdk repository 1 "
HPKE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


def check(condition: bool, what: str) -> None:
    if not condition:
        raise ValueError(what)


def ids(joined: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and id of those that are not the zero id."""
    for number in range(len(joined) // 32):
        if any(identity := joined[number * 32 : number * 32 + 32]):
            yield number, identity


def opened(key: bytes | None, nonce: bytes, stored: bytes, context: bytes) -> bytes:
    """What is inside a protection: AES-256-GCM with a key, the checksum without one."""
    if key is not None:
        return AESGCM(key).decrypt(nonce, stored, context)
    clear, tag = stored[:-16], stored[-16:]
    summed = blake3(struct.pack("<I", len(context)) + context + nonce + clear)
    check(summed.digest(16) == tag, "a checksum does not fit")
    return clear


def unseal(private: bytes, sealed: bytes, info: bytes) -> bytes:
    return HPKE.decrypt(sealed, X25519PrivateKey.from_private_bytes(private), info)


def open_envelope(data: bytes, kind: int, repository: bytes, key: str, secret: Any) -> bytes:
    check(blake3(data[:-32]).digest() == data[-32:], f"{key} is damaged")
    magic, found, version, protection, _, nonce, length = ENVELOPE.unpack_from(data)
    check((magic, found, version) == (b"HSDK", kind, 1), f"{key} is no object of kind {kind}")
    check(len(data) == ENVELOPE.size + length + 32, f"{key} has a wrong length")
    context = data[: ENVELOPE.size] + repository + key.encode()
    return opened(secret if protection else None, nonce, data[28:-32], context)


class Repository:
    """``keys``: method of a slot (passphrase, keyfile, recipient) → what opens it."""

    def __init__(self, root: Path, keys: dict[str, bytes]) -> None:
        self.root = root
        config = self.clear_object(".hypersdk/config", CONFIG)
        self.id: bytes = config["repository"]
        both = self.unlock(keys) if config["encrypted"] else config["secret"]
        self.secret, self.private = both[:32], both[32:]
        proof = config.pop("proof")
        proven = blake3(cbor2.dumps(config, canonical=True), key=self.derive("configuration"))
        check(proven.digest() == proof, "the configuration was not made with this key")
        self.metadata = self.derive("metadata") if config["encrypted"] else None
        self.packs: dict[str, tuple[bytes, bytes, dict[int, Any]]] = {}
        self.index = dict(self.index_entries())

    def clear_object(self, key: str, kind: int) -> Any:
        data = (self.root / key).read_bytes()
        return cbor2.loads(open_envelope(data, kind, bytes(16), key, None))

    def derive(self, purpose: str, salt: bytes = b"") -> bytes:
        return blake3(self.secret + salt, derive_key_context=MODE + purpose).digest()

    def unlock(self, keys: dict[str, bytes]) -> bytes:
        for path in sorted((self.root / ".hypersdk/keys").iterdir()):
            slot = self.clear_object(f".hypersdk/keys/{path.name}", SLOT)
            if slot["role"] == "reader" and slot["method"] in keys:
                try:
                    return self.unwrap(slot, keys[slot["method"]])
                except InvalidTag:
                    continue
        raise ValueError("no slot of a reader opens with this key")

    def unwrap(self, slot: dict[str, Any], key: bytes) -> bytes:
        purpose = b"hypersdk slot" + self.id + f"{slot['role']}/{slot['id']}".encode()
        if slot["method"] == "recipient":
            return unseal(key, slot["wrapped"], purpose)
        if slot["method"] == "passphrase":
            kdf = Argon2id(salt=slot["salt"], length=32, iterations=3, lanes=4, memory_cost=65536)
            key = kdf.derive(key)
        else:
            key = blake3(slot["salt"] + key, derive_key_context=MODE + "key file").digest()
        return AESGCM(key).decrypt(bytes(12), slot["wrapped"], purpose)

    def index_entries(self) -> Iterator[tuple[bytes, tuple[str, int, int]]]:
        """Of every blob: its id; its pack, offset and stored length."""
        for path in (self.root / ".hypersdk/index").iterdir():
            data = path.read_bytes()
            check(blake3(data).hexdigest() == path.name, f"run {path.name} is damaged")
            run = io.BytesIO(open_envelope(data, RUN, self.id, "", self.metadata))
            packs, _ = RUN_HEADER.unpack(run.read(RUN_HEADER.size))
            names = [name for name, *_ in RUN_PACK.iter_unpack(run.read(packs * RUN_PACK.size))]
            for identity, pack, offset, length in RUN_ENTRY.iter_unpack(run.read()):
                yield identity, (names[pack].hex(), offset, length)

    def pack(self, name: str) -> tuple[bytes, bytes, dict[int, Any]]:
        """A pack's bytes, the key of its ids; by offset, the entries with salt and key."""
        if name not in self.packs:
            data = (self.root / ".hypersdk/packs" / name[:2] / name).read_bytes()
            check(blake3(data).hexdigest() == name, f"pack {name} is damaged")
            trailer = data[-TRAILER.size :]
            magic, version, kind, protection, _, nonce, length, _ = TRAILER.unpack(trailer)
            check((magic, version) == (b"HSPK", 1), f"{name} is no pack")
            stored = data[-TRAILER.size - length : -TRAILER.size]
            secret = self.metadata if protection else None
            footer = io.BytesIO(opened(secret, nonce, stored, trailer + self.id))
            groups = [self.group(footer) for _ in range(FOOTER.unpack(footer.read(6))[0])]
            rows = ENTRY.iter_unpack(footer.read())
            entries = {row[3]: (row, *groups[row[1]]) for row in rows}
            id_key = self.derive("chunk id" if kind == DATA_PACK else "segment id")
            self.packs = {name: (data, id_key, entries)}  # one at a time: they are large
        return self.packs[name]

    def group(self, footer: io.BytesIO) -> tuple[bytes, bytes | None]:
        salt, protection, length = GROUP.unpack(footer.read(GROUP.size))
        if protection == SEALED:
            purpose = b"hypersdk pack" + self.id + salt
            return salt, unseal(self.private, footer.read(length), purpose)
        return salt, self.derive("map pack", salt) if protection else None

    def blob(self, wanted: bytes) -> bytes:
        name, offset, length = self.index[wanted]
        data, id_key, entries = self.pack(name)
        (identity, _, ordinal, _, _, raw_length, codec), salt, key = entries[offset]
        context = BLOB_CONTEXT.pack(self.id, salt, ordinal, identity, codec, raw_length)
        nonce = struct.pack("<I", ordinal) + bytes(8)
        raw = opened(key, nonce, data[offset : offset + length], context)
        raw = zstandard.decompress(raw) if codec == ZSTD else raw
        check(blake3(raw, key=id_key).digest() == wanted, f"{wanted.hex()} is something else")
        return raw

    def points(self, instance: str) -> Iterator[dict[str, Any]]:
        """The restore points of an instance, oldest first."""
        for path in sorted(self.root.glob("*/*.rp"), key=lambda path: path.name):
            key = path.relative_to(self.root).as_posix()
            data = open_envelope(path.read_bytes(), POINT, self.id, key, self.metadata)
            if (point := cbor2.loads(data))["instance"] == instance:
                yield point

    def restore(self, disk: dict[str, Any], output: Path) -> None:
        with output.open("wb") as file:
            file.truncate(disk["size"])
            for segment, segment_id in ids(disk["segments"]):
                for place, chunk_id in ids(self.blob(segment_id)):
                    file.seek((segment * SEGMENT_IDS + place) * disk["chunk_size"])
                    file.write(self.blob(chunk_id))


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("repository", "instance", "output", "--passphrase", "--keyfile", "--identity"):
        parser.add_argument(name)
    given = parser.parse_args()
    identity = (given.identity or "").removeprefix("hypersdk-identity-").upper()
    keys = {
        "passphrase": (given.passphrase or "").encode(),
        "keyfile": Path(given.keyfile).read_bytes() if given.keyfile else b"",
        "recipient": base64.b32decode(identity + "=" * (-len(identity) % 8)),
    }
    repository = Repository(Path(given.repository), {m: key for m, key in keys.items() if key})
    *_, latest = repository.points(given.instance)
    repository.restore(latest["disks"][0], Path(given.output))


if __name__ == "__main__":
    main()
