from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from hypersdk.model.errors import (
    AlreadyExists,
    Conflict,
    Damaged,
    InvalidInput,
    KeyRequired,
    NotARepository,
    PointNotFound,
    StoreUnavailable,
)
from hypersdk.model.instances import Definition
from hypersdk.model.points import DiskDifference, VerifyLevel
from hypersdk.repository.keys import WRITER, Key, Protect, generate_identity
from hypersdk.repository.layout import CONFIG, ENGINE, KEYS, PRUNED
from hypersdk.repository.repository import Repository
from hypersdk.repository.store.memory import MemoryStore
from hypersdk.repository.store.ports import Store
from tests.repository.examples import (
    CHUNK,
    IDENTITY,
    MOMENT,
    RECIPIENT,
    Clock,
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


def reopened(store: Store, tmp_path: Path, key: Key | None = None) -> Repository:
    """As another host, with a cache of its own."""
    return Repository.open(store, key, cache=tmp_path / "elsewhere")


# -- making and opening


def test_what_a_new_repository_is(tmp_path: Path) -> None:
    store = MemoryStore("lab")
    with encrypted_repository(tmp_path, store) as repository:
        assert repository.url == "memory:lab"
        assert repository.encrypted
        assert repository.can_read
        assert not repository.locked
        assert repository.chunk_size == CHUNK
        assert repository.points() == []
        assert repository.latest("web") is None
    assert [key.split("/")[1] for key in keys_below(store, ENGINE)] == ["config", "keys"]


def test_there_is_one_repository_in_a_place(tmp_path: Path) -> None:
    store = MemoryStore()
    new_repository(tmp_path, store).close()
    with pytest.raises(AlreadyExists, match="already"):
        new_repository(tmp_path, store)
    other = MemoryStore()
    other.put_if_absent("Photos/summer.jpg", b"")
    with pytest.raises(AlreadyExists, match="Photos"):
        new_repository(tmp_path, other)


def test_an_init_that_was_killed_can_run_again(tmp_path: Path) -> None:
    store = MemoryStore()
    encrypted_repository(tmp_path, store).close()
    store.delete(CONFIG)
    with pytest.raises(NotARepository):
        reopened(store, tmp_path)
    encrypted_repository(tmp_path, store).close()
    assert len(keys_below(store, KEYS)) == 1
    reopened(store, tmp_path, identity()).close()


@pytest.mark.parametrize("size", [0, 1, CHUNK // 2, CHUNK + 1, 3 * CHUNK, 8 << 20])
def test_a_chunk_size_that_no_disk_could_have(size: int) -> None:
    store = MemoryStore()
    with pytest.raises(InvalidInput, match="chunk size"):
        Repository.create(store, Protect.none(), chunk_size=size)
    assert not list(store.list())


def test_no_repository(tmp_path: Path) -> None:
    with pytest.raises(NotARepository, match="memory:here") as caught:
        reopened(MemoryStore("here"), tmp_path)
    assert "hypersdk repo init memory:here" in caught.value.hint


def test_a_key_that_opens_nothing_says_which_slots_there_are(tmp_path: Path) -> None:
    store = MemoryStore()
    with encrypted_repository(tmp_path, store) as repository:
        repository.add_key(Protect.recipient(generate_identity()[1]), label="office safe")
    with pytest.raises(KeyRequired, match="opens no key slot") as caught:
        reopened(store, tmp_path, Key.identity(generate_identity()[0]))
    assert "recipient 'first'" in caught.value.hint
    assert "recipient 'office safe'" in caught.value.hint


def test_an_altered_configuration_is_noticed_by_who_has_a_key(tmp_path: Path) -> None:
    """Another public key in it would make writers seal the guests' data to a stranger."""
    store, other = MemoryStore(), MemoryStore()
    encrypted_repository(tmp_path, store).close()
    encrypted_repository(tmp_path, other).close()
    replace_object(store, CONFIG, other.get(CONFIG))
    with pytest.raises((Damaged, KeyRequired)):
        reopened(store, tmp_path, identity())
    replace_object(store, CONFIG, flip(store.get(CONFIG), 70))
    with pytest.raises(Damaged, match=CONFIG):
        reopened(store, tmp_path, identity())


def test_without_a_key_names_and_stored_bytes_can_be_seen(tmp_path: Path) -> None:
    store = MemoryStore()
    with encrypted_repository(tmp_path, store) as repository:
        point = back_up(repository, "web", chunks(1))
    with reopened(store, tmp_path) as locked:
        assert locked.locked
        assert [info.key for info in locked.entries()] == [point.key]
        assert len(locked.keys()) == 1
        assert locked.verify(None, VerifyLevel.STORED).ok
        for refused in (
            locked.points,
            locked.statistics,
            locked.write,
            locked.recover,
            lambda: locked.latest("web"),
            lambda: locked.source(point, "disk0"),
            lambda: locked.definition(point),
            lambda: locked.remove(point, "retention"),
            lambda: locked.collect(timedelta(0)),
            lambda: locked.add_key(Protect.recipient(RECIPIENT)),
        ):
            with pytest.raises(KeyRequired):
                refused()
    assert store.stat(point.key)


# -- restore points


def test_points_oldest_first_of_all_or_one(tmp_path: Path) -> None:
    clock = Clock()
    with new_repository(tmp_path, clock=clock) as repository:
        expected = []
        for instance in ("web", "db", "web"):
            expected.append(back_up(repository, instance, chunks(1)))
            clock.pass_(hours=1)
        assert repository.points() == expected
        assert repository.points("web") == [expected[0], expected[2]]
        assert repository.points("none") == []
        assert repository.latest("web") == expected[2]
        assert repository.find("web@latest") == expected[2]
        assert repository.find(expected[1].id[:20]) == expected[1]
        assert [point.previous for point in expected] == [b"", b"", expected[0].digest]
        with pytest.raises(PointNotFound):
            repository.find("mail")


def test_a_point_as_committed_is_the_point_as_read(tmp_path: Path) -> None:
    with new_repository(tmp_path) as repository:
        written = back_up(repository, "web", chunks(1), definition=Definition("libvirt", b"<d/>"))
        with reopened(repository.store, tmp_path) as other:
            assert other.points() == [written]
            assert other.definition(written) == Definition("libvirt", b"<d/>")


def test_strange_names_of_instances(tmp_path: Path) -> None:
    names = ["a b", "a/b", "ä", ".hidden", "a" * 255, "ü" * 500, "..", "@latest", "web@latest"]
    with new_repository(tmp_path) as repository:
        points = {name: back_up(repository, name, noise(10)) for name in names}
        for name, point in points.items():
            assert repository.points(name) == [point]
            assert repository.find(name) == point
        assert len(repository.points()) == len(names)


def test_unreadable_points_are_set_apart(tmp_path: Path) -> None:
    with new_repository(tmp_path) as repository:
        good = back_up(repository, "web", chunks(1))
        bad = back_up(repository, "web", chunks(2))
        replace_object(repository.store, bad.key, flip(repository.store.get(bad.key), 50))
        with reopened(repository.store, tmp_path) as other:
            assert other.points() == [good]
            points, unreadable = other.scan()
            assert points == [good]
            assert unreadable.keys() == {bad.key}
            assert other.latest("web") == good
            with pytest.raises(Damaged, match=bad.key) as caught:
                other.all_points()
            assert f"--drop '{bad.key}'" in caught.value.hint
            with pytest.raises(Damaged):
                other.collect(timedelta(0))
            with pytest.raises(Conflict, match="no unreadable"):
                other.drop(good.key)
            other.drop(bad.key)
            assert other.all_points() == [good]
            other.collect(timedelta(0))


def test_a_place_that_does_not_answer_has_not_lost_its_points(tmp_path: Path) -> None:
    class Flapping(MemoryStore):
        down = ""

        def get(self, key: str, offset: int = 0, length: int | None = None) -> bytes:
            if key == self.down:
                raise StoreUnavailable("no answer")
            return super().get(key, offset, length)

    store = Flapping()
    with new_repository(tmp_path, store) as repository:
        point = back_up(repository, "web", chunks(1))
    store.down = point.key
    with reopened(store, tmp_path) as other:
        for attempt in (
            other.points,
            other.all_points,
            lambda: other.latest("web"),
            lambda: other.drop(point.key),
        ):
            with pytest.raises(StoreUnavailable):
                attempt()
    assert store.stat(point.key)


def test_a_point_that_goes_while_it_is_listed(tmp_path: Path) -> None:
    class Vanishing(MemoryStore):
        gone = ""

        def get(self, key: str, offset: int = 0, length: int | None = None) -> bytes:
            if key == self.gone:
                self.delete(key)
            return super().get(key, offset, length)

    store = Vanishing()
    with new_repository(tmp_path, store) as repository:
        stays = back_up(repository, "web", chunks(1))
        store.gone = back_up(repository, "web", chunks(2)).key
    with reopened(store, tmp_path) as other:
        assert other.scan() == ([stays], {})


def test_removing_leaves_a_tombstone(tmp_path: Path) -> None:
    with new_repository(tmp_path) as repository:
        point = back_up(repository, "web", chunks(1))
        repository.remove(point, "retention")
        assert repository.points() == []
        assert not repository.has(point)
        assert keys_below(repository.store, PRUNED) == [f"{PRUNED}/{point.digest.hex()}"]
        repository.remove(point, "retention")  # as after a crash between the two steps


def test_pinned_and_locked_points_are_not_removed(tmp_path: Path) -> None:
    clock = Clock()
    with new_repository(tmp_path, clock=clock) as repository:
        pinned = back_up(repository, "web", chunks(1), pinned=True)
        locked = back_up(repository, "web", chunks(1), locked_until=MOMENT + timedelta(days=1))
        with pytest.raises(Conflict, match="pinned"):
            repository.remove(pinned, "retention")
        with pytest.raises(Conflict, match="locked until 2026-11-22 03:05"):
            repository.remove(locked, "retention")
        assert len(repository.points()) == 2
        clock.pass_(days=1)
        repository.remove(locked, "retention")
        assert repository.points() == [pinned]


# -- differences and statistics


def test_where_disks_differ(tmp_path: Path) -> None:
    with new_repository(tmp_path) as repository:
        old = back_up(repository, "web", {"a": chunks(1, 2, 3, 4), "b": chunks(1), "c": chunks(1)})
        new = back_up(
            repository,
            "web",
            {"a": chunks(1, 9, 9, 4) + noise(5), "b": chunks(1), "d": chunks(None, 7)},
        )
        assert repository.differences(old, new) == [
            DiskDifference("a", 2 * CHUNK + 5, ((CHUNK, 2 * CHUNK), (4 * CHUNK, 5))),
            DiskDifference("b", 0, ()),
            DiskDifference("d", CHUNK, ((CHUNK, CHUNK),), "added"),
            DiskDifference("c", 0, (), "removed"),
        ]
        assert all(not found.changed for found in repository.differences(new, new))


def test_another_chunk_size_cannot_be_compared(tmp_path: Path) -> None:
    with new_repository(tmp_path) as repository:
        old = back_up(repository, "web", chunks(1, 2))
        new = back_up(repository, "web", chunks(1, 2), chunk_size=2 * CHUNK)
        (found,) = repository.differences(old, new)
        assert (found.changed, found.presence) == (2 * CHUNK, "added")


def test_a_writer_compares_without_reading_guests(tmp_path: Path) -> None:
    store = MemoryStore()
    own, recipient = generate_identity()
    with encrypted_repository(tmp_path, store) as repository:
        repository.add_key(Protect.recipient(recipient), role=WRITER)
        old = back_up(repository, "web", chunks(1, 2))
        new = back_up(repository, "web", chunks(1, 3))
    with reopened(store, tmp_path, Key.identity(own)) as writer:
        assert not writer.can_read
        assert [found.changed for found in writer.differences(old, new)] == [CHUNK]
        with pytest.raises(KeyRequired, match="write backups but not read"):
            writer.source(new, "disk0")
        third = back_up(writer, "web", chunks(1, 4))
        assert writer.points() == [old, new, third]
    with reopened(store, tmp_path, identity()) as reader:
        assert content_of(reader, third) == chunks(1, 4)


def test_statistics(tmp_path: Path) -> None:
    with new_repository(tmp_path) as repository:
        empty = repository.statistics()
        assert (empty.instances, empty.points, empty.virtual, empty.packs) == (0, 0, 0, 0)
        back_up(repository, "web", chunks(1, None, 2))
        back_up(repository, "web", chunks(1, None, 2))
        back_up(repository, "db", chunks(1))
        found = repository.statistics()
        assert (found.instances, found.points) == (2, 3)
        assert found.virtual == 7 * CHUNK
        assert found.chunks == 4  # two chunks, two segments
        assert found.packs == 3
        assert found.stored == sum(info.size for info in repository.store.list(f"{ENGINE}/packs"))
        assert 2 * CHUNK < found.stored < 3 * CHUNK
        assert found.cache > 0


def test_a_disk_that_is_not_there(tmp_path: Path) -> None:
    with new_repository(tmp_path) as repository:
        point = back_up(repository, "web", {"vda": chunks(1), "vdb": chunks(2)})
        with pytest.raises(PointNotFound, match="no disk vdc") as caught:
            repository.source(point, "vdc")
        assert "vda, vdb" in caught.value.hint


def test_disks_without_bytes(tmp_path: Path) -> None:
    with new_repository(tmp_path) as repository:
        point = back_up(repository, "web", {"none": b"", "zero": bytes(3 * CHUNK + 1)})
        assert content_of(repository, point, "none") == b""
        assert content_of(repository, point, "zero") == bytes(3 * CHUNK + 1)
        assert repository.statistics().packs == 0
        assert repository.verify(None, VerifyLevel.CONTENT).ok


# -- keys


def test_keys_come_and_go(tmp_path: Path) -> None:
    store = MemoryStore()
    clock = Clock()
    own, recipient = generate_identity()
    with new_repository(
        tmp_path, store, protect=Protect.recipient(RECIPIENT), clock=clock
    ) as repository:
        (first,) = repository.keys()
        clock.pass_(days=1)
        added = repository.add_key(Protect.recipient(recipient), label="safe")
        assert repository.keys() == [first, added]
        assert (added.role, added.method, added.label) == ("reader", "recipient", "safe")
        point = back_up(repository, "web", chunks(1))
        assert repository.remove_key(first.id) == first
    with pytest.raises(KeyRequired):
        reopened(store, tmp_path, identity())
    with reopened(store, tmp_path, Key.identity(own)) as other:
        assert content_of(other, point) == chunks(1)


def test_the_last_reader_stays(tmp_path: Path) -> None:
    with encrypted_repository(tmp_path) as repository:
        back_up(repository, "web", chunks(1))
        repository.add_key(Protect.recipient(RECIPIENT), role=WRITER)
        reader, writer = repository.keys()
        with pytest.raises(Conflict, match="1 restore points are lost for good"):
            repository.remove_key(reader.id)
        repository.remove_key(writer.id)
        repository.remove_key(reader.id, force=True)
        assert repository.keys() == []
        with pytest.raises(KeyRequired, match="opens no key slot") as caught:
            reopened(repository.store, tmp_path, identity())
        assert "Slots: none" in caught.value.hint


def test_a_slot_that_is_not_there(tmp_path: Path) -> None:
    with encrypted_repository(tmp_path) as repository:
        with pytest.raises(PointNotFound, match="no key slot 01NONE") as caught:
            repository.remove_key("01NONE")
        assert "recipient 'first'" in caught.value.hint


def test_a_writer_adds_writers_only(tmp_path: Path) -> None:
    store = MemoryStore()
    with encrypted_repository(tmp_path, store) as repository:
        own, recipient = generate_identity()
        repository.add_key(Protect.recipient(recipient), role=WRITER)
    with reopened(store, tmp_path, Key.identity(own)) as writer:
        with pytest.raises(KeyRequired, match="only a reader"):
            writer.add_key(Protect.recipient(RECIPIENT))
        writer.add_key(Protect.recipient(RECIPIENT), role=WRITER)
        slots = writer.keys()
        assert [slot.role for slot in slots] == ["reader", "writer", "writer"]


def test_an_unencrypted_repository_has_no_keys(tmp_path: Path) -> None:
    with new_repository(tmp_path) as repository:
        assert repository.keys() == []
        with pytest.raises(Conflict, match="no keys"):
            repository.add_key(Protect.recipient(RECIPIENT))
    with reopened(repository.store, tmp_path, Key.identity(IDENTITY)) as other:
        assert other.can_read  # a key that is not needed does no harm


def test_closing_twice(tmp_path: Path) -> None:
    repository = new_repository(tmp_path)
    repository.statistics()
    repository.close()
    repository.close()
