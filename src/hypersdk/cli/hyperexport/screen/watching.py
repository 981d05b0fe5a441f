"""Fourth step: they leave."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Footer, Static

from hypersdk import CancelToken, HyperSDKError, Progress
from hypersdk.cli import words
from hypersdk.cli.hyperexport.screen.background import begin
from hypersdk.cli.hyperexport.screen.board import Board, Look
from hypersdk.cli.hyperexport.screen.dialogs import Asking
from hypersdk.cli.hyperexport.screen.port import Choices, Outcome, Planned, Row, ScreenPort
from hypersdk.cli.hyperexport.screen.shown import printable

#: Seconds between two drawings.
_REDRAW = 0.25
#: Columns of a bar, of the figures behind it, and of the frame around.
_BAR, _FIGURES, _FRAME = 16, 31, 6


class WatchScreen(Screen[None]):
    """Bars for all together and for each disk."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q", "cancel", "Cancel")]

    class Ended(Message):
        """All are settled."""

        def __init__(
            self,
            outcomes: tuple[Outcome, ...],
            seconds: float,
            folders: Mapping[tuple[str, str], str],
        ) -> None:
            """``folders``: key of a row → folder of its files."""
            super().__init__()
            self.folders = folders
            self.outcomes = outcomes
            self.seconds = seconds

    def __init__(
        self,
        port: ScreenPort,
        plans: tuple[Planned, ...],
        choices: Choices,
        clock: Callable[[], float],
    ) -> None:
        super().__init__()
        self._port = port
        self._rows: tuple[Row, ...] = tuple(planned.row for planned in plans)
        self._folders = {planned.row.key: planned.folder for planned in plans}
        self._choices = choices
        self._board = Board(plans, clock)
        self._cancel = CancelToken()

    def compose(self) -> ComposeResult:
        yield Static(id="title", classes="title")
        yield Static(id="overall")
        with VerticalScroll(id="tasks"):
            yield Static(id="running")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self._draw()
        self.set_interval(_REDRAW, self._draw)
        begin("export", self._export)

    def _export(self) -> None:
        try:
            self._port.export(
                self._rows, self._choices, self._board.report, self._board.settle, self._cancel
            )
        except HyperSDKError as error:
            settled = {outcome.row.key for outcome in self._board.outcomes}
            for row in self._rows:
                if row.key not in settled:
                    self._board.settle(Outcome(row=row, error=error))
        seconds = self._board.look().seconds
        self.post_message(self.Ended(self._board.outcomes, seconds, self._folders))

    def _draw(self) -> None:
        look = self._board.look()
        ended = len(look.outcomes)
        text = f"Exporting · {ended} of {len(self._rows)} done"
        if look.failed:
            text += f", {look.failed} failed"
        if self._cancel.cancelled:
            text = "Cancelling · what is unfinished is being cleaned up"
        self.query_one("#title", Static).update(text)
        width = self.size.width - _FRAME
        self.query_one("#overall", Static).update(overall_text(look, width))
        self.query_one("#running", Static).update(running_text(look, width))

    def cancel_export(self) -> None:
        """Have it end soon, and cleanly. Ended is told when it has."""
        self._cancel.cancel()
        self._draw()

    def action_cancel(self) -> None:
        if self._cancel.cancelled:
            self.notify("It is ending already.")
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self.cancel_export()

        self.app.push_screen(
            Asking(
                "Cancel the export?",
                "What is complete stays. What is not can be continued with --resume.",
                yes="Cancel the export",
                no="Go on",
            ),
            answered,
        )


def overall_text(look: Look, width: int) -> Text:
    """A bar over the whole width, and what it means."""
    bar = bar_text(look.done, look.total, max(width - 6, 10))
    bar.append(f" {_percent(look.done, look.total):>4}")
    line = f"\n{words.size(look.done)} of {words.size(look.total)}"
    if look.running:
        line += f" · {words.size(look.rate)}/s"
    if look.eta is not None:
        line += f" · {words.duration(look.eta)} left"
    return bar.append(f"{line} · {words.duration(look.seconds)} so far")


def running_text(look: Look, width: int) -> Text:
    """A line for each disk that is being read, then those that ended."""
    text = Text()
    room = max(width - _BAR - _FIGURES - 2, 12)
    for row, progress in look.running:
        text.append(f"{_fitted(printable(_task(row, progress)), room)} ")
        text.append_text(bar_text(progress.done, progress.total, _BAR))
        text.append(f" {_figures(progress)}\n")
    if look.waiting:
        text.append(f"{look.waiting:,} waiting\n", "dim")
    for outcome in look.outcomes:
        text.append_text(outcome_line(outcome)).append("\n")
    return text


def outcome_line(outcome: Outcome) -> Text:
    """How one ended, in a line."""
    name = printable(outcome.row.instance.name)
    if outcome.error is None:
        figures = f"{words.size(outcome.size)} in {words.duration(outcome.seconds)}"
        return Text().append(f"✓ {name}", "green").append(f"  {figures}")
    if outcome.interrupted:
        return Text(f"○ {name}  cancelled", "yellow")
    return Text().append(f"✗ {name}", "bold red").append(f"  {printable(outcome.error.message)}")


def bar_text(done: int, total: int, width: int) -> Text:
    """Filled up to what is done."""
    filled = round(width * min(done / total, 1.0)) if total > 0 else 0
    return Text().append("━" * filled, "green").append("━" * (width - filled), "dim")


def _task(row: Row, progress: Progress) -> str:
    """``web-1/scsi0-0``; what the task calls itself where it names its instance already."""
    name = row.instance.name
    return progress.task if name in progress.task else f"{name}: {progress.task}"


def _figures(progress: Progress) -> str:
    left = words.duration(progress.eta) if progress.eta is not None else ""
    rate = f"{words.size(progress.rate)}/s" if progress.rate else ""
    return f"{_percent(progress.done, progress.total):>4} {rate:>12} {left:>11}"


def _percent(done: int, total: int) -> str:
    return f"{min(100 * done // total, 100)}%" if total > 0 else ""


def _fitted(text: str, room: int) -> str:
    return text.ljust(room) if len(text) <= room else f"…{text[len(text) - room + 1 :]}"
