from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from hypersdk.repository.ciphers import Bytes
from hypersdk.repository.codec import compress, decompress_into
from hypersdk.repository.format import Codec
from tests.repository.examples import CHUNK, noise


def decompress(codec: int, payload: Bytes, length: int) -> bytes | None:
    """The bytes that a buffer of ``length`` bytes gets; None when they are refused."""
    buffer = bytearray(length)
    return bytes(buffer) if decompress_into(codec, payload, memoryview(buffer)) else None


@given(st.binary(max_size=1000) | st.builds(lambda b, n: b * n, st.binary(), st.integers(0, 50)))
def test_round_trip(data: bytes) -> None:
    codec, payload = compress(data)
    assert len(payload) <= len(data)
    assert decompress(codec, payload, len(data)) == data


def test_the_smaller_form_is_stored() -> None:
    assert compress(noise(CHUNK))[0] is Codec.RAW
    codec, payload = compress(b"text " * 1000)
    assert codec is Codec.ZSTD
    assert len(payload) < 100


@pytest.mark.parametrize("length", [0, 4, 6])
@pytest.mark.parametrize("codec", Codec)
def test_another_length_than_expected(codec: Codec, length: int) -> None:
    payload = zstandard.compress(b"12345") if codec is Codec.ZSTD else b"12345"
    assert decompress(codec, payload, 5) == b"12345"
    assert decompress(codec, payload, length) is None


def test_a_bomb_is_not_unpacked() -> None:
    bomb = zstandard.compress(bytes(1 << 28))
    assert len(bomb) < 1 << 20
    assert decompress(Codec.ZSTD, bomb, CHUNK) is None


@pytest.mark.parametrize("payload", [b"", b"(", b"no frame at all", zstandard.compress(b"x")[:-1]])
def test_no_frame(payload: bytes) -> None:
    assert decompress(Codec.ZSTD, payload, 1) is None


def test_a_frame_without_content_size_is_refused() -> None:
    frame = zstandard.ZstdCompressor(write_content_size=False).compress(b"12345")
    assert decompress(Codec.ZSTD, frame, 5) is None


def test_an_unknown_codec_is_refused() -> None:
    assert decompress(7, b"12345", 5) is None


def test_many_threads() -> None:
    chunks = [noise(100, seed) * 50 for seed in range(50)]

    def there_and_back(data: bytes) -> bytes | None:
        codec, payload = compress(data)
        return decompress(codec, payload, len(data))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(there_and_back, chunks)) == chunks
