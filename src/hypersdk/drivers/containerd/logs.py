"""What first processes wrote: a file for each container, which its shim writes. So nothing is lost
while nobody looks, we are gone, or containerd is.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import BinaryIO

from hypersdk.datapath.cancel import WAIT_SLICE, token_in_force
from hypersdk.drivers.containerd import labels
from hypersdk.drivers.containerd.api.types.task import task_pb2
from hypersdk.drivers.containerd.connection import Connection
from hypersdk.drivers.containerd.errors import native
from hypersdk.drivers.containerd.inventory import container_of, process_of
from hypersdk.model.errors import HypervisorDenied, NotFound

#: Bytes that are read at once.
_PIECE = 1 << 16
#: Seconds between two looks whether the container still runs.
_LOOK_SECONDS = 1.0
_ALIVE = frozenset({task_pb2.CREATED, task_pb2.RUNNING, task_pb2.PAUSED, task_pb2.PAUSING})


class ContainerdLogs:
    """May be used by any number of threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def read(self, name: str, *, tail: int | None = None) -> bytes:
        """Since the container was made, over all its starts."""
        file = self._opened(name)
        if file is None:
            return b""
        with file:
            return file.read() if tail is None else _last_lines(file, tail)

    def follow(self, name: str) -> Iterator[bytes]:
        """Looks five times a second."""
        file = self._opened(name)
        if file is not None:
            file.seek(0, os.SEEK_END)
        return self._followed(name, file)

    def _followed(self, name: str, file: BinaryIO | None) -> Iterator[bytes]:
        try:
            look = 0.0
            alive = True
            while True:
                if file is None:
                    file = self._opened(name)  # it was never started before
                piece = file.read(_PIECE) if file is not None else b""
                if piece:
                    yield piece
                    continue
                if not alive:
                    return
                token_in_force().wait(WAIT_SLICE)
                if time.monotonic() >= look:
                    # What it wrote last is read once more after this.
                    alive = self._is_alive(name)
                    look = time.monotonic() + _LOOK_SECONDS
        finally:
            if file is not None:
                file.close()

    def _is_alive(self, name: str) -> bool:
        with native(f"follow the log of '{name}'"):
            process = process_of(self._connection, name)
        return process is not None and process.status in _ALIVE

    def _opened(self, name: str) -> BinaryIO | None:
        """None when it was never started. Raises InstanceNotFound, NotFound."""
        path = container_of(self._connection, name).labels.get(labels.LOG)
        if not path:
            raise NotFound(
                f"nobody keeps what '{name}' writes: it was not made by HyperSDK",
                hint="Ask the program that made it.",
            )
        try:
            return open(path, "rb")
        except FileNotFoundError:
            return None
        except PermissionError as error:
            raise HypervisorDenied(
                f"the log {path} may not be read by this user", hint="Run as root."
            ) from error


def _last_lines(file: BinaryIO, count: int) -> bytes:
    """Read from the end, as little as needed."""
    position = file.seek(0, os.SEEK_END)
    pieces: list[bytes] = []
    lines = 0
    while position > 0 and lines <= count:
        size = min(_PIECE, position)
        position -= size
        file.seek(position)
        pieces.insert(0, file.read(size))
        lines += pieces[0].count(b"\n")
    return b"".join(b"".join(pieces).splitlines(keepends=True)[-count:] if count > 0 else ())
