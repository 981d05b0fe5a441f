"""A file that is written from front to back and gets its name when it is complete and durable."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from hypersdk.datapath.failures import from_os
from hypersdk.datapath.publish import check_target, partial_name, publish


@contextlib.contextmanager
def new_file(target: Path, *, overwrite: bool = False, mode: int = 0o600) -> Iterator[BinaryIO]:
    """The file to write. An error in the block leaves nothing, and what was there as it was.

    Until then its name ends in ``.partial``. Raises AlreadyExists unless ``overwrite``, NotFound
    when the folder is missing, DataPathError.
    """
    check_target(target, overwrite)
    temporary = partial_name(target)
    try:
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    except OSError as error:
        raise from_os(error, target, "create") from error
    try:
        with os.fdopen(descriptor, "w+b") as file:
            yield file
            _make_durable(file, target)
        publish(temporary, target, overwrite)
    except OSError as error:
        raise from_os(error, target, "write") from error
    finally:
        with contextlib.suppress(FileNotFoundError):  # it has its final name
            os.unlink(temporary)


def write_file(target: Path, content: bytes, *, overwrite: bool = False, mode: int = 0o600) -> None:
    """A short file, complete and durable or not at all. Raises as `new_file`."""
    with new_file(target, overwrite=overwrite, mode=mode) as file:
        file.write(content)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """A file to read. Raises NotFound, DataPathError; also for what fails while it is read."""
    try:
        with path.open("rb", buffering=0) as file:
            yield file
    except OSError as error:
        raise from_os(error, path, "read") from error


def _make_durable(file: BinaryIO, target: Path) -> None:
    try:
        file.flush()
        os.fsync(file.fileno())
    except OSError as error:
        raise from_os(error, target, "write") from error
