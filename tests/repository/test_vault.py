from __future__ import annotations

from dataclasses import replace

import pytest

from hypersdk.model.errors import KeyRequired
from hypersdk.repository.format import PackKind, Protection
from hypersdk.repository.keys import KeyRing
from hypersdk.repository.vault import Vault
from tests.repository.examples import flip

RING = KeyRing.generate()
REPOSITORY = b"r" * 16
READER = Vault(REPOSITORY, RING, RING.public_key, encrypted=True)
WRITER = Vault(REPOSITORY, RING.for_writer(), RING.public_key, encrypted=True)
CLEAR = Vault(REPOSITORY, RING.for_writer(), b"", encrypted=False)
LOCKED = Vault(REPOSITORY, None, RING.public_key, encrypted=True)
NONCE = bytes(12)


def test_what_each_may_do() -> None:
    assert [vault.can_read for vault in (READER, WRITER, CLEAR, LOCKED)] == [
        True, False, True, False,
    ]  # fmt: skip
    assert [vault.locked for vault in (READER, WRITER, CLEAR, LOCKED)] == [
        False, False, False, True,
    ]  # fmt: skip


def test_ids_are_keyed() -> None:
    other = KeyRing.generate()
    elsewhere = Vault(REPOSITORY, other, other.public_key, encrypted=True)
    assert READER.chunk_id(b"data") == WRITER.chunk_id(b"data")
    assert READER.chunk_id(b"data") != elsewhere.chunk_id(b"data")
    assert READER.chunk_id(b"data") != READER.segment_id(b"data")
    assert READER.identify(PackKind.DATA, b"data") == READER.chunk_id(b"data")
    assert READER.identify(PackKind.MAP, b"data") == READER.segment_id(b"data")


@pytest.mark.parametrize("kind", PackKind)
@pytest.mark.parametrize("vault", [READER, CLEAR], ids=["encrypted", "clear"])
def test_a_reader_opens_every_group(vault: Vault, kind: PackKind) -> None:
    group, cipher = vault.new_group(kind)
    sealed = cipher.seal(NONCE, b"data", b"")
    opened = vault.open_group(group)
    assert opened is not None
    assert opened.open(NONCE, sealed, b"") == b"data"


def test_a_writer_reads_maps_but_no_guest_data() -> None:
    group, cipher = WRITER.new_group(PackKind.MAP)
    opened = WRITER.open_group(group)
    assert opened is not None
    assert opened.open(NONCE, cipher.seal(NONCE, b"ids", b""), b"") == b"ids"
    group, _ = WRITER.new_group(PackKind.DATA)
    assert group.protection is Protection.SEALED
    with pytest.raises(KeyRequired, match="write backups but not read"):
        WRITER.open_group(group)


def test_no_two_groups_share_a_key() -> None:
    for vault in (READER, CLEAR):
        groups = [vault.new_group(kind)[0] for kind in (*PackKind, *PackKind)]
        assert len({group.salt for group in groups}) == 4
    (one, cipher), (_, other) = (READER.new_group(PackKind.DATA) for _ in range(2))
    assert cipher.seal(NONCE, b"data", b"") != other.seal(NONCE, b"data", b"")
    assert len(one.sealed) == 32 + 48


def test_an_altered_seal_does_not_open() -> None:
    group, _ = READER.new_group(PackKind.DATA)
    assert READER.open_group(replace(group, sealed=flip(group.sealed, 40))) is None
    assert READER.open_group(replace(group, salt=flip(group.salt, 0))) is None
    assert READER.open_group(replace(group, sealed=b"")) is None


def test_definitions_are_for_readers() -> None:
    sealed = WRITER.seal_definition(b"<domain/>")
    assert b"domain" not in sealed
    assert READER.open_definition(sealed) == b"<domain/>"
    assert READER.open_definition(flip(sealed, 3)) is None
    with pytest.raises(KeyRequired):
        WRITER.open_definition(sealed)
    assert CLEAR.open_definition(CLEAR.seal_definition(b"<domain/>")) == b"<domain/>"


def test_without_a_key_nothing_opens() -> None:
    for attempt in (
        lambda: LOCKED.context,
        lambda: LOCKED.chunk_id(b""),
        lambda: LOCKED.open_definition(b""),
        lambda: LOCKED.new_group(PackKind.MAP),
    ):
        with pytest.raises(KeyRequired, match="no key was given") as caught:
            attempt()
        assert "HYPERSDK_PASSPHRASE" in caught.value.hint
