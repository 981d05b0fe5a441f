"""Cursors."""

from __future__ import annotations

import pytest

from hypersdk.api.paging import cursor_at, number_in, part, text_in
from hypersdk.model.errors import InvalidInput


def test_they_come_back_as_they_were() -> None:
    assert number_in(cursor_at("jobs", 17), "jobs") == 17
    assert text_in(cursor_at("points", "ü/1"), "points") == "ü/1"
    assert number_in("", "jobs") is None
    assert text_in("", "points") is None


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "!!!!",
        "bm9uc2Vuc2U",
        cursor_at("logs", 3),
        cursor_at("jobs", "3"),
        "WyJqb2JzIixudWxsXQ",
    ],
)
def test_those_of_others_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        number_in(text, "jobs")
    assert caught.value.hint


def test_a_whole_list_in_parts() -> None:
    items = ["d", "b", "a", "c", "e"]
    seen: list[str] = []
    after: str | None = ""
    while after is not None:
        found, after = part(items, str, of="letters", limit=2, after=after)
        assert len(found) <= 2
        seen += found
    assert seen == sorted(items)
