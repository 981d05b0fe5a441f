"""Tables: drawn for a terminal, aligned text for pipes and files."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text

_GAP = "  "
#: Least columns of text that is folded.
_FOLD_MIN = 16


@dataclass(frozen=True, slots=True)
class Column:
    """``right`` aligns numbers; ``fold`` may be broken over lines on a narrow terminal."""

    title: str
    right: bool = False
    fold: bool = False


def left(*titles: str) -> tuple[Column, ...]:
    """Columns of words."""
    return tuple(Column(title) for title in titles)


def right(*titles: str) -> tuple[Column, ...]:
    """Columns of numbers."""
    return tuple(Column(title, right=True) for title in titles)


class Table:
    """Rows of text under columns."""

    def __init__(self, columns: Iterable[Column], rows: Iterable[Sequence[str]] = ()) -> None:
        self._columns = tuple(columns)
        self._rows = [tuple(printable(cell) for cell in row) for row in rows]

    def add(self, *cells: str) -> None:
        self._rows.append(tuple(printable(cell) for cell in cells))

    def plain(self) -> str:
        """Aligned text without any drawing, two spaces between columns; stable for grep."""
        columns = range(len(self._columns))
        widths = {at: self._width(at) for at in columns}
        head = tuple(column.title for column in self._columns)
        return "\n".join(self._line(row, widths) for row in (head, *self._rows))

    def drawn(self, width: int) -> Text:
        """For a terminal of ``width`` columns.

        Nothing is cut off: an id is of no use without its end. Columns without content are left
        out, and columns that may be folded are; what is still too wide, the terminal wraps.
        """
        shown = [at for at in range(len(self._columns)) if any(row[at] for row in self._rows)]
        widths = {at: self._width(at) for at in shown}
        folds = [at for at in shown if self._columns[at].fold]
        excess = sum(widths.values()) + len(_GAP) * (len(shown) - 1) - width
        for _ in range(excess if folds else 0):
            widest = max(folds, key=lambda at: widths[at])
            widths[widest] -= widths[widest] > _FOLD_MIN
        text = Text()
        text.append(self._line(tuple(c.title for c in self._columns), widths), style="bold")
        rule = "─" * (sum(widths.values()) + len(_GAP) * (len(widths) - 1))
        text.append("\n" + rule, style="dim")
        for row in self._rows:
            for line in _folded(row, widths, folds):
                text.append("\n" + self._line(line, widths))
        return text

    def _line(self, row: Sequence[str], widths: Mapping[int, int]) -> str:
        cells = []
        for at, width in widths.items():
            space = " " * (width - cell_len(row[at]))
            cells.append(space + row[at] if self._columns[at].right else row[at] + space)
        return _GAP.join(cells).rstrip()

    def _width(self, at: int) -> int:
        cells = [self._columns[at].title, *(row[at] for row in self._rows)]
        return max(cell_len(cell) for cell in cells)


def _folded(
    row: Sequence[str], widths: Mapping[int, int], folds: Sequence[int]
) -> Iterator[Sequence[str]]:
    """The lines of one row."""
    parts = {at: textwrap.wrap(row[at], widths[at], break_on_hyphens=False) or [""] for at in folds}
    first = [parts[at][0] if at in parts else cell for at, cell in enumerate(row)]
    yield first
    for number in range(1, max(map(len, parts.values()), default=1)):
        yield [
            parts[at][number] if at in parts and number < len(parts[at]) else ""
            for at in range(len(row))
        ]


def printable(text: str) -> str:
    r"""``text`` with control characters shown as ``\x1b``: names of guests are not trusted."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "replace").decode() for c in text
    )
