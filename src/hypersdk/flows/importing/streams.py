"""Files of a package as streams: hashed as they are read, opened and unpacked on the way."""

from __future__ import annotations

import hashlib
import io
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from pathlib import Path
from typing import BinaryIO

from hypersdk.artifacts.compression import SUFFIXES
from hypersdk.artifacts.encryption import SUFFIX as SEALED
from hypersdk.artifacts.encryption import Opening, open_stream
from hypersdk.artifacts.streams import Readable
from hypersdk.artifacts.unpacking import Bounds, unpacked
from hypersdk.datapath.cancel import token_in_force
from hypersdk.datapath.failures import from_os
from hypersdk.model.errors import HyperSDKError, KeyRequired
from hypersdk.ovf import manifest

_STEP = 1 << 20
#: Times as many bytes as a packed file has may come out of it.
RATIO = 2000.0


class HashedStream:
    """Counts the digest that a manifest names while somebody else reads."""

    def __init__(self, stream: Readable, name: str, expected: tuple[str, str] | None) -> None:
        self._stream = stream
        self._name = name
        self._expected = expected
        self._digest = hashlib.new(expected[0], usedforsecurity=False) if expected else None

    def read(self, count: int = _STEP, /) -> bytes:
        token_in_force().check()
        data = self._stream.read(_STEP if count < 0 else count)
        if self._digest is not None:
            self._digest.update(data)
        return data

    def finish(self) -> None:
        """Read what is left, and compare. Raises Damaged."""
        while self.read(_STEP):
            pass
        if self._digest is not None and self._expected is not None:
            algorithm, expected = self._expected
            manifest.compare(self._name, algorithm, expected, self._digest.hexdigest())


def plain_name(name: str) -> str:
    """Without what was added when it was packed or sealed."""
    for end in (SEALED, *SUFFIXES.values()):
        if name.lower().endswith(end):
            name = name[: -len(end)]
    return name


def is_plain(path: Path) -> bool:
    """Neither packed nor sealed, by its name."""
    return plain_name(path.name) == path.name


@contextmanager
def opened(path: Path, opening: Opening | None, most: int) -> Iterator[Readable]:
    """What a file holds, unsealed and unpacked; ``most`` bytes at most come out of packing.

    Raises KeyRequired for a sealed file without ``opening``, and, while it is read, Damaged for
    one that is cut or changed, ImageRefused for a bomb.
    """
    try:
        with path.open("rb", buffering=0) as file:
            name = path.name
            if not name.lower().endswith(SEALED):
                yield unpacked(_Plain(file), name, Bounds(most, RATIO))
                return
            if opening is None:
                raise KeyRequired(
                    f"{path} is sealed",
                    hint="Say what opens it: a passphrase or an identity file.",
                )
            with _unsealed(_Plain(file), opening.ready(), name) as inner:
                yield unpacked(inner, name[: -len(SEALED)], Bounds(most, RATIO))
    except OSError as error:
        raise from_os(error, path, "read") from error


class _Plain:
    """A file without a buffer."""

    def __init__(self, file: io.FileIO) -> None:
        self._read: Callable[[int], bytes] = file.read

    def read(self, count: int = _STEP, /) -> bytes:
        return self._read(_STEP if count < 0 else count)


@contextmanager
def _unsealed(source: Readable, opening: Opening, name: str) -> Iterator[Readable]:
    """Unsealing pushes its output; a pipe and a thread turn that round."""
    reading, writing = os.pipe()
    failed: list[BaseException] = []

    def push() -> None:
        try:
            with os.fdopen(writing, "wb", buffering=0) as output:
                open_stream(source, output, opening, name)
        except BrokenPipeError:
            return  # nobody wants the rest
        except BaseException as error:  # noqa: BLE001 - raised by the reader
            failed.append(error)

    thread = threading.Thread(target=copy_context().run, args=(push,), name="unseal", daemon=True)
    thread.start()
    pipe = os.fdopen(reading, "rb", buffering=0)
    try:
        yield _Pushed(pipe, thread, failed)
    finally:
        pipe.close()
        thread.join()


class _Pushed:
    """The reader's end; the end of the pipe is the end only when the pusher did not fail."""

    def __init__(
        self, pipe: io.FileIO, thread: threading.Thread, failed: list[BaseException]
    ) -> None:
        self._pipe = _Plain(pipe)
        self._thread = thread
        self._failed = failed

    def read(self, count: int = _STEP, /) -> bytes:
        data = self._pipe.read(count)
        if not data:
            self._thread.join()
            if self._failed:
                error = self._failed[0]
                raise error if isinstance(error, HyperSDKError) else OSError(str(error))
        return data


def buffered(stream: Readable) -> BinaryIO:
    """With a buffer, for readers that ask for a sector at a time."""
    return io.BufferedReader(_Raw(stream), _STEP)


class _Raw(io.RawIOBase):
    """A stream in the clothes of the standard library."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
