"""Wrong keys, revoked keys, writers' keys and no key: what each can do, and what each is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from hypersdk.model.errors import Conflict, Damaged, KeyRequired
from hypersdk.model.instances import Definition
from hypersdk.model.points import VerifyLevel
from hypersdk.repository.ciphers import aes_cipher
from hypersdk.repository.configuration import add_slot
from hypersdk.repository.format import (
    Kind,
    PackKind,
    Protection,
    blob_nonce,
    dump,
    load,
    unwrap,
    wrap,
)
from hypersdk.repository.keys import (
    READER,
    WRITER,
    Key,
    KeyRing,
    KeySlot,
    Protect,
    generate_identity,
    make_slot,
    open_sealed,
)
from hypersdk.repository.layout import CONFIG, KEYS, pack_key
from hypersdk.repository.packs import PackFooter, read_footer
from hypersdk.repository.repository import Repository
from hypersdk.repository.store.faults import FaultStore
from tests.repository.examples import IDENTITY, RECIPIENT, back_up
from tests.repository.lab import NO_GRACE, Place, disk_of

WRITER_IDENTITY, WRITER_RECIPIENT = generate_identity()
DISK = disk_of(100)


@pytest.fixture
def place(tmp_path: Path, small_packs: None) -> Place:
    """One reader, one writer, one point."""
    place = Place(tmp_path, Key.identity(IDENTITY))
    place.init(Protect.recipient(RECIPIENT))
    with place.open() as repository:
        repository.add_key(Protect.recipient(WRITER_RECIPIENT), role=WRITER, label="host")
    place.back_up("web", DISK)
    return place


def key_file(folder: Path, content: bytes) -> Path:
    path = folder / "key"
    path.write_bytes(content)
    return path


def wrong_keys(folder: Path) -> list[Key]:
    return [
        Key.passphrase("guess"),
        Key.file(key_file(folder, bytes(32))),
        Key.identity(generate_identity()[0]),
    ]


def test_a_wrong_key_is_refused_and_told_what_there_is(place: Place, tmp_path: Path) -> None:
    with place.open() as repository:
        repository.add_key(Protect.passphrase("right"), label="desk")
        repository.add_key(Protect.key_file(key_file(tmp_path, b"k" * 32)), label="usb")
    for key in wrong_keys(tmp_path):
        with pytest.raises(KeyRequired, match=f"this {key.method} opens no key slot") as caught:
            Repository.open(place.store, key)
        hint = caught.value.hint
        for slot in ("passphrase 'desk' (reader", "keyfile 'usb' (reader", "recipient 'host' (wri"):
            assert slot in hint
        assert "no restore point can be restored" in hint
    for key in (Key.passphrase("right"), Key.file(key_file(tmp_path, b"k" * 32))):
        place.key = key
        place.check()


def test_a_revoked_slot_opens_nothing(place: Place) -> None:
    identity, recipient = generate_identity()
    with place.open() as repository:
        slot = repository.add_key(Protect.recipient(recipient), role=READER)
    Repository.open(place.store, Key.identity(identity)).close()
    with place.open() as repository:
        repository.remove_key(slot.id)
    with pytest.raises(KeyRequired):
        Repository.open(place.store, Key.identity(identity))
    place.check()


def test_the_last_reader_is_not_removed_by_mistake(place: Place) -> None:
    with place.open() as repository:
        slots = repository.keys()
        (slot,) = [slot for slot in slots if slot.role == READER]
        with pytest.raises(Conflict, match="1 restore points are lost for good"):
            repository.remove_key(slot.id)
        repository.remove_key(slot.id, force=True)
    with pytest.raises(KeyRequired) as caught:
        place.open()
    assert "recipient 'host' (writer" in caught.value.hint


def test_with_no_slot_left_the_loss_is_named(place: Place) -> None:
    for key in place.keys(KEYS):
        place.store.delete(key)
    with pytest.raises(KeyRequired) as caught:
        place.open()
    assert "Slots: none. Without a key of a reader slot no restore point" in caught.value.hint


def test_a_damaged_slot_leaves_the_others(place: Place) -> None:
    identity, recipient = generate_identity()
    with place.open() as repository:
        slot = repository.add_key(Protect.recipient(recipient))
    FaultStore(place.store).flip(f"{KEYS}/{slot.id}", 444)
    place_key = place.key
    with pytest.raises(KeyRequired):
        Repository.open(place.store, Key.identity(identity))
    place.key = place_key
    with place.open() as repository:
        assert repository.points()


def test_a_writers_key_writes_and_tidies_but_does_not_read(place: Place) -> None:
    place.key, reader = Key.identity(WRITER_IDENTITY), place.key
    with place.open() as host:
        assert not host.can_read
        (old,) = host.points()
        point = back_up(
            host, "db", bytes(range(256)) * 512, definition=Definition("mock-json", b"secret")
        )
        for read in (
            lambda: host.source(old, "vda"),
            lambda: host.source(point, "disk0"),
            lambda: host.definition(point),
            lambda: host.verify(None, VerifyLevel.CONTENT),
            lambda: host.add_key(Protect.recipient(RECIPIENT), role=READER),
        ):
            with pytest.raises(KeyRequired):
                read()
        assert host.verify(None, VerifyLevel.STORED).ok
        assert host.differences(old, old)
        host.recover()
        host.collect(NO_GRACE)
        assert host.statistics().points == 2
    place.key = reader
    place.check()
    with place.open() as repository:
        assert repository.definition(point) == Definition("mock-json", b"secret")


def test_the_bytes_of_a_writers_ring_open_no_data(place: Place) -> None:
    """Whatever is tried with the only secret that such a host has."""
    with Repository.open(place.store, Key.identity(WRITER_IDENTITY)) as host:
        ring, vault = host.vault.ring, host.vault
        footers = data_footers(place, host)
        assert ring.private_key is None
        assert len(footers) >= 3
        purposes = ("chunk id", "segment id", "metadata", "configuration", "map pack", "data pack")
        for key, footer in footers:
            (group,) = footer.groups
            assert group.protection is Protection.SEALED
            with pytest.raises(KeyRequired):
                vault.open_group(group)
            secrets = [ring.secret, *(ring.derive(purpose) for purpose in purposes)]
            secrets += [ring.derive(purpose, group.salt) for purpose in purposes]
            info = b"hypersdk pack" + vault.repository_id + group.salt
            blobs = place.store.get(key)
            for secret in secrets:
                assert open_sealed(secret, group.sealed, info) is None
                for entry in footer.entries:
                    blob = blobs[entry.offset : entry.offset + entry.stored_length]
                    aad = entry.context(vault.repository_id, group.salt)
                    assert aes_cipher(secret).open(blob_nonce(entry.ordinal), blob, aad) is None


def data_footers(place: Place, host: Repository) -> list[tuple[str, PackFooter]]:
    found = []
    for name in place.packs():
        size = place.store.stat(pack_key(name)).size
        footer = read_footer(place.store, name, size, host.vault.context)
        if footer.kind is PackKind.DATA:
            found.append((pack_key(name), footer))
    return found


def test_without_a_key_names_and_stored_bytes_can_be_looked_at(place: Place) -> None:
    place.key = None
    with place.open() as repository:
        assert repository.locked
        (entry,) = repository.entries()
        assert entry.key.startswith("web/")
        slots = repository.keys()
        assert [slot.role for slot in slots] == [READER, WRITER]
        assert repository.verify(None, VerifyLevel.STORED).ok
        for work in (
            repository.points,
            repository.write,
            repository.statistics,
            repository.recover,
            lambda: repository.collect(NO_GRACE),
            lambda: repository.verify(None, VerifyLevel.CONTENT),
        ):
            with pytest.raises(KeyRequired) as caught:
                work()
            assert caught.value.hint
    key = pack_key(min(place.packs()))
    FaultStore(place.store).flip(key, 5)
    with place.open() as repository:
        assert [damage.object for damage in repository.verify(None, VerifyLevel.STORED).damage] == [
            key
        ]


def test_nobody_without_the_keys_can_change_the_configuration(place: Place) -> None:
    """Who swaps the public key would have all new backups sealed to himself."""
    stranger = KeyRing.generate()
    body = load(CONFIG, unwrap(Kind.CONFIG, CONFIG, place.store.get(CONFIG), None))
    body["public_key"] = stranger.public_key
    FaultStore(place.store).replace(CONFIG, wrap(Kind.CONFIG, CONFIG, dump(body), None))
    for identity in (IDENTITY, WRITER_IDENTITY):
        with pytest.raises(Damaged, match="altered by somebody without"):
            Repository.open(place.store, Key.identity(identity))


def test_a_strangers_slot_gives_nobody_the_wrong_keys(place: Place) -> None:
    """Sealing to a public recipient is possible for all; it does not open this repository."""
    stranger = KeyRing.generate()
    with place.open() as repository:
        repository_id = repository.settings.repository_id
        slot = KeySlot("0" * 26, READER, "recipient", "", repository.clock())
    stored = make_slot(stranger, slot, Protect.recipient(RECIPIENT), repository_id)

    add_slot(place.store, stored)
    with pytest.raises(Damaged, match="altered"):
        place.open()
