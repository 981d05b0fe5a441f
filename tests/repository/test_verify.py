from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

import pytest

from hypersdk.model.errors import HyperSDKError, Interrupted, KeyRequired
from hypersdk.model.points import AffectedArea, VerifyLevel, VerifyReport
from hypersdk.repository.format import PackKind
from hypersdk.repository.keys import WRITER, Key, Protect, generate_identity
from hypersdk.repository.layout import CONFIG, DAMAGE, INDEX, KEYS, PACKS, pack_key
from hypersdk.repository.leases import WRITE as WRITE_LEASE
from hypersdk.repository.leases import Lease
from hypersdk.repository.notes import condemn, note_damage, read_damage
from hypersdk.repository.repository import Repository
from hypersdk.repository.store.memory import MemoryStore
from tests.repository.examples import (
    CHUNK,
    back_up,
    chunks,
    content_of,
    encrypted_repository,
    flip,
    identity,
    keys_below,
    new_repository,
    noise,
    replace_object,
)

CONTENT, STORED = VerifyLevel.CONTENT, VerifyLevel.STORED


def packs(repository: Repository, kind: PackKind = PackKind.DATA) -> list[bytes]:
    repository._index.refresh()
    return [r.name for r in repository._index.packs().values() if r.kind is kind]


def data_pack(repository: Repository) -> bytes:
    (pack,) = packs(repository)
    return pack


def damage_pack(repository: Repository, pack: bytes, position: int) -> None:
    key = pack_key(pack)
    replace_object(repository.store, key, flip(repository.store.get(key), position))


def outcome(report: VerifyReport) -> list[tuple[str, str]]:
    return [(damage.object, damage.problem) for damage in report.damage]


@pytest.mark.parametrize("level", VerifyLevel)
def test_a_sound_repository(level: VerifyLevel, tmp_path: Path) -> None:
    with encrypted_repository(tmp_path) as repository:
        back_up(repository, "web", chunks(1, None, 2, 1))
        report = repository.verify(None, level)
        assert report.ok
        assert not report.harmless
        assert (report.level, report.points, report.packs) == (level, 1, 2)
        assert report.chunks == (3 if level is CONTENT else 0)  # two chunks and a segment
        assert report.read == sum(info.size for info in repository.store.list(PACKS))


def test_an_empty_repository(tmp_path: Path) -> None:
    with new_repository(tmp_path) as repository:
        report = repository.verify(None, CONTENT)
        assert report.ok
        assert (report.packs, report.chunks, report.points) == (0, 0, 0)


def test_a_damaged_chunk_is_named_with_everything_it_breaks(tmp_path: Path) -> None:
    with encrypted_repository(tmp_path) as repository:
        first = back_up(repository, "web", chunks(1, 2, 1) + noise(100))
        second = back_up(repository, "db", {"vda": chunks(9), "vdb": chunks(None, 1)})
        back_up(repository, "other", chunks(7))
        pack = max(packs(repository), key=lambda p: len(repository._index.chunks_in(p)))
        damage_pack(repository, pack, 5)  # the first chunk
        report = repository.verify(None, CONTENT)
        assert not report.ok
        (damage,) = report.damage
        assert damage.object == pack_key(pack)
        assert damage.problem == "a data chunk does not open to its id"
        assert (damage.offset, damage.length) == (0, CHUNK + 16)
        assert damage.chunk == repository.vault.chunk_id(noise(CHUNK, 1)).hex()
        assert set(damage.affected) == {
            AffectedArea("web", first.id, "disk0", 0, CHUNK),
            AffectedArea("web", first.id, "disk0", 2 * CHUNK, CHUNK),
            AffectedArea("db", second.id, "vdb", CHUNK, CHUNK),
        }


def test_the_last_short_chunk_is_named_with_its_length(tmp_path: Path) -> None:
    with new_repository(tmp_path) as repository:
        point = back_up(repository, "web", noise(100))
        damage_pack(repository, data_pack(repository), 5)
        (damage,) = repository.verify(None, CONTENT).damage
        assert damage.affected == (AffectedArea("web", point.id, "disk0", 0, 100),)


def test_a_damaged_segment_breaks_its_whole_area(tmp_path: Path) -> None:
    with new_repository(tmp_path) as repository:
        point = back_up(repository, "web", chunks(1, 2))
        (map_pack,) = packs(repository, PackKind.MAP)
        damage_pack(repository, map_pack, 5)
        (damage,) = repository.verify(None, CONTENT).damage
        assert damage.problem == "a map chunk does not open to its id"
        assert damage.affected == (AffectedArea("web", point.id, "disk0", 0, 2 * CHUNK),)


@pytest.mark.parametrize("level", VerifyLevel)
@pytest.mark.parametrize("kind", PackKind)
def test_a_missing_pack(level: VerifyLevel, kind: PackKind, tmp_path: Path) -> None:
    with new_repository(tmp_path) as repository:
        back_up(repository, "web", chunks(1, 2))
        (pack,) = packs(repository, kind)
        repository.store.delete(pack_key(pack))
        report = repository.verify(None, level)
        assert (pack_key(pack), "the pack is missing") in outcome(report)
        areas = [area for damage in report.damage for area in damage.affected]
        assert sum(area.length for area in areas) == 2 * CHUNK


@pytest.mark.parametrize("level", VerifyLevel)
def test_a_pack_that_was_cut_short(level: VerifyLevel, tmp_path: Path) -> None:
    with new_repository(tmp_path) as repository:
        back_up(repository, "web", chunks(1, 2))
        key = pack_key(data_pack(repository))
        replace_object(repository.store, key, repository.store.get(key)[:-10])
        (damage,) = repository.verify(None, level).damage
        assert damage.object == key
        assert sum(area.length for area in damage.affected) == 2 * CHUNK


def test_damage_that_no_point_needs_is_harmless(tmp_path: Path) -> None:
    with new_repository(tmp_path) as repository:
        gone = back_up(repository, "web", chunks(1, 2))
        back_up(repository, "web", chunks(1, 3))
        repository.remove(gone, "retention")
        first = next(p for p in packs(repository) if len(repository._index.chunks_in(p)) == 2)
        damage_pack(repository, first, CHUNK + 16 + 5)  # chunk 2
        report = repository.verify(None, CONTENT)
        assert report.ok
        (damage,) = report.harmless
        assert damage.object == pack_key(first)


def test_damage_between_the_blobs_is_found_when_the_whole_is_looked_at(tmp_path: Path) -> None:
    """A changed reserved byte of the trailer, say: every chunk opens, the name does not fit."""
    with new_repository(tmp_path) as repository:
        point = back_up(repository, "web", chunks(1))
        pack = data_pack(repository)
        key = pack_key(pack)
        data = repository.store.get(key)
        replace_object(repository.store, key, b"x" + data)
        assert not repository.verify(None, STORED).ok
        assert not repository.verify(None, CONTENT).ok
        assert not repository.verify([point], CONTENT).ok


@pytest.mark.parametrize("level", VerifyLevel)
def test_only_what_a_point_needs(level: VerifyLevel, tmp_path: Path) -> None:
    with new_repository(tmp_path) as repository:
        web = back_up(repository, "web", chunks(1))
        db = back_up(repository, "db", chunks(2))
        vault = repository.vault
        repository._index.refresh()
        (place,) = repository._index.find(vault.chunk_id(noise(CHUNK, 1)))
        damage_pack(repository, place.pack, 5)
        report = repository.verify([web], level)
        assert [damage.object for damage in report.damage] == [pack_key(place.pack)]
        assert (report.points, report.packs) == (1, 2)
        assert repository.verify([db], level).ok


# -- objects beside packs


def every_kind_of_object(tmp_path: Path, store: MemoryStore) -> list[str]:
    """Keys of all objects that are no packs."""
    with encrypted_repository(tmp_path, store) as repository:
        back_up(repository, "web", chunks(1))
        repository.remove(back_up(repository, "web", chunks(2)), "retention")
        back_up(repository, "web", chunks(3))
        note_damage(store, repository.vault.context, b"1" * 32, [])
        condemn(store, repository.vault.context, [b"2" * 32])
        lease = Lease(store, repository.vault.context, WRITE_LEASE)
        lease.renew()
    return [info.key for info in store.list() if PACKS not in info.key]


@pytest.mark.parametrize("key", [None, identity()], ids=["no key", "reader"])
def test_every_object_that_was_altered_is_named(key: Key | None, tmp_path: Path) -> None:
    store = MemoryStore()
    for name in every_kind_of_object(tmp_path, store):
        good = store.get(name)
        replace_object(store, name, flip(good, 40))
        try:
            with Repository.open(store, key, cache=tmp_path / "fresh") as repository:
                named = [damage.object for damage in repository.verify(None, STORED).damage]
        except HyperSDKError as error:  # without it nothing can be opened
            assert name == CONFIG or name.startswith((KEYS, INDEX))
            named = [name] if name in str(error) else []
        assert name in named
        replace_object(store, name, good)
        shutil.rmtree(tmp_path / "fresh", ignore_errors=True)


def test_an_altered_run_is_named_without_a_key(tmp_path: Path) -> None:
    store = MemoryStore()
    with encrypted_repository(tmp_path, store) as repository:
        back_up(repository, "web", chunks(1))
    (key,) = keys_below(store, INDEX)
    replace_object(store, key, flip(store.get(key), 60))
    with Repository.open(store, cache=tmp_path / "locked") as locked:
        ((found, problem),) = outcome(locked.verify(None, STORED))
        assert found == key
        assert "recover" in problem


def test_a_chain_with_a_removed_point(tmp_path: Path) -> None:
    with new_repository(tmp_path) as repository:
        first = back_up(repository, "web", chunks(1))
        second = back_up(repository, "web", chunks(2))
        third = back_up(repository, "web", chunks(3))
        repository.remove(first, "retention")
        assert repository.verify(None, CONTENT).ok  # its tombstone explains it
        repository.store.delete(second.key)
        ((key, problem),) = outcome(repository.verify(None, STORED))
        assert key == third.key
        assert "retention did not remove it" in problem
        assert repository.verify([third], CONTENT).ok  # the point itself is sound


def test_the_last_point_of_an_instance_leaves_no_gap(tmp_path: Path) -> None:
    """As the threat model says."""
    with new_repository(tmp_path) as repository:
        back_up(repository, "web", chunks(1))
        repository.store.delete(back_up(repository, "web", chunks(2)).key)
        assert repository.verify(None, CONTENT).ok


# -- keys


def test_without_a_key_stored_bytes_are_compared(tmp_path: Path) -> None:
    store = MemoryStore()
    with encrypted_repository(tmp_path, store) as repository:
        back_up(repository, "web", chunks(1))
        pack = data_pack(repository)
    with Repository.open(store, cache=tmp_path / "locked") as locked:
        assert locked.locked
        assert locked.verify(None, STORED).ok
        damage_pack(locked, pack, 5)
        ((key, problem),) = outcome(locked.verify(None, STORED))
        assert key == pack_key(pack)
        assert "do not match its name" in problem
        with pytest.raises(KeyRequired):
            locked.verify(None, CONTENT)


def test_a_writer_compares_stored_bytes_and_knows_what_they_break(tmp_path: Path) -> None:
    store = MemoryStore()
    own, recipient = generate_identity()
    with encrypted_repository(tmp_path, store) as repository:
        repository.add_key(Protect.recipient(recipient), role=WRITER)
        point = back_up(repository, "web", chunks(1))
        damage_pack(repository, data_pack(repository), 5)
    with Repository.open(store, Key.identity(own), cache=tmp_path / "w") as writer:
        (damage,) = writer.verify(None, STORED).damage
        assert damage.affected == (AffectedArea("web", point.id, "disk0", 0, CHUNK),)
        with pytest.raises(KeyRequired, match="needs a reader key"):
            writer.verify(None, CONTENT)


# -- notes


@pytest.mark.parametrize("level", VerifyLevel)
def test_what_was_found_damaged_is_stored_again(level: VerifyLevel, tmp_path: Path) -> None:
    with encrypted_repository(tmp_path) as repository:
        first = back_up(repository, "web", chunks(1, 2))
        damage_pack(repository, data_pack(repository), 5)
        repository.verify(None, level)
        assert keys_below(repository.store, DAMAGE)
        back_up(repository, "web", chunks(1, 2))
        assert content_of(repository, first) == chunks(1, 2)  # the old point is whole again
        report = repository.verify(None, CONTENT)
        assert report.ok
        assert len(report.harmless) == 1
    with Repository.open(repository.store, identity(), cache=tmp_path / "other") as other:
        assert content_of(other, first) == chunks(1, 2)


def test_notes_are_taken_back_when_the_pack_is_whole_again(tmp_path: Path) -> None:
    with new_repository(tmp_path) as repository:
        point = back_up(repository, "web", chunks(1, 2))
        pack = data_pack(repository)
        damage_pack(repository, pack, 5)
        repository.verify(None, CONTENT)
        damage_pack(repository, pack, 5)  # the same bit again: somebody restored the file
        assert repository.verify([point], CONTENT).ok
        assert repository.verify(None, CONTENT).ok
        assert keys_below(repository.store, DAMAGE) == []


def test_a_chunk_that_never_was_what_its_id_says_stays_noted(tmp_path: Path) -> None:
    """Bad memory or an evil writer: the pack's bytes match its name all the same."""
    with new_repository(tmp_path) as repository:
        with suppress(Interrupted), repository.write() as session:
            session._data.add(repository.vault.chunk_id(noise(CHUNK, 1)), noise(CHUNK, 2))
            raise Interrupted("what was stored is kept")
        bad = data_pack(repository)
        broken = back_up(repository, "web", chunks(1))
        other = back_up(repository, "db", chunks(5))
        assert repository.verify(None, STORED).ok
        assert not repository.verify(None, CONTENT).ok

        def noted() -> set[bytes]:
            notes = read_damage(repository.store, repository.vault.context)
            return {chunk for note in notes if note.pack == bad for chunk in note.chunks}

        expected = {repository.vault.chunk_id(noise(CHUNK, 1))}
        assert noted() == expected
        repository.verify(None, STORED)
        assert noted() == expected, "comparing names proves nothing about the chunk"
        repository.verify([other], CONTENT)
        assert noted() == expected, "another point's check did not look at the chunk"
        back_up(repository, "web", chunks(1))
        assert content_of(repository, broken) == chunks(1)


def test_the_same_damage_is_noted_once(tmp_path: Path) -> None:
    with new_repository(tmp_path) as repository:
        back_up(repository, "web", chunks(1, 2))
        damage_pack(repository, data_pack(repository), 5)
        for _ in range(3):
            repository.verify(None, CONTENT)
        assert len(keys_below(repository.store, DAMAGE)) == 1


# -- progress


def test_the_watcher_sees_all_bytes_and_may_stop(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    with new_repository(tmp_path) as repository:
        for seed in range(3):
            back_up(repository, "web", chunks(seed))
        report = repository.verify(None, CONTENT, lambda done, total: seen.append((done, total)))
        assert seen[-1] == (report.read, report.read)
        assert [done for done, _ in seen] == sorted(done for done, _ in seen)

        def stop(done: int, total: int) -> None:
            raise Interrupted("enough")

        with pytest.raises(Interrupted):
            repository.verify(None, CONTENT, stop)
