"""The list of instances: only the lines in sight are drawn, whether there are ten or a million."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.events import Click
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from hypersdk.cli import words
from hypersdk.cli.hyperexport.screen.finding import Found
from hypersdk.cli.hyperexport.screen.port import Row
from hypersdk.cli.hyperexport.screen.shown import STATE_STYLES, printable

#: Columns: mark, name, state, size. The name gets what is left.
_MARK, _STATE, _SIZE = 4, 9, 11


class RowList(ScrollView, can_focus=True):
    """Rows with a cursor and marks. What is marked stays so while the list changes."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"rows--cursor", "rows--marked", "rows--letter"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", "Up", show=False),
        Binding("down", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home", "go(0)", "First", show=False),
        Binding("end", "go(-1)", "Last", show=False),
        Binding("space", "mark", "Choose"),
        Binding("a", "mark_all", "All"),
        Binding("n", "mark_none", "None"),
    ]

    class Highlighted(Message):
        """The cursor is on another row, or on none."""

        def __init__(self, row: Row | None) -> None:
            super().__init__()
            self.row = row

    class Marked(Message):
        """Other rows are marked than before."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._found: Sequence[Found] = ()
        self._cursor = 0
        #: Key → row, in the order in which they were marked.
        self._marked: dict[tuple[str, str], Row] = {}
        self._told: Row | None = None

    @property
    def marked(self) -> tuple[Row, ...]:
        return tuple(self._marked.values())

    @property
    def highlighted(self) -> Row | None:
        """The row under the cursor."""
        return self._found[self._cursor].row if self._cursor < len(self._found) else None

    def show_rows(self, found: Sequence[Found], *, top: bool) -> None:
        """Show these instead. ``top``: begin at the first one again; else stay where we are."""
        self._found = found
        self._cursor = 0 if top else min(self._cursor, max(len(found) - 1, 0))
        self.virtual_size = Size(self.scrollable_content_region.width, len(found))
        if top:
            self.scroll_to(y=0, animate=False)
        self.refresh()
        self._tell()

    def mark(self, rows: Iterable[Row]) -> None:
        """Mark these, besides those that are."""
        self._marked.update((row.key, row) for row in rows)
        self._remarked()

    def action_move(self, by: int) -> None:
        self._go(self._cursor + by)

    def action_page(self, by: int) -> None:
        self._go(self._cursor + by * max(self.scrollable_content_region.height - 1, 1))

    def action_go(self, to: int) -> None:
        self._go(to if to >= 0 else len(self._found) + to)

    def action_mark(self) -> None:
        row = self.highlighted
        if row is None:
            return
        if self._marked.pop(row.key, None) is None:
            self._marked[row.key] = row
        self._remarked()
        self._go(self._cursor + 1)

    def action_mark_all(self) -> None:
        self.mark(found.row for found in self._found)

    def action_mark_none(self) -> None:
        self._marked.clear()
        self._remarked()

    def on_click(self, event: Click) -> None:
        line = self.scroll_offset.y + event.y
        if line < len(self._found):
            self._go(line)
            if event.x < _MARK or event.chain == 2:
                self.action_mark()
                self._go(line)

    def on_resize(self) -> None:
        self.virtual_size = Size(self.scrollable_content_region.width, len(self._found))

    def _go(self, line: int) -> None:
        self._cursor = max(0, min(line, len(self._found) - 1))
        self.scroll_to_region(Region(0, self._cursor, 1, 1), animate=False)
        self.refresh()
        self._tell()

    def _tell(self) -> None:
        row = self.highlighted
        if row is not self._told:
            self._told = row
            self.post_message(self.Highlighted(row))

    def _remarked(self) -> None:
        self.refresh()
        self.post_message(self.Marked())

    def render_line(self, y: int) -> Strip:
        line = y + self.scroll_offset.y
        width = self.scrollable_content_region.width
        if line >= len(self._found):
            return Strip.blank(width, self.rich_style)
        style = self.rich_style
        found = self._found[line]
        if found.row.key in self._marked:
            style += self.get_component_rich_style("rows--marked")
        if line == self._cursor:
            style += self.get_component_rich_style("rows--cursor")
        letter = style + self.get_component_rich_style("rows--letter", partial=True)
        segments = list(self._segments(found, width, style, letter))
        return Strip(segments).adjust_cell_length(width, style)

    def _segments(self, found: Found, width: int, style: Style, letter: Style) -> Iterable[Segment]:
        row = found.row
        yield Segment(" ● " if row.key in self._marked else " ○ ", style)
        room = max(width - _MARK - _STATE - _SIZE, 8)
        yield from _name(found, room, style, letter)
        state = row.instance.state
        colour = Style.parse(STATE_STYLES.get(state, "dim"))
        yield Segment(f" {state.value:<{_STATE - 1}}", style + colour)
        yield Segment(f"{words.size(row.size) if row.size else '':>{_SIZE - 1}} ", style)


def _name(found: Found, room: int, style: Style, letter: Style) -> Iterable[Segment]:
    """The path, its end in sight when it is too long: names differ at their ends."""
    path = printable(found.row.path)
    cut = max(len(path) - room, 0)
    if cut:
        cut += 1
        yield Segment("…", style)
    folder = len(path) - len(found.row.instance.name)
    faint = style + Style(dim=True)
    for index in range(cut, len(path)):
        plain = faint if index < folder else style
        yield Segment(path[index], letter if index in found.letters else plain)
    shown = len(path) - cut + (1 if cut else 0)
    yield Segment(" " * (room - shown + 1), style)
