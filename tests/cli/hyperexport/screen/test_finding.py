from __future__ import annotations

import time

import pytest

from hypersdk.cli.hyperexport.screen.finding import Finder
from tests.cli.hyperexport.screen.stage import row, rows


def finder(*names: str) -> Finder:
    made = Finder()
    made.add(row(name) for name in names)  # all of them in prod/web
    return made


def names(found: Finder, query: str) -> list[str]:
    return [each.row.instance.name for each in found.found(query)]


def test_without_a_query_all_as_they_arrived() -> None:
    assert names(finder("b", "a", "c"), "  ") == ["b", "a", "c"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("mail", ["mail-1"]),
        ("MAIL", ["mail-1"]),
        ("ml1", ["mail-1"]),
        ("1 mail", ["mail-1"]),
        ("prod mail", ["mail-1"]),
        ("liam", []),
        ("db 2", []),
    ],
)
def test_letters_in_their_order_and_every_word(query: str, expected: list[str]) -> None:
    assert names(finder("db-1", "mail-1"), query) == expected


def test_what_is_in_the_name_comes_before_what_is_in_the_folder() -> None:
    assert names(finder("db-1", "web-1"), "web") == ["web-1", "db-1"]


def test_the_letters_are_known() -> None:
    (found,) = finder("mail-1").found("ml")
    path = found.row.path
    assert "".join(path[place] for place in sorted(found.letters)) == "ml"
    assert path == "prod/web/mail-1"
    assert min(found.letters) == len("prod/web/")


def test_ten_thousand_in_the_time_of_a_keystroke() -> None:
    made = Finder()
    made.add(rows(10_000))
    began = time.perf_counter()
    assert len(made.found("web-0999")) > 0
    assert time.perf_counter() - began < 2  # measured: 0.06 s
    assert len(made) == len(made.rows) == 10_000
