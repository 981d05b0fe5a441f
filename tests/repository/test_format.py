from __future__ import annotations

import os
import struct

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from hypersdk.model.errors import Damaged, FormatUnsupported
from hypersdk.repository.ciphers import aes_cipher, checksum_cipher
from hypersdk.repository.format import (
    ENVELOPE,
    Context,
    Kind,
    Protection,
    blob_nonce,
    check_envelope,
    dump,
    load,
    unwrap,
    wrap,
)
from tests.repository.examples import flip

ENCRYPTED = Context(b"r" * 16, aes_cipher(bytes(32)), Protection.METADATA)
CLEAR = Context(b"r" * 16, checksum_cipher(), Protection.NONE)

contexts = pytest.mark.parametrize("context", [ENCRYPTED, CLEAR, None], ids=["aes", "none", "open"])


def resealed(data: bytes, field: int, value: int | bytes) -> bytes:
    """An envelope with another field in its header and a checksum that fits."""
    header = list(ENVELOPE.unpack_from(data))
    header[field] = value
    whole = ENVELOPE.pack(*header) + data[ENVELOPE.size : -32]
    return whole + blake3(whole).digest()


@contexts
@given(body=st.binary(max_size=300), key=st.text(min_size=1, max_size=20))
def test_round_trip(context: Context | None, body: bytes, key: str) -> None:
    data = wrap(Kind.LEASE, key, body, context)
    assert check_envelope(key, data) is Kind.LEASE
    assert unwrap(Kind.LEASE, key, data, context) == body


@contexts
def test_every_flipped_bit_is_seen_without_a_key(context: Context | None) -> None:
    data = wrap(Kind.LEASE, "key", b"body", context)
    for position in range(len(data)):
        with pytest.raises(Damaged, match="object key"):
            check_envelope("key", flip(data, position))


@contexts
def test_every_shorter_object_is_seen_without_a_key(context: Context | None) -> None:
    data = wrap(Kind.LEASE, "key", b"body", context)
    for length in range(len(data)):
        with pytest.raises(Damaged, match="object key"):
            check_envelope("key", data[:length])
    with pytest.raises(Damaged):
        check_envelope("key", data + b"x")


@contexts
@pytest.mark.parametrize("field", range(7))
def test_a_header_that_was_altered_with_its_checksum(context: Context | None, field: int) -> None:
    data = wrap(Kind.LEASE, "key", b"body", context)
    others: list[int | bytes] = [b"HSDX", Kind.COLLECTION, 0, 2, 1, bytes(12), 1]
    with pytest.raises(Damaged):
        unwrap(Kind.LEASE, "key", resealed(data, field, others[field]), context)


def test_a_kind_that_does_not_exist() -> None:
    data = resealed(wrap(Kind.LEASE, "key", b"", None), 1, 77)
    with pytest.raises(Damaged, match="kind 77"):
        check_envelope("key", data)


def test_a_later_version_says_what_to_do() -> None:
    data = resealed(wrap(Kind.LEASE, "key", b"", None), 2, 2)
    with pytest.raises(FormatUnsupported, match="format 2") as caught:
        check_envelope("key", data)
    assert "newer" in caught.value.hint


def test_an_object_does_not_pass_for_another() -> None:
    data = wrap(Kind.LEASE, "key", b"body", ENCRYPTED)
    with pytest.raises(Damaged):
        unwrap(Kind.LEASE, "other key", data, ENCRYPTED)
    with pytest.raises(Damaged, match="not collection"):
        unwrap(Kind.COLLECTION, "key", data, ENCRYPTED)
    elsewhere = Context(b"s" * 16, ENCRYPTED.metadata, Protection.METADATA)
    with pytest.raises(Damaged):
        unwrap(Kind.LEASE, "key", data, elsewhere)


def test_unprotected_bytes_do_not_pass_in_an_encrypted_repository() -> None:
    forged = wrap(Kind.LEASE, "key", b"forged", CLEAR)
    with pytest.raises(Damaged, match="protection 0"):
        unwrap(Kind.LEASE, "key", forged, ENCRYPTED)


@given(st.binary(max_size=100))
def test_garbage_is_damage_and_nothing_else(data: bytes) -> None:
    with pytest.raises(Damaged):
        check_envelope("key", data)
    with pytest.raises(Damaged):
        check_envelope("key", data + blake3(data).digest())


@pytest.mark.parametrize("body", [b"", b"\xff", b"\x5f", b"\x81", b"\xa1\x01", b"\x62\xff\xff"])
def test_a_body_that_is_no_cbor(body: bytes) -> None:
    with pytest.raises(Damaged, match="object key"):
        load("key", body)


def test_cbor_is_deterministic() -> None:
    assert dump({"b": 1, "a": 2, "aa": 3}) == dump({"aa": 3, "a": 2, "b": 1})
    # RFC 8949, 4.2.1: keys in the order of their encodings.
    assert dump({"aa": 3, "b": 1}) == b"\xa2\x61b\x01\x62aa\x03"


def test_nonces_differ() -> None:
    nonces = {blob_nonce(ordinal) for ordinal in (0, 1, 255, 256, 8191, 2**32 - 1)}
    assert len(nonces) == 6
    assert {len(nonce) for nonce in nonces} == {12}
    with pytest.raises(OverflowError):
        blob_nonce(2**32)


def test_two_envelopes_of_the_same_body_differ() -> None:
    """Their nonces are random: the same nonce twice would break AES-GCM."""
    assert wrap(Kind.LEASE, "key", b"", ENCRYPTED) != wrap(Kind.LEASE, "key", b"", ENCRYPTED)


def test_structs_have_no_padding() -> None:
    assert struct.calcsize("<4sBBBB12sQ") == ENVELOPE.size == 28
    assert len(wrap(Kind.LEASE, "key", os.urandom(5), None)) == 28 + 5 + 16 + 32
