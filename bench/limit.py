"""The "limit" programs: what a backup of the same chunks cannot leave out, and nothing else.

``compress`` reads and compresses, the least a first backup must do. ``hash`` reads and hashes, the
least that can tell whether anything changed. Both drop the results. ``store`` does all that a first
encrypted backup with named chunks and packs must do, without index, map, commit or any safety.
Threads take the next chunk from a shared counter; each has its own buffers.

Usage: ``python -m bench.limit compress|hash IMAGE`` or ``… store IMAGE FOLDER``
"""

from __future__ import annotations

import itertools
import os
import shutil
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import zstandard
from blake3 import blake3
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bench.image import data_areas

CHUNK = 1 << 20
PACK = 32 << 20
LEVEL = 1

#: Does something with one chunk; returns the bytes that come out.
Work = Callable[[memoryview], int]


def allocated_chunks(path: Path) -> list[int]:
    """Indices of the 1 MiB chunks that hold any data."""
    chunks: set[int] = set()
    for start, end in data_areas(path):
        chunks.update(range(start // CHUNK, -(-end // CHUNK)))
    return sorted(chunks)


def compressing() -> Work:
    """Bytes after compression."""
    compressor = zstandard.ZstdCompressor(level=LEVEL)
    return lambda chunk: len(compressor.compress(chunk))


def hashing() -> Work:
    """Bytes of the digest."""
    key = bytes(32)
    return lambda chunk: len(blake3(chunk, key=key).digest())


def storing(folder: Path) -> Work:
    """Bytes written: each chunk hashed, compressed, encrypted; packs hashed and written."""
    compressor = zstandard.ZstdCompressor(level=LEVEL)
    key = os.urandom(32)
    cipher = AESGCM(key)
    pack = memoryview(bytearray(PACK + 2 * CHUNK))
    nonces = itertools.count()
    filled = 0

    def store(chunk: memoryview) -> int:
        nonlocal filled
        name = blake3(chunk, key=key).digest()
        payload = compressor.compress(chunk)
        length = len(payload) + 16
        nonce = next(nonces).to_bytes(12, "little")
        cipher.encrypt_into(nonce, payload, name, pack[filled : filled + length])
        filled += length
        if filled >= PACK:
            (folder / blake3(pack[:filled]).hexdigest()).write_bytes(pack[:filled])
            filled = 0
        return length

    return store


def for_all_chunks(path: Path, threads: int, make: Callable[[], Work]) -> tuple[int, int]:
    """Do the work for every allocated chunk. Returns (bytes read, bytes that came out)."""
    chunks = allocated_chunks(path)
    ticket = itertools.count()
    totals: list[tuple[int, int]] = []

    def work() -> None:
        do = make()
        buffer = memoryview(bytearray(CHUNK))
        read = stored = 0
        with path.open("rb", buffering=0) as file:
            while (number := next(ticket)) < len(chunks):
                length = os.preadv(file.fileno(), [buffer], chunks[number] * CHUNK)
                read += length
                stored += do(buffer[:length])
        totals.append((read, stored))

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if len(totals) < threads:
        raise SystemExit("a thread failed")
    return sum(read for read, _ in totals), sum(stored for _, stored in totals)


def main() -> None:
    mode, image, *folders = sys.argv[1:]
    make: Callable[[], Work] = {"compress": compressing, "hash": hashing}.get(mode, compressing)
    if mode == "store":
        folder = Path(folders[0])
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        make = partial(storing, folder)
    read, stored = for_all_chunks(Path(image), os.cpu_count() or 1, make)
    sys.stdout.write(f'{{"read": {read}, "stored": {stored}}}\n')


if __name__ == "__main__":
    main()
