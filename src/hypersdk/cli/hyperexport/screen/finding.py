"""Fuzzy search over thousands of instances: a few µs each, so that every keystroke searches all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from textual.fuzzy import FuzzySearch

from hypersdk.cli.hyperexport.screen.port import Row

#: How much more a hit in the name counts than one that takes in the folder.
_NAME_WEIGHT = 3


@dataclass(frozen=True, slots=True)
class Found:
    """A row that fits, and where."""

    row: Row
    #: Places of the letters in the row's path that were searched for.
    letters: frozenset[int] = frozenset()


class Finder:
    """All rows that arrived, and those of them that fit."""

    def __init__(self) -> None:
        self._rows: list[Row] = []
        self._search = FuzzySearch(case_sensitive=False)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def rows(self) -> list[Row]:
        """All of them, as they arrived."""
        return self._rows

    def add(self, rows: Iterable[Row]) -> None:
        self._rows.extend(rows)

    def found(self, query: str) -> list[Found]:
        """Those that fit, the best first; without a query all of them, as they arrived.

        Every word must be found, its letters in their order but not next to each other.
        """
        words = query.split()
        if not words:
            return [Found(row) for row in self._rows]
        hits = [hit for row in self._rows if (hit := self._fits(row, words)) is not None]
        hits.sort(key=lambda hit: -hit[0])  # stable: equals stay as they arrived
        return [found for _, found in hits]

    def _fits(self, row: Row, words: list[str]) -> tuple[float, Found] | None:
        letters: set[int] = set()
        total = 0.0
        name = row.instance.name
        before = len(row.path) - len(name)
        for word in words:
            # What is in the name weighs more than what is in the folder.
            score, places = self._search.match(word, name)
            score *= _NAME_WEIGHT
            shift = before
            if score <= 0:
                score, places = self._search.match(word, row.path)
                shift = 0
            if score <= 0:
                return None
            total += score
            letters.update(place + shift for place in places)
        return total, Found(row, frozenset(letters))
