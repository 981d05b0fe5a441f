"""A stream of the engine that does not end by itself, read in a thread: nobody waits forever."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterator
from typing import Generic, TypeVar

from docker.errors import DockerException
from docker.types import CancellableStream
from requests.exceptions import RequestException

from hypersdk.datapath.cancel import WAIT_SLICE, token_in_force
from hypersdk.drivers.docker.errors import translated
from hypersdk.model.errors import HyperSDKError

T = TypeVar("T")


class Followed(Iterator[T], Generic[T]):
    """What comes, in order. Ends with the stream; raises ours for its errors."""

    def __init__(self, stream: CancellableStream[T], doing: str) -> None:
        self._stream = stream
        self._doing = doing
        self._items: queue.SimpleQueue[tuple[T] | HyperSDKError | None] = queue.SimpleQueue()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._read, name="docker-following", daemon=True)
        self._thread.start()

    def __iter__(self) -> Followed[T]:
        return self

    def __next__(self) -> T:
        """Obeys the token. Raises HypervisorUnreachable, Interrupted."""
        while True:
            token_in_force().check()
            got = self.next(WAIT_SLICE)
            if got is not None:
                return got[0]

    def next(self, timeout: float) -> tuple[T] | None:
        """None after so many seconds of silence. Raises StopIteration at the end."""
        try:
            item = self._items.get(timeout=timeout)
        except queue.Empty:
            return None
        if isinstance(item, tuple):
            return item
        self._items.put(item)  # for whoever asks next
        if item is None:
            raise StopIteration
        raise item

    def close(self) -> None:
        """May be called several times."""
        if not self._closed.is_set():
            self._closed.set()
            with contextlib.suppress(DockerException, OSError):  # the engine may have been quicker
                self._stream.close()
            self._thread.join()

    def __del__(self) -> None:
        if not self._closed.is_set():
            self._closed.set()
            with contextlib.suppress(DockerException, OSError):
                self._stream.close()

    def _read(self) -> None:
        end: HyperSDKError | None = None
        try:
            for item in self._stream:
                self._items.put((item,))
        except (DockerException, RequestException, OSError, ValueError, AttributeError) as error:
            # The last two: what the libraries trip over when the stream is closed under them.
            if not self._closed.is_set():
                end = translated(error, self._doing)
        self._items.put(end)
