from __future__ import annotations

from datetime import UTC, datetime

import click
import pytest

from hypersdk import InvalidInput
from hypersdk.cli.parameters import DURATION, RATE, SIZE, Words, parse_moment, parse_tag


def test_values_are_parsed() -> None:
    assert SIZE.convert("1MiB", None, None) == 1 << 20
    assert RATE.convert("2MiB/s", None, None) == 2 << 20
    assert DURATION.convert("36h", None, None).total_seconds() == 36 * 3600
    assert parse_moment("2026-11-21T02:00") == datetime(2026, 11, 21, 2, tzinfo=UTC)
    assert parse_tag("site=lab=1") == ("site", "lab=1")


def test_a_wrong_value_says_how_to_write_it() -> None:
    with pytest.raises(click.BadParameter, match=r"'big' is not a size\. Write it like 64KiB"):
        SIZE.convert("big", None, None)
    with pytest.raises(InvalidInput, match="Write it like 2026"):
        parse_moment("yesterday")
    with pytest.raises(InvalidInput, match="Write it like --tag site=lab"):
        parse_tag("site")


def test_a_wrong_word_names_the_nearest() -> None:
    with pytest.raises(click.BadParameter, match=r"one of raw, qcow2\. Did you mean 'qcow2'\?"):
        Words(("raw", "qcow2")).convert("qcow", None, None)
