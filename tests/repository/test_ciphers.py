from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypersdk.repository.ciphers import TAG_SIZE, Cipher, aes_cipher, checksum_cipher
from tests.repository.examples import flip

KEY = bytes(range(32))
NONCE = bytes(range(12))

ciphers = pytest.mark.parametrize(
    "cipher", [aes_cipher(KEY), checksum_cipher()], ids=["aes", "checksum"]
)


@ciphers
@given(data=st.binary(max_size=200), context=st.binary(max_size=50))
def test_what_was_sealed_opens(cipher: Cipher, data: bytes, context: bytes) -> None:
    sealed = cipher.seal(NONCE, data, context)
    assert len(sealed) == len(data) + TAG_SIZE
    assert cipher.open(NONCE, sealed, context) == data
    out = bytearray(len(data))
    assert cipher.open_into(NONCE, sealed, context, memoryview(out))
    assert out == data


@ciphers
@given(data=st.binary(max_size=40), context=st.binary(min_size=1, max_size=20), at=st.integers(0))
def test_no_changed_byte_opens(cipher: Cipher, data: bytes, context: bytes, at: int) -> None:
    sealed = cipher.seal(NONCE, data, context)
    assert cipher.open(NONCE, flip(sealed, at % len(sealed)), context) is None
    out = memoryview(bytearray(len(data)))
    assert not cipher.open_into(NONCE, flip(sealed, at % len(sealed)), context, out)
    assert cipher.open(NONCE, sealed, flip(context, at % len(context))) is None
    assert cipher.open(flip(NONCE, at % 12), sealed, context) is None


@ciphers
def test_bytes_do_not_move_between_context_and_data(cipher: Cipher) -> None:
    sealed = cipher.seal(NONCE, b"bc", b"a")
    assert cipher.open(NONCE, sealed[1:], b"ab") is None
    assert cipher.open(NONCE, b"a" + sealed, b"") is None


@ciphers
@pytest.mark.parametrize("length", range(TAG_SIZE))
def test_fewer_bytes_than_a_tag_do_not_open(cipher: Cipher, length: int) -> None:
    assert cipher.open(NONCE, bytes(length), b"") is None


@ciphers
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_sealing_into_a_buffer(cipher: Cipher, kind: type) -> None:
    buffer = bytearray(100)
    cipher.seal_into(NONCE, kind(b"data"), b"context", memoryview(buffer)[10 : 14 + TAG_SIZE])
    assert bytes(buffer[10 : 14 + TAG_SIZE]) == cipher.seal(NONCE, b"data", b"context")
    assert not any(buffer[:10])
    assert not any(buffer[14 + TAG_SIZE :])
    assert cipher.open(NONCE, memoryview(buffer)[10 : 14 + TAG_SIZE], b"context") == b"data"


def test_only_aes_hides_the_data() -> None:
    assert b"secret" in checksum_cipher().seal(NONCE, b"secret", b"")
    assert b"secret" not in aes_cipher(KEY).seal(NONCE, b"secret", b"")


def test_another_key_does_not_open() -> None:
    sealed = aes_cipher(KEY).seal(NONCE, b"data", b"")
    assert aes_cipher(flip(KEY, 0)).open(NONCE, sealed, b"") is None
