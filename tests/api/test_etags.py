"""ETags."""

from __future__ import annotations

import asyncio

import pytest

from hypersdk.api.etags import _if_match, check, etag, same
from hypersdk.model.errors import InvalidInput, PreconditionFailed


def test_what_is_the_same() -> None:
    assert same('"3"', etag(3))
    assert same('W/"3"', etag(3))
    assert same('"1", "3"', etag(3))
    assert same("*", etag(3))
    assert not same('"4"', etag(3))


@pytest.mark.parametrize(("header", "seen"), [(None, None), ("*", None), ('"7"', 7), ('W/"7"', 7)])
def test_what_was_seen(header: str | None, seen: int | None) -> None:
    assert asyncio.run(_if_match(header)) == seen


@pytest.mark.parametrize("header", ["x", '"x"', "", '"-1"', '"' + "9" * 40 + '"'])
def test_what_is_no_tag_of_ours(header: str) -> None:
    with pytest.raises(InvalidInput):
        asyncio.run(_if_match(header))


def test_a_record_that_changed_meanwhile() -> None:
    check(None, 4, "it")
    check(4, 4, "it")
    with pytest.raises(PreconditionFailed):
        check(3, 4, "it")
