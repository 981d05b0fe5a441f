"""What opens above a step: a question, and help."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Static

_HELP = """\
[b]Everywhere[/b]
  ?  F1           this page
  tab, shift+tab  next field, previous field
  F2              continue
  esc             back; in the search: clear it
  ctrl+q  ctrl+c  leave

[b]Choose[/b]
  letters         search: "wb1" finds web-01; all words must fit
  down  enter     from the search to the list
  /               back to the search
  space           choose the instance, or not
  a               choose all that are shown
  n               choose none
  enter           continue with those that are chosen
  mouse           click a line; click its circle to choose it

[b]Confirm[/b]
  l               leave out those with something critical

[b]Export[/b]
  esc  q          cancel, after a question
"""


class Asking(ModalScreen[bool]):
    """Yes or no."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,n", "answer(False)", "No"),
        Binding("y", "answer(True)", "Yes"),
        Binding("left,right", "other", "Other", show=False),
    ]

    def __init__(self, question: str, more: str, *, yes: str, no: str) -> None:
        super().__init__()
        self._question = question
        self._more = more
        self._yes = yes
        self._no = no

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog"):
            yield Static(self._question, classes="question")
            yield Static(self._more)
            with Horizontal(classes="buttons"):
                yield Button(self._no, id="no", variant="primary")
                yield Button(self._yes, id="yes", variant="error")

    def on_mount(self) -> None:
        self.query_one("#no", Button).focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")

    def action_answer(self, answer: bool) -> None:
        self.dismiss(answer)

    def action_other(self) -> None:
        self.focus_next()


class Help(ModalScreen[None]):
    """Every key."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter,question_mark,f1", "close", "Close")
    ]

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="dialog"):
            yield Static(_HELP)

    def action_close(self) -> None:
        self.dismiss(None)
