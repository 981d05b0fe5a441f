"""The reader written from the document restores what the product wrote, byte for byte."""

from __future__ import annotations

import ast
import base64
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

import hypersdk
from hypersdk.repository.keys import Protect
from tests.repository import reader
from tests.repository.examples import CHUNK, IDENTITY, KIB, RECIPIENT, chunks, noise

KEY_FILE = noise(100, seed=99)
PASSPHRASE = "Grüße aus dem Keller"

KEYS = {
    "none": {},
    "passphrase": {"passphrase": PASSPHRASE.encode()},
    "keyfile": {"keyfile": KEY_FILE},
    "recipient": {
        "recipient": base64.b32decode(IDENTITY.removeprefix("hypersdk-identity-").upper() + "====")
    },
}


def protection(method: str, tmp_path: Path) -> Protect:
    (tmp_path / "key").write_bytes(KEY_FILE)
    return {
        "none": Protect.none(),
        "passphrase": Protect.passphrase(PASSPHRASE),
        "keyfile": Protect.key_file(tmp_path / "key"),
        "recipient": Protect.recipient(RECIPIENT),
    }[method]


def read(root: Path, keys: dict[str, bytes], instance: str, tmp_path: Path) -> list[bytes]:
    """What the reader restores of the first disk of every point of an instance."""
    repository = reader.Repository(root, keys)
    restored = []
    for point in repository.points(instance):
        repository.restore(point["disks"][0], tmp_path / "restored")
        restored.append((tmp_path / "restored").read_bytes())
    return restored


def test_the_reader_is_small_and_stands_alone() -> None:
    source = Path(reader.__file__).read_text()
    assert len(source.splitlines()) <= 200
    imported = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").split(".")[0])
    third_party = imported - sys.stdlib_module_names
    assert third_party == {"blake3", "cbor2", "cryptography", "zstandard"}


@pytest.mark.parametrize("method", KEYS)
@pytest.mark.parametrize("chunk_size", [64 * KIB, 256 * KIB])
def test_every_protection_and_chunk_size(method: str, chunk_size: int, tmp_path: Path) -> None:
    image = tmp_path / "disk.raw"
    # Zero areas, a chunk that compresses, and a last chunk that is short.
    disk = noise(3 * chunk_size) + bytes(5 * chunk_size) + b"text" * chunk_size + noise(12_345)
    image.write_bytes(disk)
    root = tmp_path / "repository"
    with hypersdk.init_repository(
        root,
        protect=protection(method, tmp_path),
        chunk_size=chunk_size,
        cache=tmp_path / "cache",
    ) as repository:
        hypersdk.backup_image(repository, image, "web 1/ä")
        with image.open("r+b") as file:
            file.seek(chunk_size)
            file.write(b"changed")
        hypersdk.backup_image(repository, image, "web 1/ä")
    assert read(root, KEYS[method], "web 1/ä", tmp_path) == [disk, image.read_bytes()]


def test_a_map_of_several_segments(tmp_path: Path) -> None:
    image, size = tmp_path / "disk.raw", 4096 * CHUNK + 3 * CHUNK + 1
    with image.open("wb") as file:
        file.truncate(size)
        file.seek(4096 * CHUNK)  # the first segment is all zero
        file.write(noise(CHUNK + 1))
        file.seek(size - 1)
        file.write(b"!")
    root = tmp_path / "repository"
    with hypersdk.init_repository(root, chunk_size=CHUNK, cache=tmp_path / "cache") as repository:
        hypersdk.backup_image(repository, image, "web")
    (restored,) = read(root, {}, "web", tmp_path)
    assert restored == image.read_bytes()


def repacked(root: Path, tmp_path: Path) -> list[bytes]:
    """A repository whose data pack has blobs of two older packs; the disks of its points."""
    image = tmp_path / "disk.raw"
    # Each pack holds one chunk that stays, and more that a later point does without.
    generations = [chunks(1, 2, 3), chunks(1, 4, 5, 6), chunks(1, 4)]
    with hypersdk.init_repository(
        root, protect=protection("keyfile", tmp_path), chunk_size=CHUNK, cache=tmp_path / "cache"
    ) as repository:
        for generation in generations:
            image.write_bytes(generation)
            hypersdk.backup_image(repository, image, "web")
        hypersdk.prune(repository, hypersdk.RetentionPolicy(last=1))
        report = hypersdk.collect_garbage(repository, grace=timedelta(0))
        assert report.repacked_bytes > 0
        assert report.swept_packs > 0
    return generations[-1:]


def test_packs_with_several_groups(tmp_path: Path) -> None:
    root = tmp_path / "repository"
    expected = repacked(root, tmp_path)
    repository = reader.Repository(root, KEYS["keyfile"])
    groups = []
    for path in (root / ".hypersdk/packs").glob("*/*"):
        _, _, entries = repository.pack(path.name)
        groups.append({salt for _, salt, _ in entries.values()})
    assert max(map(len, groups)) > 1, "the collection copied no blobs of two packs into one"
    assert read(root, KEYS["keyfile"], "web", tmp_path) == expected


def test_as_a_program(tmp_path: Path) -> None:
    image = tmp_path / "disk.raw"
    image.write_bytes(chunks(1, None, 2))
    root = tmp_path / "repository"
    with hypersdk.init_repository(
        root, protect=Protect.recipient(RECIPIENT), cache=tmp_path / "cache"
    ) as repository:
        hypersdk.backup_image(repository, image, "web")
    command = [sys.executable, "-I", reader.__file__, str(root), "web", str(tmp_path / "out")]
    subprocess.run([*command, "--identity", IDENTITY], check=True)
    assert (tmp_path / "out").read_bytes() == image.read_bytes()


def test_another_key_opens_nothing(tmp_path: Path) -> None:
    root = tmp_path / "repository"
    hypersdk.init_repository(
        root, protect=protection("keyfile", tmp_path), cache=tmp_path / "cache"
    ).close()
    with pytest.raises(ValueError, match="no slot"):
        reader.Repository(root, {"keyfile": b"x" * 32})
