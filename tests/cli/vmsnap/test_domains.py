from __future__ import annotations

import pytest

from hypersdk.cli.vmsnap.domains import matching

THERE = ["db", "my vm", "web-1", "web-2", "web[1]", "a,b", "a.b", "ünï"]


@pytest.mark.parametrize(
    ("patterns", "found", "unknown"),
    [
        (["web-1"], ["web-1"], []),
        (["web-1,db"], ["web-1", "db"], []),
        (["web-1, db ,"], ["web-1", "db"], []),
        (["db", "web-1"], ["db", "web-1"], []),
        (["db,db", "d?"], ["db"], []),
        (["*"], THERE, []),
        (["web-?"], ["web-1", "web-2"], []),
        (["web-?,web-1"], ["web-1", "web-2"], []),
        (["web[1]"], ["web[1]"], []),
        (["web[*"], ["web[1]"], []),
        (["a.b"], ["a.b"], []),
        (["a?b"], ["a,b", "a.b"], []),
        (["a,b"], ["a,b"], []),
        (["my vm"], ["my vm"], []),
        (["ü*"], ["ünï"], []),
        (["nope,db,x*"], ["db"], ["nope", "x*"]),
        (["DB"], [], ["DB"]),
        ([","], [], []),
    ],
)
def test_what_words_mean(patterns: list[str], found: list[str], unknown: list[str]) -> None:
    assert matching(patterns, THERE) == (found, unknown)


def test_a_number_is_a_name() -> None:
    assert matching(["123"], ["123"]) == (["123"], [])
