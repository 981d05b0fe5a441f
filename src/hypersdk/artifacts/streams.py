"""Bytes on their way: what digests, packing, sealing and uploads share.

A stream is read from front to back in steps, so that memory does not grow with a file. Whoever
reads through `Watched` can be cancelled, slowed down and asked how far it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from hypersdk.datapath.cancel import CancelToken, token_in_force

#: Bytes that are asked for at once.
STEP = 1 << 20

#: Told a number of bytes: to count them (progress), or to return when they may pass (pace);
#: `TokenBucket.take` is one of the latter.
Told = Callable[[int], None]


class Readable(Protocol):
    """Bytes that come once: a file, a pipe, a response."""

    def read(self, count: int, /) -> bytes:
        """At most ``count`` bytes, empty at the end."""
        ...


class Writable(Protocol):
    """Takes bytes from front to back."""

    def write(self, data: bytes, /) -> object: ...


def ignore(count: int) -> None:
    """For callers who want to be told nothing."""


def pieces(stream: Readable, step: int = STEP) -> Iterator[bytes]:
    """What is left of a stream, ``step`` bytes at most at once."""
    while data := stream.read(step):
        yield data


class Watched:
    """A stream whose reads obey a token and a pace, and are counted.

    ``progress`` is told of bytes that came, ``pace`` before they are handed on. Without a token of
    its own it obeys the one in force where it is read.
    """

    def __init__(
        self,
        stream: Readable,
        *,
        progress: Told = ignore,
        pace: Told = ignore,
        cancel: CancelToken | None = None,
    ) -> None:
        self._stream = stream
        self._progress = progress
        self._pace = pace
        # Taken here: libraries read from threads of their own, where no token is in force.
        self._token = cancel or token_in_force()
        #: Bytes that came so far.
        self.count = 0

    def read(self, count: int = STEP, /) -> bytes:
        self._token.check()
        data = self._stream.read(STEP if count < 0 else count)
        if data:
            with self._token.scope():
                self._pace(len(data))
            self.count += len(data)
            self._progress(len(data))
        return data
