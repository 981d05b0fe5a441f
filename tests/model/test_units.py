from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypersdk.model.errors import InvalidInput
from hypersdk.model.units import (
    GIB,
    KIB,
    MIB,
    TIB,
    format_size,
    parse_duration,
    parse_rate,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1", 1),
        ("512B", 512),
        ("1K", KIB),
        ("1KB", KIB),
        ("64KiB", 64 * KIB),
        ("64kib", 64 * KIB),
        ("1MiB", MIB),
        (" 1.5 GiB ", 3 * GIB // 2),
        ("2T", 2 * TIB),
        ("1P", 1 << 50),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", " ", "MiB", "-1", "1 MiB 2", "1X", "1iB", "1,5M", "0x10", "1e6", "inf"]
)
def test_no_size(text: str) -> None:
    with pytest.raises(InvalidInput, match="is not a size") as caught:
        parse_size(text)
    assert "64KiB" in caught.value.hint


@given(st.integers(0, 1 << 62))
def test_a_size_in_bytes_is_exact(size: int) -> None:
    assert parse_size(str(size)) == size
    assert parse_size(f"{size}B") == size


@pytest.mark.parametrize(
    ("text", "rate"), [("100MiB/s", 100 * MIB), ("100MiB", 100 * MIB), ("1/s", 1), ("1.5K/s", 1536)]
)
def test_rates(text: str, rate: int) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["0", "0.5/s", "fast", "1MiB/h", "/s", ""])
def test_no_rate(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_rate(text)


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("0s", timedelta(0)),
        ("90s", timedelta(seconds=90)),
        ("1.5h", timedelta(minutes=90)),
        ("36h", timedelta(hours=36)),
        ("7d", timedelta(days=7)),
        ("2W", timedelta(days=14)),
        ("10m", timedelta(minutes=10)),
    ],
)
def test_durations(text: str, duration: timedelta) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize("text", ["", "7", "d", "-1d", "7 days", "1y", "1d2h", "9999999999999999w"])
def test_no_duration(text: str) -> None:
    with pytest.raises(InvalidInput, match="is not a duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (MIB - 1, "1.0 MiB"),
        (MIB, "1.0 MiB"),
        (5 * GIB // 2, "2.5 GiB"),
        (5000 * TIB, "5000.0 TiB"),
        (-1536, "-1.5 KiB"),
    ],
)
def test_sizes_for_people(size: int, text: str) -> None:
    assert format_size(size) == text


@given(st.integers(0, 1 << 50))
def test_a_size_for_people_is_near_the_size(size: int) -> None:
    assert abs(parse_size(format_size(size)) - size) <= max(1, size * 0.06)
