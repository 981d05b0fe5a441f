"""Last step: how it ended, and what to type next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Button, Footer, Static

from hypersdk.cli import words
from hypersdk.cli.hyperexport.screen.commandline import command
from hypersdk.cli.hyperexport.screen.port import Choices, Outcome
from hypersdk.cli.hyperexport.screen.shown import printable
from hypersdk.cli.hyperexport.screen.watching import outcome_line


class EndScreen(Screen[None]):
    """A line for each instance."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q,escape", "leave", "Leave"),
        Binding("c", "choose", "Choose others"),
    ]

    class Left(Message):
        """The person is done."""

    class Again(Message):
        """The person wants to choose others."""

    def __init__(
        self,
        outcomes: tuple[Outcome, ...],
        seconds: float,
        choices: Choices,
        folders: Mapping[tuple[str, str], str],
    ) -> None:
        """``folders``: key of a row → folder of its files."""
        super().__init__()
        self._folders = folders
        self._outcomes = outcomes
        self._seconds = seconds
        self._choices = choices

    def compose(self) -> ComposeResult:
        yield Static(_title(self._outcomes, self._seconds), classes="title")
        with VerticalScroll(id="ended"):
            yield Static(ending_text(self._outcomes, self._choices, self._folders))
        with Horizontal(classes="buttons"):
            yield Button("Choose others", id="choose")
            yield Button("Leave", id="leave", variant="primary")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one("#leave", Button).focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "leave":
            self.action_leave()
        else:
            self.action_choose()

    def action_leave(self) -> None:
        self.post_message(self.Left())

    def action_choose(self) -> None:
        self.post_message(self.Again())


def _title(outcomes: Sequence[Outcome], seconds: float) -> str:
    good = [outcome for outcome in outcomes if outcome.error is None]
    cancelled = sum(outcome.interrupted for outcome in outcomes)
    failed = len(outcomes) - len(good) - cancelled
    size = words.size(sum(outcome.size for outcome in good))
    text = f"Done · {len(good)} exported, {size}"
    if failed:
        text += f" · {failed} failed"
    if cancelled:
        text += f" · {cancelled} cancelled"
    return f"{text} · {words.duration(seconds)}"


def ending_text(
    outcomes: Sequence[Outcome], choices: Choices, folders: Mapping[tuple[str, str], str]
) -> Text:
    """Each with its place or its error, then commands that continue or repeat."""
    text = Text()
    for outcome in outcomes:
        text.append_text(outcome_line(outcome))
        if outcome.error is None:
            text.append(f"\n    {printable(outcome.place)}", "dim")
        elif not outcome.interrupted and outcome.error.hint:
            text.append(f"\n    {printable(outcome.error.hint)}", "dim")
        text.append("\n")
    for about, line in _next(outcomes, choices, folders):
        text.append(f"\n{about}\n", "bold")
        text.append(f"  {printable(line)}\n")
    return text


def _next(
    outcomes: Sequence[Outcome], choices: Choices, folders: Mapping[tuple[str, str], str]
) -> list[tuple[str, str]]:
    """What to type next: for those that ended badly, and to do the same without the screen."""
    lines: list[tuple[str, str]] = []
    for hypervisor in dict.fromkeys(outcome.row.hypervisor for outcome in outcomes):
        here = [outcome for outcome in outcomes if outcome.row.hypervisor == hypervisor]
        bad = [outcome.row for outcome in here if outcome.error is not None]
        good = [outcome.row for outcome in here if outcome.error is None]
        if bad:
            lines.append(("To continue:", command(bad, choices, folders, "--resume")))
        if good:
            lines.append(("The same again:", command(good, choices, folders)))
    return lines
