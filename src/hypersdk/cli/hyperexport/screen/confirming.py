"""Third step: what would be done, and what may go wrong; then go, or not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.message import Message
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Button, Checkbox, Footer, Static

from hypersdk import HyperSDKError
from hypersdk.cli import words
from hypersdk.cli.hyperexport.screen.background import Stopping, each
from hypersdk.cli.hyperexport.screen.port import Choices, Planned, Row, ScreenPort
from hypersdk.cli.hyperexport.screen.shown import concern_text, printable
from hypersdk.model.concerns import Severity

#: Instances that are looked at at the same time.
_THREADS = 4
#: Seconds between two drawings while plans arrive.
_REDRAW = 0.1


class PlanArrived(Message):
    """The plan of one instance, from a thread."""

    def __init__(self, planned: Planned) -> None:
        super().__init__()
        self.planned = planned


class ConfirmScreen(Screen[None]):
    """The plan of each instance, with its concerns."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back"),
        Binding("f2", "go", "Export"),
        Binding("l", "leave_out", "Leave out what is blocked", show=False),
    ]

    class Back(Message):
        """To the options."""

    class Confirmed(Message):
        """Begin."""

        def __init__(self, plans: tuple[Planned, ...], choices: Choices) -> None:
            super().__init__()
            self.plans = plans
            self.choices = choices

    def __init__(self, port: ScreenPort, rows: tuple[Row, ...], choices: Choices) -> None:
        super().__init__()
        self._port = port
        self._rows = rows
        self._choices = replace(choices, force=False)
        self._stopping = Stopping()
        self._plans: dict[tuple[str, str], Planned] = {}
        self._redraw: Timer | None = None

    def compose(self) -> ComposeResult:
        yield Static(id="title", classes="title")
        with VerticalScroll(id="plans"):
            yield Static(id="text")
        yield Checkbox("Export although something is critical", id="force", compact=True)
        with Horizontal(classes="buttons"):
            yield Button("Back", id="back")
            yield Button("Leave out", id="leave-out")
            yield Button("Export", id="go", variant="primary", disabled=True)
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self._draw()
        self.query_one("#plans").focus()
        each("plan", [self._job(row) for row in self._rows], self._stopping, threads=_THREADS)

    def on_unmount(self) -> None:
        self._stopping.stop()

    def _job(self, row: Row) -> Callable[[], None]:
        def job() -> None:
            try:
                planned = self._port.plan(row, self._choices)
            except HyperSDKError as error:
                planned = Planned(row=row, error=error)
            self.post_message(PlanArrived(planned))

        return job

    def on_plan_arrived(self, event: PlanArrived) -> None:
        self._plans[event.planned.row.key] = event.planned
        if len(self._plans) == len(self._rows):
            self._draw()
            if not self._blocked:
                self.query_one("#go", Button).focus()
        elif self._redraw is None:
            self._redraw = self.set_timer(_REDRAW, self._draw)

    @property
    def _blocked(self) -> tuple[Planned, ...]:
        return tuple(planned for planned in self._plans.values() if planned.blocked)

    @property
    def _complete(self) -> bool:
        return all(row.key in self._plans for row in self._rows)

    def _draw(self) -> None:
        self._redraw = None
        plans = [self._plans.get(row.key) for row in self._rows]
        known = [planned for planned in plans if planned is not None]
        self.query_one("#title", Static).update(self._summary(known))
        parts = [_plan_text(row, planned) for row, planned in zip(self._rows, plans, strict=True)]
        self.query_one("#text", Static).update(Text("\n\n").join(parts))
        blocked = bool(self._blocked)
        self.query_one("#force", Checkbox).display = blocked
        leave = self.query_one("#leave-out", Button)
        leave.display = blocked and len(self._blocked) < len(self._rows)
        leave.label = f"Leave out {len(self._blocked)}"
        self.query_one("#go", Button).disabled = not self._may_begin

    @property
    def _may_begin(self) -> bool:
        # Those without a plan cannot be forced.
        broken = any(planned.error is not None for planned in self._plans.values())
        forced = self.query_one("#force", Checkbox).value and not broken
        return self._complete and (forced or not self._blocked)

    def _summary(self, known: list[Planned]) -> str:
        text = f"Confirm · {words.count(len(self._rows), 'instance')} as {self._choices.format}"
        if len(known) < len(self._rows):
            return f"{text} · looking at them: {len(known)} of {len(self._rows)}"
        needed = sum(planned.room_needed or 0 for planned in known)
        text += f" · {words.size(sum(planned.to_read for planned in known))} to read"
        free = [planned.room_free for planned in known if planned.room_free is not None]
        if free:
            text += f" · needs {words.size(needed)} of {words.size(min(free))} free"
        return text

    def on_checkbox_changed(self) -> None:
        self.query_one("#go", Button).disabled = not self._may_begin

    def on_button_pressed(self, event: Button.Pressed) -> None:
        match event.button.id:
            case "back":
                self.action_back()
            case "leave-out":
                self.action_leave_out()
            case "go":
                self.action_go()

    def action_back(self) -> None:
        self.post_message(self.Back())

    def action_leave_out(self) -> None:
        """Go on with those that nothing critical was found on."""
        blocked = {planned.row.key for planned in self._blocked}
        rest = tuple(row for row in self._rows if row.key not in blocked)
        if self._complete and blocked and rest:
            self._rows = rest
            self._plans = {row.key: self._plans[row.key] for row in rest}
            self._draw()
            self.query_one("#go", Button).focus()

    def action_go(self) -> None:
        if self._may_begin:
            choices = replace(self._choices, force=bool(self._blocked))
            plans = tuple(self._plans[row.key] for row in self._rows)
            self.post_message(self.Confirmed(plans, choices))
        elif not self._complete:
            self.notify("Not all instances were looked at yet.")
        else:
            self.notify("Something critical was found: leave those out, or insist.")


def _plan_text(row: Row, planned: Planned | None) -> Text:
    text = Text().append(printable(row.instance.name), "bold")
    if planned is None:
        text.append("  looking at it …", "dim")
        return text
    if planned.error is not None:
        text.append(f"\n  ✗ {printable(planned.error.message)}", "bold red")
        if planned.error.hint:
            text.append(f"\n    {printable(planned.error.hint)}", "dim")
        return text
    text.append(f"  {words.size(planned.size)}, at most {words.size(planned.to_read)} to read")
    text.append(f" → {printable(planned.folder)}")
    if planned.reading:
        text.append(f"\n  {printable(planned.reading)}", "dim")
    order = list(Severity)
    for concern in sorted(planned.concerns, key=lambda each: order.index(each.severity)):
        text.append("\n")
        text.append_text(concern_text(concern))
    return text
