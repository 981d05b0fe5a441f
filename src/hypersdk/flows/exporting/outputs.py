"""Files written from front to back, with their digests counted on the way."""

from __future__ import annotations

import io
import os
from collections.abc import Collection
from pathlib import Path
from types import TracebackType
from typing import Self

from hypersdk.artifacts.checksums import new_digest
from hypersdk.datapath.direct import BUFFER, PastCacheFile
from hypersdk.datapath.failures import from_os
from hypersdk.datapath.streamvmdk import Hash


class NewFile:
    """A new file, readable by its owner only. Leaving the context makes it durable."""

    def __init__(self, path: Path, algorithms: Collection[str]) -> None:
        self.path = path
        self.size = 0
        self._digests = {each: new_digest(each) for each in algorithms}
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            descriptor = os.open(path, flags, 0o600)
        except OSError as error:
            raise from_os(error, path, "create") from error
        self._file = io.BufferedWriter(PastCacheFile(descriptor), BUFFER)

    def write(self, data: bytes, /) -> int:
        """All of it. Raises DataPathError."""
        try:
            self._file.write(data)
        except OSError as error:
            raise from_os(error, self.path, "write") from error
        for each in self._digests.values():
            each.update(data)
        self.size += len(data)
        return len(data)

    def digesting(self, algorithm: str) -> Hash | None:
        """See `Digesting`."""
        return self._digests.get(algorithm) if not self.size else None

    @property
    def digests(self) -> dict[str, str]:
        """Algorithm → hex, of what was written."""
        return {name: each.hexdigest() for name, each in self._digests.items()}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self._file.flush()
                os.fsync(self._file.fileno())
        except OSError as failure:
            raise from_os(failure, self.path, "write") from failure
        finally:
            self._file.raw.close()  # after an error, what is in the buffer has no use


def write_file(path: Path, content: bytes) -> None:
    """A small file, durable, readable by its owner only; one of its name is replaced."""
    path.unlink(missing_ok=True)
    with NewFile(path, ()) as file:
        file.write(content)
