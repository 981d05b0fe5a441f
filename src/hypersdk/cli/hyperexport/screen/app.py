"""The application: from step to step."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Callable
from typing import ClassVar

from textual.app import App
from textual.binding import Binding, BindingType

from hypersdk.cli.hyperexport.screen.choosing import ChoosingScreen
from hypersdk.cli.hyperexport.screen.confirming import ConfirmScreen
from hypersdk.cli.hyperexport.screen.dialogs import Help
from hypersdk.cli.hyperexport.screen.ending import EndScreen
from hypersdk.cli.hyperexport.screen.how import HowScreen
from hypersdk.cli.hyperexport.screen.port import Choices, Outcome, Row, ScreenPort
from hypersdk.cli.hyperexport.screen.watching import WatchScreen

#: What ends the program from outside: a service manager, a terminal that is closed.
_ENDING = (signal.SIGTERM, signal.SIGHUP)


def run_screen(port: ScreenPort, choices: Choices) -> tuple[Outcome, ...]:
    """Show it until the person leaves; all that was exported meanwhile, well or not."""
    return ExportApp(port, choices).run() or ()


class ExportApp(App[tuple[Outcome, ...]]):
    """Choose, how, confirm, watch, end."""

    TITLE = "hyperexport"
    CSS_PATH = "look.tcss"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark,f1", "show_help", "Help", key_display="?", priority=True),
        Binding("ctrl+q,ctrl+c", "leave", "Leave", show=False, priority=True),
    ]

    def __init__(
        self,
        port: ScreenPort,
        choices: Choices,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._clock = clock
        self._port = port
        self._choices = choices
        self._rows: tuple[Row, ...] = ()
        self._outcomes: list[Outcome] = []
        self._choosing = ChoosingScreen(port)
        self._ending = False

    def on_mount(self) -> None:
        self.push_screen(self._choosing)
        if threading.current_thread() is threading.main_thread():
            for number in _ENDING:
                asyncio.get_running_loop().add_signal_handler(number, self._told_to_end)

    def on_unmount(self) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in _ENDING:
                asyncio.get_running_loop().remove_signal_handler(number)

    def _told_to_end(self) -> None:
        """From outside: no questions, but what runs is cleaned up."""
        self._ending = True
        if self._watching is None:
            self.exit(tuple(self._outcomes))
        else:
            self._watching.cancel_export()

    def on_choosing_screen_chosen(self, event: ChoosingScreen.Chosen) -> None:
        self._rows = event.rows
        self._ask_how()

    def _ask_how(self) -> None:
        self.push_screen(HowScreen(self._rows, self._choices, self._port.profiles()))

    def on_how_screen_back(self, event: HowScreen.Back) -> None:
        self._choices = event.choices
        self.pop_screen()

    def on_how_screen_chosen(self, event: HowScreen.Chosen) -> None:
        self._choices = event.choices
        self.switch_screen(ConfirmScreen(self._port, self._rows, event.choices))

    def on_confirm_screen_back(self) -> None:
        self.switch_screen(HowScreen(self._rows, self._choices, self._port.profiles()))

    def on_confirm_screen_confirmed(self, event: ConfirmScreen.Confirmed) -> None:
        self._choices = event.choices
        self.switch_screen(WatchScreen(self._port, event.plans, event.choices, self._clock))

    def on_watch_screen_ended(self, event: WatchScreen.Ended) -> None:
        self._outcomes += event.outcomes
        if self._ending:
            self.exit(tuple(self._outcomes))
            return
        while not isinstance(self.screen, WatchScreen):
            self.pop_screen()  # a question that nobody answered in time, or help
        self.switch_screen(EndScreen(event.outcomes, event.seconds, self._choices, event.folders))

    def on_end_screen_again(self) -> None:
        self.pop_screen()
        self._choosing.preselect(())

    def on_end_screen_left(self) -> None:
        self.exit(tuple(self._outcomes))

    def action_show_help(self) -> None:
        if not isinstance(self.screen, Help):
            self.push_screen(Help())
        else:
            self.screen.dismiss(None)

    @property
    def _watching(self) -> WatchScreen | None:
        """The screen of an export that runs."""
        return next((each for each in self.screen_stack if isinstance(each, WatchScreen)), None)

    def action_leave(self) -> None:
        """Never in the middle of an export without a question."""
        running = self._watching
        if running is None:
            self.exit(tuple(self._outcomes))
        elif self.screen is running:
            running.action_cancel()
