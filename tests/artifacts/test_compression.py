"""What is packed is what the usual programs unpack, and the other way round."""

from __future__ import annotations

import contextlib
import io
import random
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypersdk.artifacts.compression import DEFAULT_LEVELS, LEVELS, Compression, codec_of
from hypersdk.artifacts.unpacking import Bounds, UnpackedStream
from hypersdk.model.errors import InvalidInput
from tests.components import require

CONTENT = random.Random(1).randbytes(300_000) + bytes(2 << 20) + b"text " * 100_000
PROGRAMS = {"gzip": "gzip", "zstd": "zstd", "lz4": "lz4"}


def packed(content: bytes, compression: Compression, step: int = 100_000) -> bytes:
    file = io.BytesIO()
    with compression.output(file) as output:
        for at in range(0, len(content), step):
            output.write(content[at : at + step])
    assert (output.taken, output.given) == (len(content), len(file.getvalue()))
    return file.getvalue()


def unpacked(data: bytes, codec: str, size: int = 1 << 30) -> bytes:
    stream = UnpackedStream(io.BytesIO(data), codec, Bounds(size))
    return b"".join(iter(lambda: stream.read(70_000), b""))


@pytest.mark.parametrize("codec", LEVELS)
def test_every_level_comes_back(codec: str) -> None:
    for level in LEVELS[codec]:
        data = packed(CONTENT, Compression(codec, level))
        assert len(data) < len(CONTENT) / 4
        assert unpacked(data, codec) == CONTENT


@pytest.mark.parametrize("codec", LEVELS)
def test_the_usual_programs_read_it_and_are_read(codec: str) -> None:
    require(PROGRAMS[codec])
    data = packed(CONTENT, Compression(codec))
    run = [PROGRAMS[codec], "-d", "-c"]
    assert subprocess.run(run, input=data, capture_output=True, check=True).stdout == CONTENT
    run = [PROGRAMS[codec], "-c"]
    theirs = subprocess.run(run, input=CONTENT, capture_output=True, check=True).stdout
    assert unpacked(theirs, codec) == CONTENT


@pytest.mark.parametrize("codec", LEVELS)
@given(st.binary(max_size=3000), st.integers(1, 4000))
def test_any_content_comes_back(codec: str, content: bytes, step: int) -> None:
    assert unpacked(packed(content, Compression(codec), step), codec) == content


def test_levels_out_of_range_are_refused() -> None:
    for codec, levels in LEVELS.items():
        for level in (-1, levels[-1] + 1):
            with pytest.raises(InvalidInput, match="has no level") as caught:
                Compression(codec, level)
            assert str(levels[-1]) in caught.value.hint


def test_a_misspelt_codec_is_helped() -> None:
    with pytest.raises(InvalidInput) as caught:
        Compression("zst")
    assert "zstd" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("zstd:9", Compression("zstd", 9)),
        ("gzip", Compression("gzip")),
        ("LZ4:12", Compression("lz4", 12)),
    ],
)
def test_text_is_read(text: str, expected: Compression) -> None:
    assert Compression.parse(text) == expected
    assert expected.level or DEFAULT_LEVELS[expected.codec]
    assert Compression.parse(str(expected)) == expected


@pytest.mark.parametrize("text", ["zstd:", "zstd:0", "zstd:x", "zstd:-1", "zip", ""])
def test_text_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        Compression.parse(text)


def test_the_name_says_what_it_is() -> None:
    assert [codec_of(f"disk.raw{Compression(codec).suffix.upper()}") for codec in LEVELS] == [
        *LEVELS
    ]
    assert codec_of("disk.raw") == ""


def test_an_error_within_writes_no_end() -> None:
    file = io.BytesIO()
    with contextlib.suppress(ZeroDivisionError), Compression("gzip").output(file) as output:
        output.write(CONTENT)
        raise ZeroDivisionError
    with pytest.raises(Exception, match="ends before its end"):
        unpacked(file.getvalue(), "gzip")
