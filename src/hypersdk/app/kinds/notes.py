"""What a job did in a folder, noted there, so that a later run of it knows.

Steps are forgotten between two runs of a job (paused and resumed, drained, tried again), files are
not. A note is a hidden file ``.<what>.<job>.job`` beside the files that it tells of. It is gone
when the job is done; after a failed or cancelled one it stays for the retry.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

from hypersdk.artifacts.newfile import write_file
from hypersdk.datapath.failures import from_os

#: Bytes; one about a thousand disks has a tenth of it.
_MOST = 4 << 20


class Note:
    """The note of one job about ``what`` in a folder."""

    def __init__(self, folder: Path, what: str, job: str) -> None:
        self._folder = folder
        self._path = folder / f".{what[:100]}.{job}.job"

    def read(self) -> dict[str, Any] | None:
        """None when there is none, or none that can be understood."""
        try:
            with self._path.open("rb") as file:
                found = json.loads(file.read(_MOST))
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def write(self, **values: Any) -> None:
        """In place of what was noted before, durably; the folder is made. Raises DataPathError."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise from_os(error, self._folder, "create") from error
        write_file(self._path, json.dumps(values).encode(), overwrite=True)

    def add(self, **values: Any) -> None:
        """To what was noted before."""
        self.write(**{**(self.read() or {}), **values})

    def remove(self) -> None:
        """With the folder, when nothing else is in it."""
        with contextlib.suppress(OSError):
            self._path.unlink()
            os.rmdir(self._folder)


def looks(path: Path) -> list[int]:
    """By what it is seen that a file was replaced; empty: it is not there."""
    try:
        found = path.stat()
    except OSError:
        return []
    return [found.st_ino, found.st_mtime_ns, found.st_size]
