"""First step: which instances."""

from __future__ import annotations

import time
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.events import Key
from textual.message import Message
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Footer, Input, Static

from hypersdk import HyperSDKError
from hypersdk.cli import words
from hypersdk.cli.hyperexport.screen.background import Stopping, begin
from hypersdk.cli.hyperexport.screen.finding import Finder
from hypersdk.cli.hyperexport.screen.port import Page, Row, ScreenPort
from hypersdk.cli.hyperexport.screen.rows import RowList
from hypersdk.cli.hyperexport.screen.shown import details_text, listed_text
from hypersdk.model.details import InstanceDetails

#: Seconds that the cursor rests on a row before more is asked about it.
_REST = 0.15
#: Seconds between two drawings of the list while rows arrive.
_REDRAW = 0.1
_INTO_LIST = frozenset({"down", "up", "pagedown", "pageup"})


class Arrived(Message):
    """Some instances, from the thread that lists them."""

    def __init__(self, page: Page | None) -> None:
        """None: these were all."""
        super().__init__()
        self.page = page


class Detailed(Message):
    """What a hypervisor tells of an instance, or why it does not."""

    def __init__(self, row: Row, details: InstanceDetails | HyperSDKError) -> None:
        super().__init__()
        self.row = row
        self.details = details


class Search(Input):
    """Leaves the question mark to help: no name has one."""

    def check_consume_key(self, key: str, character: str | None) -> bool:
        return character != "?" and super().check_consume_key(key, character)


class ChoosingScreen(Screen[None]):
    """Search, mark, look at details."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "search", "Search"),
        Binding("f2,enter", "next", "Continue", key_display="enter"),
        Binding("escape", "clear", "Clear search", show=False),
    ]

    class Chosen(Message):
        """The person goes on with these."""

        def __init__(self, rows: tuple[Row, ...]) -> None:
            super().__init__()
            self.rows = rows

    def __init__(self, port: ScreenPort) -> None:
        super().__init__()
        self._port = port
        self._finder = Finder()
        self._stopping = Stopping()
        self._listing = True
        self._troubles: list[str] = []
        self._known: dict[tuple[str, str], InstanceDetails] = {}
        self._rest: Timer | None = None
        self._redraw: Timer | None = None
        #: Seconds from the beginning until the first rows were there.
        self.first_rows: float | None = None
        self._began = time.monotonic()

    def compose(self) -> ComposeResult:
        yield Static(id="title", classes="title")
        yield Search(placeholder="Search: letters of the name or its folder", id="search")
        with Horizontal(id="panes"):
            yield RowList(id="rows")
            with VerticalScroll(id="about", can_focus=False):
                yield Static(id="details")
        yield Static(id="troubles")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self._say()
        self.query_one("#search", Input).focus()
        begin("listing", self._list)

    def on_unmount(self) -> None:
        self._stopping.stop()

    # In the thread that lists.

    def _list(self) -> None:
        try:
            for page in self._port.pages():
                if self._stopping.stopped:
                    return
                self.post_message(Arrived(page))
        except HyperSDKError as error:
            self.post_message(Arrived(Page(trouble=str(error))))
        self.post_message(Arrived(None))

    # In the thread that draws.

    def on_arrived(self, event: Arrived) -> None:
        if event.page is None:
            self._listing = False
        else:
            self._finder.add(event.page.rows)
            if event.page.trouble:
                self._troubles.append(event.page.trouble)
                self._complain()
        if self.first_rows is None and len(self._finder):
            self.first_rows = time.monotonic() - self._began
            self._draw(top=False)
        elif self._redraw is None:
            self._redraw = self.set_timer(_REDRAW, self._draw_arrived)

    def _draw_arrived(self) -> None:
        self._redraw = None
        self._draw(top=False)

    def on_input_changed(self) -> None:
        self._draw(top=True)

    def on_input_submitted(self) -> None:
        self.query_one(RowList).focus()

    def _draw(self, *, top: bool) -> None:
        query = self.query_one("#search", Input).value
        self.query_one(RowList).show_rows(self._finder.found(query), top=top)
        self._say()

    def _complain(self) -> None:
        said = self.query_one("#troubles", Static)
        said.update("\n".join(self._troubles))
        said.display = True

    def _say(self) -> None:
        rows = self.query_one(RowList)
        text = "Choose instances · " + words.count(len(self._finder), "instance")
        if self._listing:
            text += ", more are coming"
        if marked := rows.marked:
            total = sum(row.size for row in marked)
            text += f" · {len(marked):,} chosen, {words.size(total)}"
        self.query_one("#title", Static).update(text)

    def on_row_list_marked(self) -> None:
        self._say()

    def on_row_list_highlighted(self, event: RowList.Highlighted) -> None:
        if self._rest is not None:
            self._rest.stop()
        shown = self.query_one("#details", Static)
        row = event.row
        if row is None:
            shown.update("Nothing fits." if len(self._finder) else "")
        elif row.key in self._known:
            shown.update(details_text(row, self._known[row.key]))
        else:
            shown.update(listed_text(row, "asking for more …"))
            self._rest = self.set_timer(_REST, lambda: self._ask(row))

    def _ask(self, row: Row) -> None:
        def work() -> None:
            try:
                found: InstanceDetails | HyperSDKError = self._port.details(row)
            except HyperSDKError as error:
                found = error
            self.post_message(Detailed(row, found))

        begin("details", work)

    def on_detailed(self, event: Detailed) -> None:
        current = self.query_one(RowList).highlighted
        shown = self.query_one("#details", Static)
        here = current is not None and current.key == event.row.key
        if isinstance(event.details, HyperSDKError):
            if here:
                shown.update(listed_text(event.row, event.details.message))
            return
        self._known[event.row.key] = event.details
        if here:
            shown.update(details_text(event.row, event.details))

    def on_key(self, event: Key) -> None:
        """Arrows lead from the search into the list."""
        if event.key in _INTO_LIST and self.query_one("#search").has_focus:
            self.query_one(RowList).focus()
            event.stop()  # or the list, which has the focus now, would move its cursor as well

    def action_search(self) -> None:
        self.query_one("#search", Input).focus()

    def action_clear(self) -> None:
        search = self.query_one("#search", Input)
        search.value = ""
        search.focus()

    def action_next(self) -> None:
        rows = self.query_one(RowList)
        chosen = rows.marked or ((rows.highlighted,) if rows.highlighted else ())
        if chosen:
            self.post_message(self.Chosen(chosen))
        else:
            self.notify("Nothing is chosen yet: mark instances with the space bar.")

    def preselect(self, rows: tuple[Row, ...]) -> None:
        """Mark these instead of what is marked."""
        listed = self.query_one(RowList)
        listed.action_mark_none()
        listed.mark(rows)
