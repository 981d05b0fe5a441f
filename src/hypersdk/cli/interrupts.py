"""Ctrl-C and SIGTERM: the first asks the work to end cleanly, the second ends it at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Self

from hypersdk import CancelToken
from hypersdk.cli.terminal import Terminal

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_INTERRUPTED = 130
_SHOW_CURSOR = b"\x1b[?25h"

_Handler = Callable[[int, FrameType | None], object] | int | None


class handled:  # noqa: N801 - used like a function, as contextlib's are
    """While in this context, both signals call ``handler``. Signals reach the main thread only."""

    def __init__(self, handler: Callable[[int, FrameType | None], object]) -> None:
        self._handler = handler
        self._previous: dict[signal.Signals, _Handler] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                self._previous[number] = signal.signal(number, self._handler)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, previous in self._previous.items():
            signal.signal(number, previous)


def interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - signal's form
    """For work that holds no token: raise KeyboardInterrupt where the main thread is."""
    raise KeyboardInterrupt


@contextmanager
def cancelling(terminal: Terminal) -> Iterator[CancelToken]:
    """A token that the first signal cancels."""
    token = CancelToken()

    def on_signal(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - signal's form
        if token.cancelled:
            _end_now(terminal)
        token.cancel()
        # From a thread of its own: this one may be in the middle of writing to the same stream.
        threading.Thread(
            target=terminal.note, args=("Stopping. Once more ends at once.",), daemon=True
        ).start()

    with handled(on_signal):
        yield token


def _end_now(terminal: Terminal) -> None:
    """Without waiting for any thread; the repository is clean at every moment anyway."""
    if terminal.err.is_terminal:
        os.write(2, _SHOW_CURSOR)
    os._exit(_INTERRUPTED)
