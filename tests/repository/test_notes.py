from __future__ import annotations

import pytest

from hypersdk.model.errors import Damaged, StoreError
from hypersdk.repository.ciphers import aes_cipher
from hypersdk.repository.format import Context, Protection
from hypersdk.repository.layout import COLLECTIONS, DAMAGE, PRUNED
from hypersdk.repository.notes import (
    bury,
    condemn,
    note_damage,
    read_collections,
    read_damage,
    read_tombstones,
)
from hypersdk.repository.store.memory import MemoryStore
from tests.repository.examples import Clock, flip, keys_below, replace_object
from tests.repository.test_points import POINT

CONTEXT = Context(b"r" * 16, aes_cipher(bytes(32)), Protection.METADATA)
ONE, OTHER = b"1" * 32, b"2" * 32


def test_collections_come_back_oldest_first_with_the_time_of_the_storage() -> None:
    clock = Clock()
    store = MemoryStore(clock=clock)
    first = condemn(store, CONTEXT, [OTHER, ONE])
    before = clock.now
    clock.pass_(days=1)
    condemn(store, CONTEXT, {ONE})
    collections = read_collections(store, CONTEXT)
    assert [found.packs for found in collections] == [frozenset({ONE, OTHER}), frozenset({ONE})]
    assert [found.published for found in collections] == [before, clock.now]
    assert collections[0].key == first


def test_damage_is_noted_once() -> None:
    store = MemoryStore()
    for _ in range(2):
        note_damage(store, CONTEXT, ONE, [OTHER, ONE])
        note_damage(store, CONTEXT, OTHER, ())
    found = {note.pack: note.chunks for note in read_damage(store, CONTEXT)}
    assert found == {ONE: frozenset({ONE, OTHER}), OTHER: frozenset()}
    assert len(keys_below(store, DAMAGE)) == 2


def test_a_tombstone_names_the_bytes_of_its_point() -> None:
    store = MemoryStore()
    for _ in range(2):  # killed before the point was deleted: the next run buries it again
        bury(store, CONTEXT, POINT, "retention")
    assert read_tombstones(store) == {POINT.digest}


@pytest.mark.parametrize("folder", [COLLECTIONS, DAMAGE])
def test_an_altered_note_is_named(folder: str) -> None:
    store = MemoryStore()
    condemn(store, CONTEXT, [ONE])
    note_damage(store, CONTEXT, ONE, [])
    (key,) = keys_below(store, folder)
    replace_object(store, key, flip(store.get(key), 30))
    with pytest.raises(Damaged, match=key):
        (read_collections if folder == COLLECTIONS else read_damage)(store, CONTEXT)


def test_an_empty_place_has_none() -> None:
    store = MemoryStore()
    assert read_collections(store, CONTEXT) == []
    assert read_damage(store, CONTEXT) == []
    assert read_tombstones(store) == frozenset()


def test_a_file_that_is_no_tombstone_is_passed_over() -> None:
    store = MemoryStore()
    store.put_if_absent(f"{PRUNED}/.DS_Store", b"")
    bury(store, CONTEXT, POINT, "retention")
    assert read_tombstones(store) == {POINT.digest}


def test_what_the_place_says_is_not_hidden() -> None:
    class Broken(MemoryStore):
        def get(self, key: str, offset: int = 0, length: int | None = None) -> bytes:
            raise StoreError("the place burns")

    store = Broken()
    condemn(store, CONTEXT, [ONE])
    with pytest.raises(StoreError, match="burns"):
        read_collections(store, CONTEXT)
