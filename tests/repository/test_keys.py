from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypersdk.model.errors import Damaged, InvalidInput, KeyRequired
from hypersdk.repository.format import Kind, dump, wrap
from hypersdk.repository.keys import (
    READER,
    WRITER,
    Key,
    KeyRing,
    KeySlot,
    Protect,
    StoredSlot,
    decode_slot,
    encode_slot,
    generate_identity,
    make_slot,
    open_any,
    open_sealed,
    seal_to,
)
from tests.repository.examples import IDENTITY, MOMENT, RECIPIENT, flip, noise

RING = KeyRing.generate()
REPOSITORY = b"r" * 16


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "key"
    path.write_bytes(noise(32))
    return path


def slot(protect: Protect, role: str = READER, ring: KeyRing = RING) -> StoredSlot:
    return make_slot(ring, KeySlot("01SLOT", role, protect.method, "", MOMENT), protect, REPOSITORY)


def pairs(key_file: Path) -> list[tuple[Protect, Key]]:
    return [
        (Protect.passphrase("Grüße"), Key.passphrase("Grüße")),
        (Protect.key_file(key_file), Key.file(key_file)),
        (Protect.recipient(RECIPIENT), Key.identity(IDENTITY)),
    ]


def test_each_key_opens_its_own_slot_only(key_file: Path) -> None:
    for protect, own in pairs(key_file):
        stored = slot(protect)
        assert stored.open(own, REPOSITORY) == RING
        for _, other in pairs(key_file):
            if other.method != own.method:
                assert stored.open(other, REPOSITORY) is None


def test_a_wrong_key_of_the_same_method(tmp_path: Path, key_file: Path) -> None:
    (tmp_path / "other").write_bytes(noise(32, seed=5))
    wrong = [
        Key.passphrase("Gruesse"),
        Key.file(tmp_path / "other"),
        Key.identity(generate_identity()[0]),
    ]
    for (protect, _), key in zip(pairs(key_file), wrong, strict=True):
        assert slot(protect).open(key, REPOSITORY) is None


def test_a_writer_slot_holds_no_private_key() -> None:
    ring = slot(Protect.recipient(RECIPIENT), WRITER).open(Key.identity(IDENTITY), REPOSITORY)
    assert ring == KeyRing(RING.secret, None)
    with pytest.raises(KeyRequired, match="write but not read"):
        _ = ring.public_key


def test_a_writer_cannot_make_a_reader() -> None:
    with pytest.raises(KeyRequired, match="only a reader"):
        slot(Protect.recipient(RECIPIENT), READER, RING.for_writer())
    again = slot(Protect.recipient(RECIPIENT), WRITER, RING.for_writer())
    assert again.open(Key.identity(IDENTITY), REPOSITORY) == RING.for_writer()


@pytest.mark.parametrize("method", [1, 2], ids=["keyfile", "recipient"])
def test_a_slot_is_bound_to_its_id_role_and_repository(method: int, key_file: Path) -> None:
    protect, key = pairs(key_file)[method]
    stored = slot(protect)
    assert stored.open(key, b"s" * 16) is None
    for other in (replace(stored.slot, id="02SLOT"), replace(stored.slot, role=WRITER)):
        assert replace(stored, slot=other).open(key, REPOSITORY) is None
    for position in range(len(stored.wrapped)):
        assert replace(stored, wrapped=flip(stored.wrapped, position)).open(key, REPOSITORY) is None


def test_slots_survive_the_store() -> None:
    stored = slot(Protect.recipient(RECIPIENT))
    assert decode_slot("keys/1", encode_slot("keys/1", stored)) == stored
    with pytest.raises(Damaged, match="keys/2"):
        decode_slot("keys/2", encode_slot("keys/1", stored))


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        {"id": "1"},
        {**dict.fromkeys(("id", "role", "method", "label"), "x"), "created": "yesterday"},
        {
            **dict.fromkeys(("id", "role", "method", "label"), "x"),
            "created": MOMENT.isoformat(),
            "wrapped": 5,
            "salt": bytes(16),
        },
        {
            **dict.fromkeys(("id", "role", "label"), "x"),
            "method": "passphrase",
            "created": MOMENT.isoformat(),
            "wrapped": bytes(80),
            "salt": b"short",
        },
    ],
)
def test_an_object_that_is_no_slot(body: object) -> None:
    """Anyone who can write the storage can put one there: it must not keep the others out."""
    with pytest.raises(Damaged, match="no key slot"):
        decode_slot("keys/1", wrap(Kind.KEY_SLOT, "keys/1", dump(body), None))


def test_the_first_slot_that_opens_counts_readers_first(key_file: Path) -> None:
    writer = slot(Protect.key_file(key_file), WRITER)
    reader = slot(Protect.key_file(key_file), READER)
    assert open_any([writer, reader], Key.file(key_file), REPOSITORY) == RING
    assert open_any([writer], Key.file(key_file), REPOSITORY) == RING.for_writer()
    assert open_any([reader], Key.identity(IDENTITY), REPOSITORY) is None


def test_purposes_and_salts_give_different_keys() -> None:
    keys = {RING.derive(p, s) for p in ("chunk id", "segment id") for s in (b"", b"salt")}
    assert len(keys) == 4
    assert KeyRing.generate().derive("chunk id") not in keys


@given(st.binary(max_size=100), st.binary(max_size=20))
def test_sealing(data: bytes, purpose: bytes) -> None:
    sealed = seal_to(RING.public_key, data, purpose)
    assert RING.private_key is not None
    assert len(sealed) == len(data) + 48
    assert open_sealed(RING.private_key, sealed, purpose) == data
    assert open_sealed(RING.private_key, sealed, purpose + b"x") is None
    assert open_sealed(flip(RING.private_key, 5), sealed, purpose) is None


@pytest.mark.parametrize("sealed", [b"", b"short", bytes(47), bytes(48), bytes(80)])
def test_what_was_never_sealed(sealed: bytes) -> None:
    assert open_sealed(bytes(32), sealed, b"") is None


def test_secrets_do_not_show() -> None:
    for secret in (RING, Key.passphrase("visible?"), Protect.passphrase("visible?")):
        assert "visible" not in repr(secret)
        assert RING.secret.hex() not in repr(secret)
        assert repr(RING.secret)[2:-1] not in repr(secret)


def test_identities_come_as_text_or_file(tmp_path: Path) -> None:
    (tmp_path / "identity").write_text(IDENTITY + "\n")
    assert Key.identity(tmp_path / "identity") == Key.identity(f" {IDENTITY}\n")


@pytest.mark.parametrize(
    "text", ["", "nothing", RECIPIENT, IDENTITY[:-1], IDENTITY + "a", IDENTITY[:-1] + "1", "ü"]
)
def test_no_identity(text: str) -> None:
    with pytest.raises(InvalidInput):
        Key.identity(text)


@pytest.mark.parametrize("text", ["", IDENTITY, RECIPIENT[:-2], RECIPIENT.replace("-", "_")])
def test_no_recipient(text: str) -> None:
    with pytest.raises(InvalidInput, match="hypersdk-recipient"):
        Protect.recipient(text)


def test_no_key_file(tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(bytes(31))
    for name, problem in [("missing", "No such file"), ("short", "31 bytes"), ("", "directory")]:
        with pytest.raises(InvalidInput, match=problem) as caught:
            Key.file(tmp_path / name)
        assert "head -c 32" in caught.value.hint


def test_an_empty_passphrase_is_none() -> None:
    for make in (Key.passphrase, Protect.passphrase):
        with pytest.raises(InvalidInput):
            make("")
