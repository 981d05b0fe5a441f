"""The history of exports: one line of JSON for each, failures too, in an append-only file.

Any number of processes write to it at the same time. A line is durable before `append` returns; one
that a crash tore is passed over and ended by the next writer. Nothing in a record is secret: errors
are redacted, places hold no credentials.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hypersdk.artifacts.exportrecord import ExportRecord
from hypersdk.artifacts.exportstatistics import LAST, ExportStatistics, statistics_of
from hypersdk.artifacts.newfile import write_file
from hypersdk.datapath.failures import from_os
from hypersdk.model.errors import InvalidInput

__all__ = ["ExportHistory", "ExportRecord", "ExportStatistics", "read_original_history"]

_log = logging.getLogger(__name__)

#: Records that stay.
KEEP = 1000
#: Records beyond `KEEP` after which the file is written anew, so that it is not done every time.
_SLACK = 200
#: Bytes of a line; longer ones are none of ours.
_LINE_MOST = 256 << 10


class ExportHistory:
    """The history in one file, which need not exist. Its folder is made, for its owner alone."""

    def __init__(self, path: Path, *, keep: int = KEEP) -> None:
        self.path = path
        self._keep = keep

    def append(self, record: ExportRecord) -> None:
        """Add a record, durably. Raises DataPathError."""
        line = json.dumps(record.to_document(), ensure_ascii=False).encode() + b"\n"
        with self._locked(), self._errors("write"):
            descriptor = os.open(
                self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600
            )
            try:
                size = os.fstat(descriptor).st_size
                if size and os.pread(descriptor, 1, size - 1) != b"\n":
                    line = b"\n" + line  # a crash tore the last one
                os.write(descriptor, line)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            self._trim()

    def records(self, last: int | None = None) -> tuple[ExportRecord, ...]:
        """All records, or the last ones, oldest first. Raises DataPathError."""
        found = tuple(self._read())[-self._keep :]
        return found if last is None else found[max(len(found) - last, 0) :]

    def statistics(self, last: int = LAST) -> ExportStatistics:
        """What all records add up to. Raises DataPathError."""
        return statistics_of(self.records(), last)

    def clear(self) -> int:
        """Forget everything; returns how many records there were. Raises DataPathError."""
        if not self.path.exists():
            return 0
        with self._locked():
            count = len(self.records())
            write_file(self.path, b"", overwrite=True)
        return count

    def _read(self) -> Iterator[ExportRecord]:
        with self._errors("read"):
            try:
                file = self.path.open("rb")
            except FileNotFoundError:
                return
            with file:
                number = 0
                while line := file.readline(_LINE_MOST):
                    number += 1
                    if line.strip() and (record := _parsed(line, self.path, number)):
                        yield record

    def _trim(self) -> None:
        """Under the lock."""
        with self.path.open("rb") as file:
            lines = [line for line in file if line.strip()]
        if len(lines) > self._keep + _SLACK:
            write_file(self.path, b"".join(lines[-self._keep :]), overwrite=True)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """One writer at a time. The lock is another file: this one may be replaced."""
        with self._errors("lock"):
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = os.open(
                self.path.with_name(f"{self.path.name}.lock"),
                os.O_RDWR | os.O_CREAT | os.O_CLOEXEC,
                0o600,
            )
        try:
            with self._errors("lock"):
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)  # and gives the lock back

    @contextlib.contextmanager
    def _errors(self, doing: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise from_os(error, self.path, doing) from error


def read_original_history(path: Path) -> tuple[ExportRecord, ...]:
    """Records of ``~/.hyperexport/history.json``, which the program of the same name in Go wrote.

    It is a JSON list; durations are nanoseconds. What is no record is passed over with a warning.
    Raises InvalidInput when the file is something else; nothing when it is not there.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise from_os(error, path, "read") from error
    try:
        entries = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{path} is no history of exports: {error}") from error
    if not isinstance(entries, list):
        raise InvalidInput(f"{path} is no history of exports")
    found = []
    for number, entry in enumerate(entries, 1):
        try:
            found.append(_original(entry))
        except InvalidInput as error:
            _log.warning("entry %d of %s is passed over: %s", number, path, error.message)
    return tuple(found)


def _original(entry: Any) -> ExportRecord:
    if not isinstance(entry, dict):
        raise InvalidInput("this is no record of an export")
    duration = entry.get("duration", 0)
    metadata = entry.get("metadata") or {}
    return ExportRecord.from_document(
        {
            **entry,
            "duration": duration / 1e9 if isinstance(duration, int | float) else duration,
            "metadata": {str(k): str(v) for k, v in metadata.items()}
            if isinstance(metadata, dict)
            else metadata,
        }
    )


def _parsed(line: bytes, path: Path, number: int) -> ExportRecord | None:
    try:
        document = json.loads(line)
        if isinstance(document, dict):
            return ExportRecord.from_document(document)
    except (ValueError, RecursionError, InvalidInput):
        pass  # said below, together with lines that are JSON of another kind
    _log.warning("line %d of %s is no record and is passed over", number, path)
    return None
