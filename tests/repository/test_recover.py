from __future__ import annotations

from pathlib import Path

import pytest

from hypersdk.model.errors import Conflict, KeyRequired
from hypersdk.model.points import VerifyLevel
from hypersdk.repository.format import PackKind
from hypersdk.repository.keys import WRITER, Key, Protect, generate_identity
from hypersdk.repository.layout import INDEX, LEASES, pack_key
from hypersdk.repository.leases import COLLECT, Lease
from hypersdk.repository.repository import Repository
from hypersdk.repository.store.memory import MemoryStore
from tests.repository.examples import (
    back_up,
    chunks,
    content_of,
    encrypted_repository,
    flip,
    identity,
    keys_below,
    new_repository,
    replace_object,
)


def lose_index(store: MemoryStore) -> None:
    for key in keys_below(store, INDEX):
        store.delete(key)


def test_a_lost_index_comes_back_from_the_packs(tmp_path: Path) -> None:
    store = MemoryStore()
    with encrypted_repository(tmp_path, store) as repository:
        points = [back_up(repository, "web", chunks(1, seed)) for seed in (2, 3, 4)]
        before = repository.statistics()
    lose_index(store)
    with Repository.open(store, identity(), cache=tmp_path / "new") as repository:
        assert not repository.verify(None, VerifyLevel.CONTENT).ok
        report = repository.recover()
        assert (report.packs, report.chunks) == (before.packs, before.chunks)
        assert report.unreadable == {}
        assert repository.verify(None, VerifyLevel.CONTENT).ok
        for seed, point in zip((2, 3, 4), points, strict=True):
            assert content_of(repository, point) == chunks(1, seed)
        assert keys_below(store, LEASES) == []


def test_a_repository_that_stays_open_sees_the_new_index(tmp_path: Path) -> None:
    with new_repository(tmp_path) as repository:
        point = back_up(repository, "web", chunks(1, 2))
        assert content_of(repository, point) == chunks(1, 2)
        lose_index(repository.store)  # type: ignore[arg-type]
        repository.recover()
        assert content_of(repository, point) == chunks(1, 2)
        before = repository.statistics().packs
        back_up(repository, "web", chunks(1, 2))
        assert repository.statistics().packs == before


def test_damaged_runs_are_replaced(tmp_path: Path) -> None:
    store = MemoryStore()
    with new_repository(tmp_path, store) as repository:
        point = back_up(repository, "web", chunks(1))
    (key,) = keys_below(store, INDEX)
    replace_object(store, key, flip(store.get(key), 50))
    with Repository.open(store, cache=tmp_path / "new") as repository:
        repository.recover()
        assert key not in keys_below(store, INDEX)
        assert content_of(repository, point) == chunks(1)


def test_recovering_what_is_well_changes_nothing(tmp_path: Path) -> None:
    with new_repository(tmp_path) as repository:
        point = back_up(repository, "web", chunks(1, 2))
        for _ in range(2):
            report = repository.recover()
            assert report.chunks == 3
            assert content_of(repository, point) == chunks(1, 2)
            assert len(keys_below(repository.store, INDEX)) == 1


def test_an_empty_repository(tmp_path: Path) -> None:
    with new_repository(tmp_path) as repository:
        report = repository.recover()
        assert (report.packs, report.chunks) == (0, 0)


def test_a_pack_without_a_footer_is_named_and_the_others_come_back(tmp_path: Path) -> None:
    with new_repository(tmp_path) as repository:
        good = back_up(repository, "web", chunks(1))
        back_up(repository, "db", chunks(2))
        repository._index.refresh()
        records = repository._index.packs().values()
        data = [record for record in records if record.kind is PackKind.DATA]
        chunk = repository.vault.chunk_id(chunks(2))
        (place,) = repository._index.find(chunk)
        assert len(data) == 2
        key = pack_key(place.pack)
        replace_object(repository.store, key, repository.store.get(key)[:-20])
        lose_index(repository.store)  # type: ignore[arg-type]
        report = repository.recover()
        assert report.unreadable.keys() == {key}
        assert report.packs == 4
        assert content_of(repository, good) == chunks(1)
        broken = repository.verify(None, VerifyLevel.CONTENT)
        assert {area.instance for found in broken.damage for area in found.affected} == {"db"}


def test_a_writer_can_recover(tmp_path: Path) -> None:
    store = MemoryStore()
    own, recipient = generate_identity()
    with encrypted_repository(tmp_path, store) as repository:
        repository.add_key(Protect.recipient(recipient), role=WRITER)
        point = back_up(repository, "web", chunks(1))
    lose_index(store)
    with Repository.open(store, Key.identity(own), cache=tmp_path / "w") as writer:
        assert writer.recover().unreadable == {}
    with Repository.open(store, cache=tmp_path / "l") as locked, pytest.raises(KeyRequired):
        locked.recover()
    with Repository.open(store, identity(), cache=tmp_path / "r") as repository:
        assert content_of(repository, point) == chunks(1)


def test_not_while_a_collector_deletes_packs(tmp_path: Path) -> None:
    with new_repository(tmp_path) as repository:
        back_up(repository, "web", chunks(1))
        before = keys_below(repository.store, INDEX)
        collector = Lease(repository.store, repository.vault.context, COLLECT)
        collector.renew()
        with pytest.raises(Conflict, match="garbage collection"):
            repository.recover()
        assert keys_below(repository.store, INDEX) == before
        collector.release()
        repository.recover()
