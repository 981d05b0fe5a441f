"""Damage is found, named, and made good by the next backup; nothing is silently wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hypersdk.model.errors import Damaged, HyperSDKError
from hypersdk.model.points import Damage, RestorePoint, VerifyLevel
from hypersdk.repository.format import CHECKSUM_SIZE, PACK_TRAILER, SEGMENT_CHUNKS, PackKind
from hypersdk.repository.keys import Key, Protect
from hypersdk.repository.layout import (
    CONFIG,
    DAMAGE,
    INDEX,
    KEYS,
    LEASES,
    PRUNED,
    pack_key,
)
from hypersdk.repository.notes import DamageNote, condemn, note_damage, read_damage
from hypersdk.repository.packs import PackEntry, read_footer
from hypersdk.repository.store.faults import FaultStore
from tests.repository.examples import CHUNK, IDENTITY, RECIPIENT
from tests.repository.lab import (
    NO_GRACE,
    Place,
    assert_restores,
    disk_of,
)

FIRST = disk_of(100)
#: The same but for one chunk.
SECOND = {**FIRST, 0: 200}
#: Whose damage the tests look at: not touched by the second backup.
VICTIM = SEGMENT_CHUNKS + 3


@pytest.fixture(params=[False, True], ids=["unencrypted", "encrypted"])
def place(tmp_path: Path, request: pytest.FixtureRequest, small_packs: None) -> Place:
    """Two points of an instance, the second an incremental."""
    place = Place(tmp_path, Key.identity(IDENTITY) if request.param else None)
    place.init(Protect.recipient(RECIPIENT) if request.param else None)
    place.back_up("web", FIRST)
    place.clock.pass_(minutes=1)
    place.back_up("web", SECOND, {0})
    place.clock.pass_(minutes=1)
    return place


def faults(place: Place) -> FaultStore:
    return FaultStore(place.store)


def packs_of(place: Place, kind: PackKind) -> list[tuple[bytes, list[PackEntry]]]:
    """Packs of a kind with their entries."""
    with place.open() as repository:
        found = []
        for name in sorted(place.packs()):
            size = place.store.stat(pack_key(name)).size
            footer = read_footer(place.store, name, size, repository.vault.context)
            if footer.kind is kind:
                found.append((name, footer.entries))
        return found


def entry_of(place: Place, seed_place: int) -> tuple[bytes, PackEntry]:
    """Where the chunk at a place of the first point lies."""
    with place.open() as repository:
        point = repository.points("web")[0]
        identity = repository.source(point, "vda").map.id_at(seed_place)
    return next(
        (name, entry)
        for name, entries in packs_of(place, PackKind.DATA)
        for entry in entries
        if entry.id == identity
    )


def damage_victim(place: Place) -> tuple[bytes, PackEntry]:
    name, entry = entry_of(place, VICTIM)
    faults(place).flip(pack_key(name), (entry.offset + entry.stored_length // 2) * 8)
    return name, entry


def unreadable_points(place: Place) -> list[str]:
    """Instances' points that do not restore, by trying."""
    bad = []
    with place.open() as repository:
        for point in repository.all_points():
            try:
                assert_restores(repository, point, place.expected[point.id])
            except HyperSDKError:
                bad.append(point.id)
    return bad


# -- one bit in every kind of object


def one_lease(place: Place) -> str:
    with place.open() as repository:
        repository.write().__enter__()._lease.abandon()
    return place.keys(LEASES)[0]


def one_collection(place: Place) -> str:
    with place.open() as repository:
        return condemn(place.store, repository.vault.context, [bytes(32)])


def one_note(place: Place) -> str:
    with place.open() as repository:
        note_damage(place.store, repository.vault.context, bytes(range(32)), [bytes(32)])
    return place.keys(DAMAGE)[0]


def one_tombstone(place: Place) -> str:
    place.remove(min(place.points().values(), key=lambda point: point.key))
    return place.keys(PRUNED)[0]


KINDS: dict[str, Callable[[Place], str]] = {
    "key slot": lambda place: place.keys(KEYS)[0],
    "index run": lambda place: place.keys(INDEX)[0],
    "restore point": lambda place: place.keys("web")[0],
    "lease": one_lease,
    "collection": one_collection,
    "damage note": one_note,
    "tombstone": one_tombstone,
}


def some_bits(size: int) -> list[int]:
    """In every part of an envelope: its header, nonce, body, tag and checksum."""
    tag = size - CHECKSUM_SIZE - 1
    return [0, 4 * 8 + 1, 5 * 8 + 2, 10 * 8, size // 2 * 8, tag * 8 + 3, (size - 1) * 8 + 7]


@pytest.mark.parametrize("kind", KINDS)
def test_one_flipped_bit_in_an_object_is_named(place: Place, kind: str) -> None:
    if kind == "key slot" and place.key is None:
        pytest.skip("an unencrypted repository has no keys")
    key = KINDS[kind](place)
    # A host that knows the index already: it can verify although a run is damaged.
    place.verify(VerifyLevel.STORED)
    whole = place.store.get(key)
    for bit in some_bits(len(whole)):
        faults(place).flip(key, bit)
        report = _verify_without_key(place)
        assert key in {damage.object for damage in report}, bit
        if kind != "key slot":  # which opens nothing any more
            assert key in {damage.object for damage in place.verify().damage}, bit
        faults(place).replace(key, whole)
    assert place.verify(VerifyLevel.STORED).ok


def _verify_without_key(place: Place) -> tuple[Damage, ...]:
    key, place.key = place.key, None
    try:
        return place.verify(VerifyLevel.STORED).damage
    finally:
        place.key = key


def test_one_flipped_bit_in_the_configuration_is_named(place: Place) -> None:
    whole = place.store.get(CONFIG)
    for bit in some_bits(len(whole)):
        faults(place).flip(CONFIG, bit)
        with pytest.raises(HyperSDKError, match=CONFIG):
            place.open()
        faults(place).replace(CONFIG, whole)
    place.check()


@pytest.mark.parametrize("kind", list(PackKind))
@pytest.mark.parametrize("part", ["blob", "footer", "trailer"])
def test_one_flipped_bit_in_a_pack_is_named(place: Place, kind: PackKind, part: str) -> None:
    name, entries = packs_of(place, kind)[0]
    key = pack_key(name)
    whole = place.store.get(key)
    end = entries[-1].offset + entries[-1].stored_length
    trailer = len(whole) - PACK_TRAILER.size
    positions = {
        "blob": [0, entries[0].stored_length - 1, end - 1],
        "footer": [end, (end + trailer) // 2, trailer - 1],
        "trailer": [*range(trailer, len(whole), 5), len(whole) - 1],
    }
    for position in positions[part]:
        faults(place).flip(key, position * 8 + position % 8)
        for report in (_verify_without_key(place), place.verify(VerifyLevel.STORED).damage):
            assert key in {damage.object for damage in report}, position
        report = place.verify().damage
        assert key in {damage.object for damage in report}, position
        affected = {area.point for damage in report for area in damage.affected}
        assert affected >= set(unreadable_points(place)) > set()
        faults(place).replace(key, whole)
        assert place.verify().ok
        assert place.keys(DAMAGE) == []  # taken back


# -- what damage breaks, and how it heals


def test_a_damaged_chunk_is_named_with_all_that_it_breaks(place: Place) -> None:
    name, entry = damage_victim(place)
    (damage,) = place.verify().damage
    assert (damage.object, damage.offset, damage.length) == (
        pack_key(name),
        entry.offset,
        entry.stored_length,
    )
    assert damage.chunk == entry.id.hex()
    assert {(area.instance, area.disk, area.start, area.length) for area in damage.affected} == {
        ("web", "vda", VICTIM * CHUNK, CHUNK)
    }
    assert {area.point for area in damage.affected} == set(place.expected)
    assert sorted(unreadable_points(place)) == sorted(place.expected)
    with place.open() as repository:
        source = repository.source(repository.all_points()[0], "vda")
        with pytest.raises(Damaged, match=f"{pack_key(name)} at {entry.offset}"):
            source.readinto(VICTIM * CHUNK, memoryview(bytearray(CHUNK)))


@pytest.mark.parametrize("changed", [None, {1}], ids=["full", "incremental elsewhere"])
def test_the_next_backup_heals_old_points_too(place: Place, changed: set[int] | None) -> None:
    name, _ = damage_victim(place)
    assert not place.verify().ok
    place.back_up("web", {**SECOND, 1: 300}, changed)
    report = place.verify()
    assert report.ok, report.damage
    assert [damage.object for damage in report.harmless] == [pack_key(name)]
    place.check()
    place.clock.pass_(hours=7)
    place.collect(NO_GRACE)
    place.check()


@pytest.mark.parametrize("kind", list(PackKind))
@pytest.mark.parametrize("recover", [False, True])
@pytest.mark.parametrize("how", ["lost", "cut", "footer"])
def test_a_pack_that_is_gone_heals(place: Place, kind: PackKind, recover: bool, how: str) -> None:
    name, _ = packs_of(place, kind)[0]
    key = pack_key(name)
    whole = place.store.get(key)
    if how == "lost":
        faults(place).vanish(key)
    elif how == "cut":
        faults(place).replace(key, whole[: len(whole) // 2])
    else:
        faults(place).flip(key, (len(whole) - PACK_TRAILER.size - 5) * 8)
    if recover:
        with place.open() as repository:
            repository.recover()
    report = place.verify()
    broken = {area.point for damage in report.damage for area in damage.affected}
    assert broken == set(unreadable_points(place)) > set()
    for disk in list(place.expected.values()):
        place.back_up("again", disk)
    place.check()
    place.clock.pass_(hours=7)
    place.collect(NO_GRACE)
    place.check()


def test_an_incremental_reads_what_is_in_no_pack_any_more(place: Place) -> None:
    """After a recovery the index does not even know that there was a pack."""
    name, _ = entry_of(place, VICTIM)
    faults(place).vanish(pack_key(name))
    with place.open() as repository:
        repository.recover()
    assert not place.verify().ok
    assert [note.pack for note in _notes(place)] == [bytes(32)]
    place.back_up("web", {**SECOND, 1: 300}, {1})
    place.check()
    assert _notes(place) == []


def test_damage_of_a_chunk_with_another_copy_is_harmless(place: Place) -> None:
    name, _ = damage_victim(place)
    place.verify()
    place.back_up("copy", SECOND)
    (place_of_copy,) = {pack for pack, entry in _copies(place, VICTIM)} - {name}
    assert place.verify().ok
    faults(place).vanish(pack_key(place_of_copy))
    assert not place.verify().ok


def _copies(place: Place, seed_place: int) -> list[tuple[bytes, PackEntry]]:
    _, wanted = entry_of(place, seed_place)
    return [
        (name, entry)
        for name, entries in packs_of(place, PackKind.DATA)
        for entry in entries
        if entry.id == wanted.id
    ]


def test_verifying_one_point_takes_back_no_finding_about_others(place: Place) -> None:
    """The pack holds a damaged chunk of another point; this point's chunks in it are fine."""
    small = place.back_up("small", {1: FIRST[1]})
    name, entry = entry_of(place, 2)
    faults(place).flip(pack_key(name), entry.offset * 8)
    assert not place.verify().ok
    assert _notes(place)
    with place.open() as repository:
        assert repository.verify([small], VerifyLevel.CONTENT).ok
    assert _notes(place)


def _notes(place: Place) -> list[DamageNote]:
    with place.open() as repository:
        return read_damage(place.store, repository.vault.context)


# -- damage that stands in the way, and how to remove it


@pytest.mark.parametrize("kind", ["collection", "damage note"])
def test_a_note_that_cannot_be_read_stops_writers_until_recovery(place: Place, kind: str) -> None:
    key = KINDS[kind](place)
    faults(place).flip(key, 300)
    for work in (lambda: place.back_up("web", FIRST), lambda: place.collect(NO_GRACE)):
        with pytest.raises(Damaged, match=key) as caught:
            work()
        assert "recover" in caught.value.hint
    with place.open() as repository:
        assert list(repository.recover().unreadable) == [key]
    place.back_up("web", FIRST)
    place.collect(NO_GRACE)
    place.check()


def test_a_damaged_run_stops_a_new_host_until_recovery(place: Place) -> None:
    key = place.runs()[0]
    faults(place).flip(key, 999)
    with place.open(host="new") as repository, pytest.raises(Damaged, match=key) as caught:
        repository.verify(None, VerifyLevel.STORED)
    assert "recover" in caught.value.hint
    with place.open() as repository:
        repository.recover()
    place.check()


def test_a_damaged_point_stops_the_collector(place: Place) -> None:
    """What it needs is unknown."""
    key = place.keys("web")[0]
    faults(place).flip(key, 999)
    with pytest.raises(Damaged, match="nothing is collected"):
        place.collect(NO_GRACE)
    with place.open() as repository:
        repository.drop(key)
    place.collect(NO_GRACE)
    place.expected = {i: d for i, d in place.expected.items() if i in place.points()}
    assert len(place.expected) == 1
    place.check()  # also of the chain of points: the gap in it is accounted for


def test_a_point_that_somebody_else_forged_is_named(place: Place) -> None:
    """Whole by its checksum, but not written with the keys of this repository."""
    other = Place(place.caches / "other", place.key)
    other.init(Protect.recipient(RECIPIENT) if place.key else None)
    forged: RestorePoint = other.back_up("web", FIRST)
    place.store.put_if_absent(forged.key, other.store.get(forged.key))
    assert forged.key in {damage.object for damage in place.verify().damage}
    assert forged.id not in {point.id for point in _readable(place)}


def _readable(place: Place) -> list[RestorePoint]:
    with place.open() as repository:
        return repository.points()


def test_a_point_that_somebody_removed_is_missed(place: Place) -> None:
    faults(place).vanish(place.keys("web")[0])
    (damage,) = place.verify().damage
    assert damage.object == place.keys("web")[0]
    assert "retention did not remove it" in damage.problem
