"""Writing into a place, for those who produce bytes instead of handing out a stream."""

from __future__ import annotations

import queue
import threading
from types import TracebackType
from typing import Self

from hypersdk.artifacts.places.ports import Place, PlacedFile
from hypersdk.artifacts.streams import Told, ignore
from hypersdk.datapath.cancel import WAIT_SLICE, CancelToken, token_in_force
from hypersdk.model.errors import DataPathError, HyperSDKError

#: Pieces that wait between the writer and the connection.
_WAITING = 4
#: Bytes of a piece at most.
_PIECE = 1 << 20


class PushedFile:
    """An output whose bytes go to a place, by a thread of its own. ::

        with PushedFile(place, "web/web-disk-0.vmdk") as output:
            write_stream_vmdk(source, output, name="web-disk-0.vmdk")
        output.placed.sha256

    Leaving the block waits until the file has its name and raises what bringing it met; leaving it
    by an error gives the file up, so nothing bears its name.
    """

    def __init__(
        self,
        place: Place,
        name: str,
        *,
        size: int | None = None,
        overwrite: bool = False,
        progress: Told = ignore,
        pace: Told = ignore,
        cancel: CancelToken | None = None,
    ) -> None:
        self._queue: queue.Queue[bytes] = queue.Queue(_WAITING)
        self._token = cancel or token_in_force()
        self._given_up = threading.Event()
        self._done = threading.Event()
        self._error: BaseException | None = None
        self._placed: PlacedFile | None = None
        self._rest = b""

        def bring() -> None:
            try:
                self._placed = place.put(
                    name, _Queued(self._queue, self._given_up), size=size, overwrite=overwrite,
                    progress=progress, pace=pace, cancel=self._token,
                )  # fmt: skip
            except BaseException as error:
                self._error = error
                if not isinstance(error, HyperSDKError):
                    raise
            finally:
                self._done.set()

        self._thread = threading.Thread(target=bring, name=f"push {name}", daemon=True)

    @property
    def placed(self) -> PlacedFile:
        """What was brought; after the block."""
        assert self._placed is not None
        return self._placed

    def write(self, data: bytes, /) -> int:
        """Raises Interrupted, and what bringing the file met."""
        view = memoryview(data)
        for at in range(0, len(view), _PIECE):
            self._give(bytes(view[at : at + _PIECE]))
        return len(data)

    def _give(self, data: bytes) -> None:
        while True:
            self._token.check()
            self._check()
            try:
                self._queue.put(data, timeout=WAIT_SLICE)
            except queue.Full:
                continue
            return

    def _check(self) -> None:
        if self._done.is_set():
            raise self._error or DataPathError("the place took no more of the file")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self._given_up.set()
            self._done.wait(10 * WAIT_SLICE)  # it looks every slice; then it cleans up by itself
            return
        self._give(b"")
        while not self._done.wait(WAIT_SLICE):
            self._token.check()
        if self._error is not None:
            raise self._error


class _Queued:
    """The other end of the queue, as a stream."""

    def __init__(self, waiting: queue.Queue[bytes], given_up: threading.Event) -> None:
        self._queue = waiting
        self._given_up = given_up
        self._left = b""
        self._ended = False

    def read(self, count: int, /) -> bytes:
        while not self._left and not self._ended:
            if self._given_up.is_set():
                raise DataPathError("its writer gave the file up")
            try:
                self._left = self._queue.get(timeout=WAIT_SLICE)
            except queue.Empty:
                continue
            self._ended = not self._left
        data, self._left = self._left[:count], self._left[count:]
        return data
