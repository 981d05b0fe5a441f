"""Stopping long work within two seconds, wherever it waits.

Two ways, which may be combined:

``Cancellable(source, token)``
    every read and every step through the extents obeys the token.
``with token.scope():``
    everything below that waits obeys it: connections, sinks, throttles, and the workers of a
    copy, which inherit the scope of the thread that started it. This is how a network read
    deep inside a wrapped source learns that its caller has lost interest.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from contextvars import ContextVar

from hypersdk.datapath.ports import BlockSource
from hypersdk.datapath.wrapping import WrappedSource
from hypersdk.model.errors import Interrupted
from hypersdk.model.extents import Extent

#: Longest time in seconds that anything may wait without looking at its token.
WAIT_SLICE = 0.2


class CancelToken:
    """A flag that one side raises and the other looks at. Safe in threads and signal handlers."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def cancel(self) -> None:
        """Ask the work to stop. May be called several times, from any thread."""
        self._event.set()

    @property
    def cancelled(self) -> bool:
        return self._event.is_set()

    def check(self) -> None:
        """Raise Interrupted when the work was asked to stop."""
        if self._event.is_set():
            raise Interrupted("cancelled")

    def wait(self, seconds: float) -> None:
        """Sleep, but raise Interrupted as soon as the work is asked to stop."""
        if self._event.wait(seconds):
            raise Interrupted("cancelled")

    @contextlib.contextmanager
    def scope(self) -> Iterator[None]:
        """Put this token in force for the calling thread and the copies it starts."""
        previous = _in_force.set(self)
        try:
            yield
        finally:
            _in_force.reset(previous)


_never = CancelToken()
_in_force: ContextVar[CancelToken] = ContextVar("cancel_token", default=_never)


def token_in_force() -> CancelToken:
    """The token that the calling thread has to obey; one that nobody cancels when there is none."""
    return _in_force.get()


class Cancellable(WrappedSource):
    """A source whose calls raise Interrupted once ``token`` is cancelled."""

    def __init__(self, inner: BlockSource, token: CancelToken) -> None:
        super().__init__(inner)
        self._token = token

    def extents(self, start: int = 0, length: int | None = None) -> Iterator[Extent]:
        # The token is in force only while the inner source works: a generator that kept it in
        # force between two extents would put it in force for its consumer.
        with self._token.scope():
            inner = iter(self.inner.extents(start, length))
        while True:
            self._token.check()
            with self._token.scope():
                extent = next(inner, None)
            if extent is None:
                return
            yield extent

    def readinto(self, offset: int, buffer: memoryview) -> None:
        self._token.check()
        previous = _in_force.set(self._token)  # scope() without its overhead, once per request
        try:
            self.inner.readinto(offset, buffer)
        finally:
            _in_force.reset(previous)
