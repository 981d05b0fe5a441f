"""What every store must do. A store's test file derives from ``StoreSuite`` and gives ``store``."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from hypersdk.model.errors import InvalidInput, ObjectExists, ObjectMissing, StoreError
from hypersdk.repository.store.ports import Store

MIB = 1 << 20

ODD_KEYS = [
    "plain",
    "two words/with a file.rp",
    "ünïcode/日本語/😀",
    "combining e\u0301 and composed \u00e9",
    "no\u00a0break",
    ".hidden/.also.hidden",
    "...three dots/..two-in-front",
    "trailing space /x",
    "per%cent/%41/a%2Fb",
    "signs/~#?&=+$,;:@!'\"()<>|[]{}^`*",
    "part/" + "é" * 127,
    "/".join(["deep"] * 40),
]

BAD_KEYS = [
    "",
    "/absolute",
    "folder/",
    "a//b",
    ".",
    "..",
    "../outside",
    "a/../b",
    "a/./b",
    "back\\slash",
    "new\nline",
    "nul\0",
    "lone\udc80surrogate",
    "long/" + "x" * 256,
    "x/" * 512 + "x",
    ".hypersdk/tmp/unfinished",
]


class StoreSuite:
    """The rules of the port, one test each."""

    def test_gives_back_what_was_put(self, store: Store) -> None:
        store.put_if_absent("a/b", b"content")
        assert store.get("a/b") == b"content"

    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
    def test_takes_any_bytes(self, store: Store, kind: type) -> None:
        store.put_if_absent("k", kind(b"content"))
        assert store.get("k") == b"content"

    def test_keeps_its_own_copy(self, store: Store) -> None:
        data = bytearray(b"before")
        store.put_if_absent("k", data)
        data[:] = b"behind"
        assert store.get("k") == b"before"

    def test_keeps_an_empty_object(self, store: Store) -> None:
        store.put_if_absent("empty", b"")
        assert store.get("empty") == b""
        assert store.get("empty", 0, 0) == b""
        assert store.stat("empty").size == 0

    def test_keeps_33_mib(self, store: Store) -> None:
        data = os.urandom(MIB) * 33
        store.put_if_absent("pack", data)
        assert store.stat("pack").size == 33 * MIB
        assert store.get("pack") == data
        assert store.get("pack", 32 * MIB - 5, 10) == data[32 * MIB - 5 : 32 * MIB + 5]

    def test_never_replaces(self, store: Store) -> None:
        store.put_if_absent("k", b"first")
        with pytest.raises(ObjectExists, match="k is already in"):
            store.put_if_absent("k", b"second")
        assert store.get("k") == b"first"

    def test_one_of_eight_racing_writers_wins(self, store: Store) -> None:
        for round_ in range(5):
            winners = self.race(store, f"race/{round_}")
            assert len(winners) == 1
            assert store.get(f"race/{round_}") == winners[0]

    def race(self, store: Store, key: str) -> list[bytes]:
        barrier = threading.Barrier(8)

        def write(number: int) -> bytes | None:
            data = bytes([number]) * 10_000
            barrier.wait()
            try:
                store.put_if_absent(key, data)
            except ObjectExists:
                return None
            return data

        with ThreadPoolExecutor(8) as pool:
            return [won for won in pool.map(write, range(8)) if won is not None]

    def test_keeps_odd_keys_apart(self, store: Store) -> None:
        for key in ODD_KEYS:
            store.put_if_absent(key, key.encode())
        for key in ODD_KEYS:
            assert store.get(key) == key.encode()
            assert store.stat(key).key == key
        assert {found.key for found in store.list()} == set(ODD_KEYS)
        for key in ODD_KEYS:
            store.delete(key)
        assert list(store.list()) == []

    @pytest.mark.parametrize("key", BAD_KEYS, ids=ascii)
    def test_refuses_bad_keys(self, store: Store, key: str) -> None:
        with pytest.raises(InvalidInput):
            store.put_if_absent(key, b"")
        with pytest.raises(InvalidInput):
            store.get(key)
        with pytest.raises(InvalidInput):
            store.get_into(key, 0, memoryview(bytearray(1)))
        with pytest.raises(InvalidInput):
            store.stat(key)
        with pytest.raises(InvalidInput):
            store.delete(key)

    @pytest.mark.parametrize("prefix", ["/", "..", "a/", "a//b"])
    def test_refuses_bad_prefixes(self, store: Store, prefix: str) -> None:
        with pytest.raises(InvalidInput):
            list(store.list(prefix))
        with pytest.raises(InvalidInput):
            store.folders(prefix)

    def test_reads_ranges(self, store: Store) -> None:
        store.put_if_absent("k", b"0123456789")
        assert store.get("k", 3) == b"3456789"
        assert store.get("k", 3, 4) == b"3456"
        assert store.get("k", 0, 10) == b"0123456789"
        assert store.get("k", 10) == b""
        assert store.get("k", 10, 0) == b""

    def test_reads_into_a_part_of_a_buffer(self, store: Store) -> None:
        store.put_if_absent("k", b"0123456789")
        buffer = bytearray(b"........")
        store.get_into("k", 2, memoryview(buffer)[1:5])
        assert buffer == b".2345..."
        store.get_into("k", 10, memoryview(buffer)[:0])

    @pytest.mark.parametrize(("offset", "length"), [(8, 3), (0, 11), (11, 1), (11, None), (50, 0)])
    def test_refuses_a_range_behind_the_end(
        self, store: Store, offset: int, length: int | None
    ) -> None:
        store.put_if_absent("k", b"0123456789")
        with pytest.raises(StoreError, match="k has 10 bytes"):
            store.get("k", offset, length)

    def test_never_reads_short_into_a_buffer(self, store: Store) -> None:
        store.put_if_absent("k", b"0123456789")
        with pytest.raises(StoreError, match="k has 10 bytes"):
            store.get_into("k", 8, memoryview(bytearray(3)))

    @pytest.mark.parametrize(("offset", "length"), [(-1, None), (-1, 1), (0, -1)])
    def test_refuses_negative_ranges(self, store: Store, offset: int, length: int | None) -> None:
        store.put_if_absent("k", b"0123456789")
        with pytest.raises(InvalidInput):
            store.get("k", offset, length)

    def test_says_what_is_missing(self, store: Store) -> None:
        store.put_if_absent("folder/k", b"")
        for key in ("nothing", "no/such/folder", "folder/x"):
            with pytest.raises(ObjectMissing, match=f"{key} is not in"):
                store.get(key)
            with pytest.raises(ObjectMissing):
                store.get(key, 1, 2)
            with pytest.raises(ObjectMissing):
                store.get_into(key, 0, memoryview(bytearray(1)))
            with pytest.raises(ObjectMissing):
                store.stat(key)

    def test_a_folder_is_no_object(self, store: Store) -> None:
        store.put_if_absent("folder/k", b"")
        with pytest.raises(ObjectMissing):
            store.stat("folder")
        with pytest.raises(ObjectMissing):
            store.get("folder")

    def test_lists_a_folder_and_all_below(self, store: Store) -> None:
        for key in ("top", "a/1", "a/2", "a/b/c/3", "ab/4", "b/a/5"):
            store.put_if_absent(key, key.encode())
        assert {found.key for found in store.list()} == {
            *("top", "a/1", "a/2", "a/b/c/3", "ab/4", "b/a/5")
        }
        assert {found.key for found in store.list("a")} == {"a/1", "a/2", "a/b/c/3"}
        assert [found.key for found in store.list("a/b")] == ["a/b/c/3"]
        assert [found.size for found in store.list("a/b")] == [len("a/b/c/3")]
        assert list(store.list("missing")) == []
        assert list(store.list("missing/below")) == []
        assert list(store.list("top")) == []

    def test_names_the_folders_directly_below(self, store: Store) -> None:
        for key in ("top", "a/1", "a/b/c/2", "a/d e/3", "ab/4", ".hypersdk/packs/5", "ü/6"):
            store.put_if_absent(key, b"")
        assert store.folders() == (".hypersdk", "a", "ab", "ü")
        assert store.folders("a") == ("b", "d e")
        assert store.folders(".hypersdk") == ("packs",)
        assert store.folders("ab") == ()
        assert store.folders("top") == ()
        assert store.folders("missing/below") == ()

    def test_lists_more_than_a_page(self, store: Store) -> None:
        wanted = {f"many/{number:04}" for number in range(1100)}
        for key in wanted:
            store.put_if_absent(key, b"")
        assert {found.key for found in store.list("many")} == wanted

    def test_times_are_aware_and_ordered(self, store: Store) -> None:
        store.put_if_absent("first", b"1")
        store.put_if_absent("second", b"2")
        first, second = store.stat("first").modified, store.stat("second").modified
        assert first.utcoffset() == timedelta(0)
        # Storage may keep whole seconds, and a listing more digits than a stat.
        assert second - first > timedelta(seconds=-1)
        listed = {found.key: found.modified for found in store.list()}
        assert abs(listed["first"] - first) <= timedelta(seconds=1)

    def test_deletes_once_or_twice(self, store: Store) -> None:
        store.put_if_absent("a/k", b"old")
        store.get_into("a/k", 0, memoryview(bytearray(3)))
        store.delete("a/k")
        store.delete("a/k")
        store.delete("never/was")
        with pytest.raises(ObjectMissing):
            store.get("a/k")
        with pytest.raises(ObjectMissing):
            store.get_into("a/k", 0, memoryview(bytearray(3)))
        store.put_if_absent("a/k", b"new")
        buffer = bytearray(3)
        store.get_into("a/k", 0, memoryview(buffer))
        assert buffer == b"new"

    def test_many_threads_read_and_write(self, store: Store) -> None:
        def work(number: int) -> None:
            for step in range(10):
                data = bytes([number, step]) * 500
                store.put_if_absent(f"{number}/{step}", data)
                buffer = bytearray(600)
                store.get_into(f"{number}/{step}", 100, memoryview(buffer))
                assert buffer == data[100:700]

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(8)))
        assert len(list(store.list())) == 80

    def test_closes_several_times(self, store: Store) -> None:
        store.put_if_absent("k", b"x")
        store.get_into("k", 0, memoryview(bytearray(1)))
        store.close()
        store.close()

    def test_names_itself(self, store: Store) -> None:
        assert store.url
        assert isinstance(store.latency_bound, bool)
