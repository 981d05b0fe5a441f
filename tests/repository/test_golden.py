"""A repository that version 1 wrote, which every later version must read.

``tests/repository/golden/1`` is committed and never made again: that it was written by old code is
its point. ``make`` shows how it came into being.
"""

from __future__ import annotations

import shutil
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import hypersdk
from hypersdk.model.instances import Definition
from hypersdk.repository.keys import WRITER, Key, Protect
from hypersdk.repository.notes import condemn, note_damage, read_collections, read_damage
from hypersdk.repository.repository import Repository
from hypersdk.repository.store.open import open_store
from tests.repository import reader
from tests.repository.examples import (
    CHUNK,
    IDENTITY,
    RECIPIENT,
    Clock,
    back_up,
    content_of,
    noise,
)

GOLDEN = Path(__file__).parent / "golden" / "1"
KEY_FILE = GOLDEN / "key"
INSTANCE = "gold/1"
PASSPHRASE = "golden, and no secret"
DEFINITION = Definition("libvirt", b"<domain><name>gold</name></domain>")
FIRST = datetime(2026, 11, 21, 3, 5, 19, tzinfo=UTC)


def disks(generation: int) -> dict[str, bytes]:
    """Two disks: text, noise, zeroes, chunks of one or several generations, short last chunks."""

    def chunk(text: str) -> bytes:
        return (text.encode() * CHUNK)[:CHUNK]

    system = chunk("kept") + bytes(3 * CHUNK) + chunk(f"since {min(generation, 1)}") + b"end"
    data = bytes(10 * CHUNK) + noise(6000, seed=generation)
    return {"vda": system, "vdb": data}


def make(folder: Path) -> None:
    """Points of two instances; packs copied by a collection; every kind of object."""
    folder.mkdir(parents=True)
    (folder / "key").write_bytes(bytes(range(64)))
    clock = Clock(FIRST)
    store = open_store(folder / "repository", create=True)
    with Repository.create(
        store,
        Protect.key_file(folder / "key"),
        chunk_size=CHUNK,
        cache=folder / "cache",
        clock=clock,
    ) as repository:
        repository.add_key(Protect.passphrase(PASSPHRASE), label="golden")
        repository.add_key(Protect.recipient(RECIPIENT))
        repository.add_key(Protect.key_file(folder / "key"), role=WRITER)
        for generation in range(4):
            back_up(repository, INSTANCE, disks(generation), definition=DEFINITION)
            clock.pass_(days=1)
        for point in repository.points()[:2]:
            repository.remove(point, "retention")
        report = repository.collect(timedelta(0))
        assert report.repacked_bytes
        context = repository.vault.context
        condemn(store, context, [b"condemn!" * 4])
        note_damage(store, context, b"damaged!" * 4, [bytes(range(32))])
    shutil.rmtree(folder / "cache")


@pytest.fixture
def golden(tmp_path: Path) -> Path:
    """A copy: a test may write."""
    return Path(shutil.copytree(GOLDEN / "repository", tmp_path / "golden"))


def opened(root: Path, key: Key, tmp_path: Path) -> Repository:
    return hypersdk.open_repository(root, key=key, cache=tmp_path / "cache")


KEYS = {
    "keyfile": lambda: Key.file(KEY_FILE),
    "passphrase": lambda: Key.passphrase(PASSPHRASE),
    "recipient": lambda: Key.identity(IDENTITY),
}


def test_it_is_small() -> None:
    files = [path for path in GOLDEN.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 200_000


@pytest.mark.parametrize("method", KEYS)
def test_every_key_restores_the_known_bytes(method: str, golden: Path, tmp_path: Path) -> None:
    with opened(golden, KEYS[method](), tmp_path) as repository:
        points = repository.points(INSTANCE)
        assert [point.time for point in points] == [FIRST + timedelta(days=d) for d in (2, 3)]
        for generation, point in enumerate(points, start=2):
            assert repository.definition(point) == DEFINITION
            for name, expected in disks(generation).items():
                assert content_of(repository, point, name) == expected


def test_verification_finds_nothing(golden: Path, tmp_path: Path) -> None:
    with opened(golden, Key.file(KEY_FILE), tmp_path) as repository:
        report = hypersdk.verify(repository)
        assert report.ok
        assert not report.harmless
        assert report.chunks > 0


def test_a_writer_sees_what_stands_in_it(golden: Path, tmp_path: Path) -> None:
    with opened(golden, Key.file(KEY_FILE), tmp_path) as repository:
        slots = repository.keys()
        assert [(slot.role, slot.method) for slot in slots] == [
            ("reader", "keyfile"),
            ("reader", "passphrase"),
            ("reader", "recipient"),
            ("writer", "keyfile"),
        ]
        context = repository.vault.context
        (collection,) = read_collections(repository.store, context)
        assert collection.packs == {b"condemn!" * 4}
        (note,) = read_damage(repository.store, context)
        assert (note.pack, note.chunks) == (b"damaged!" * 4, frozenset({bytes(range(32))}))


def test_the_next_backup_stores_only_what_is_new(golden: Path, tmp_path: Path) -> None:
    with opened(golden, Key.file(KEY_FILE), tmp_path) as repository:
        before = repository.statistics().chunks
        point = back_up(repository, INSTANCE, disks(3))
        assert repository.statistics().chunks == before
        assert content_of(repository, point, "vdb") == disks(3)["vdb"]
        assert hypersdk.verify(repository).ok


def test_the_reader_of_the_document_restores_it(tmp_path: Path) -> None:
    repository = reader.Repository(GOLDEN / "repository", {"keyfile": KEY_FILE.read_bytes()})
    *_, latest = repository.points(INSTANCE)
    for disk in latest["disks"]:
        repository.restore(disk, tmp_path / "restored")
        assert (tmp_path / "restored").read_bytes() == disks(3)[disk["name"]]


def test_a_collection_copied_blobs_of_two_packs_into_one() -> None:
    repository = reader.Repository(GOLDEN / "repository", {"keyfile": KEY_FILE.read_bytes()})
    packs = (GOLDEN / "repository/.hypersdk/packs").glob("*/*")
    entries = [repository.pack(path.name)[2].values() for path in packs]
    assert max(len({salt for _, salt, _ in found}) for found in entries) == 2


def test_it_can_be_made(tmp_path: Path) -> None:
    """What ``make`` writes today has the same objects; were it otherwise, it would say nothing."""
    make(tmp_path / "again")

    def kinds(root: Path) -> Counter[str]:
        files = [path.relative_to(root).parts for path in root.rglob("*") if path.is_file()]
        return Counter(parts[1] if len(parts) > 2 else parts[0] for parts in files)

    assert kinds(tmp_path / "again" / "repository") == kinds(GOLDEN / "repository")
