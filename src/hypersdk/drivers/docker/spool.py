"""Private files without a name for what is read from, or sent to, the engine as one stream."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from hypersdk.config.settings import load_settings
from hypersdk.datapath.archive import lay_out
from hypersdk.datapath.failures import from_os
from hypersdk.datapath.raw import RawSink, RawSource


class Spool:
    """One file in the setting ``scratch_dir``, readable by us alone. It is gone when the last
    handle on it is closed, also when we are killed."""

    def __init__(self, size: int = 0) -> None:
        """Raises DataPathError."""
        folder = load_settings().scratch_dir
        try:
            self._file: BinaryIO = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115
            os.ftruncate(self._file.fileno(), size)
        except OSError as error:
            raise from_os(error, folder, "make a file in") from error
        self.size = size

    def fill(self, archive: Iterable[bytes]) -> None:
        """With a tar stream, laid out. Raises DataPathError, and what ``archive`` raises."""
        try:
            self.size = lay_out(archive, self._file.fileno())
        except OSError as error:
            raise from_os(error, load_settings().scratch_dir, "write to a file in") from error

    def source(self) -> RawSource:
        return RawSource(self._path)

    def sink(self) -> RawSink:
        return RawSink.open_existing(self._path)

    def stream(self) -> BinaryIO:
        """From the beginning; the caller closes it."""
        return open(self._path, "rb")

    @property
    def _path(self) -> Path:
        return Path(f"/proc/self/fd/{self._file.fileno()}")

    def close(self) -> None:
        """May be called several times. Handles on it stay good."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
