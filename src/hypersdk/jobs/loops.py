"""A thread that does one thing again and again, whatever happens."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from hypersdk.model.errors import HyperSDKError
from hypersdk.observe.log import get_logger

_log = get_logger(__name__)
#: A turn that took long is followed by a rest of so many times its length, so that a large
#: database is never looked at all the time.
_REST = 3


class Loop:
    """Calls ``turn`` every ``seconds``, and at once when woken.

    An error is logged, the first of its kind in a row loudly, and the next turn comes all the
    same: a lost database is back at some time.
    """

    def __init__(self, name: str, turn: Callable[[], None], seconds: float) -> None:
        self._name = name
        self._turn = turn
        self._seconds = seconds
        self._woken = threading.Event()
        self._stopped = False
        self._failing = ""
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Have the next turn now."""
        self._woken.set()

    def stop(self, *, seconds: float | None = None) -> bool:
        """No further turn begins; waits for the one that runs. False: it still does. May be
        called when it was never started, several times, and from a turn, which it cannot wait for.
        """
        self._stopped = True
        self._woken.set()
        if self._thread.ident is None or self._thread is threading.current_thread():
            return True
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopped:
            began = time.monotonic()
            self._once()
            took = time.monotonic() - began
            self._woken.wait(max(self._seconds - took, _REST * took))
            self._woken.clear()

    def _once(self) -> None:
        try:
            self._turn()
        except Exception as error:  # noqa: BLE001 - a loop that ended would end everything
            self._failed(error)
        else:
            if self._failing:
                _log.info("goes on", loop=self._name)
            self._failing = ""

    def _failed(self, error: Exception) -> None:
        kind = type(error).__name__
        if kind == self._failing:
            _log.debug("still fails", loop=self._name, error=kind)
            return
        self._failing = kind
        known = isinstance(error, HyperSDKError)
        _log.error(
            "failed, and will be tried again",
            loop=self._name,
            error=str(error) or kind,
            exc_info=None if known else error,
        )
